"""Sidelight's own bill of materials of an image gives the findings of the image."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from dispatcher.cli.root import run
from sidelight.advisories import build
from sidelight.report.formats.format_names import FINDING_FORMATS
from sidelight.report.sbom.format_names import SBOM_FORMATS
from tests.fixtures.matches import osv

if TYPE_CHECKING:
    from pathlib import Path

STATUS = """Package: libssl3
Status: install ok installed
Architecture: amd64
Maintainer: Debian OpenSSL Team <pkg-openssl-devel@alioth-lists.debian.net>
Source: openssl (3.0.1-1)
Version: 3.0.1-1+b1

Package: git
Status: install ok installed
Architecture: amd64
Maintainer: Jonathan Nieder <jrnieder@gmail.com>
Version: 1:2.39.2-1.1

Package: docker-ce
Status: install ok installed
Architecture: amd64
Maintainer: Docker <support@docker.com>
Version: 5:24.0.0-1~debian.12~bookworm

"""
RELEASE = (
    'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian GNU/Linux 12"\n'
)
METADATA = "Metadata-Version: 2.1\nName: Flask\nVersion: 2.0.0\nLicense: BSD, see file\n"
RECORDS = [
    osv("DSA-1", "Debian:12", "openssl", "3.0.2-1", upstream=["CVE-2024-0001"]),
    osv("DSA-2", "Debian:12", "git", "1:2.39.5-0", upstream=["CVE-2024-0002"]),
    osv("DSA-3", "Debian:12", "docker-ce", "5:25", upstream=["CVE-2024-0003"]),
    osv("GHSA-m2qf-hxjv-5gpq", "PyPI", "flask", "2.2.5", aliases=["CVE-2023-30861"]),
    osv("GHSA-xvch-5gv4-984h", "npm", "minimist", "1.2.6", aliases=["CVE-2021-44906"]),
]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Debian machine with packages of the system, of another vendor, of PyPI and of npm."""
    mkfs = shutil.which("mkfs.ext4") or shutil.which("mkfs.ext4", path="/sbin:/usr/sbin")
    if mkfs is None:
        pytest.skip("mkfs.ext4 is absent")
    directory = tmp_path_factory.mktemp("machine")
    tree = directory / "tree"
    files = {
        "var/lib/dpkg/status": STATUS,
        "etc/os-release": RELEASE,
        "opt/app/Flask-2.0.0.dist-info/METADATA": METADATA,
        "opt/app/Flask-2.0.0.dist-info/RECORD": "",
        "srv/node_modules/minimist/package.json": '{"name": "minimist", "version": "1.2.5"}',
    }
    for name, content in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(content)
    disk = directory / "disk.img"
    with disk.open("wb") as file:
        file.truncate(32 << 20)
    subprocess.run([mkfs, "-q", "-d", str(tree), str(disk)], check=True)
    return disk


@pytest.fixture(scope="module")
def advisories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("advisories")
    feed = directory / "feed.jsonl"
    feed.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    build([feed], directory / "advisories.db")
    return directory / "advisories.db"


def scanned(target: Path, advisories: Path, folder: Path) -> tuple[int, dict[str, object]]:
    out = folder / "scan.json"
    status = run(
        ["scan", str(target), "--advisories", str(advisories), "--format", "json",
         "--output", str(out)]
    )  # fmt: skip
    return status, json.loads(out.read_text())


@pytest.mark.images
@pytest.mark.parametrize("form", SBOM_FORMATS)
@pytest.mark.parametrize("command", ["inventory", "scan"])
def test_an_own_document_has_the_findings_of_its_image(
    image: Path, advisories: Path, tmp_path: Path, form: str, command: str
) -> None:
    document = tmp_path / "machine.sbom"
    options = ["--advisories", str(advisories)] if command == "scan" else []
    assert run([command, str(image), *options, "--format", form, "--output", str(document)]) == 0
    of_image, of_document = (scanned(item, advisories, tmp_path) for item in (image, document))
    assert of_document[0] == of_image[0] == 0
    assert of_document[1]["findings"] == of_image[1]["findings"]
    found = of_image[1]["findings"]
    assert isinstance(found, list)
    assert {item["vulnerability"] for item in found} == {
        "CVE-2024-0001", "CVE-2024-0002", "CVE-2023-30861", "CVE-2021-44906",
    }  # fmt: skip
    for member in ("os", "packages", "problems", "not_covered", "status"):
        assert of_document[1][member] == of_image[1][member]


@pytest.mark.images
@pytest.mark.parametrize("form", ["table", "json", *FINDING_FORMATS, *SBOM_FORMATS])
def test_a_document_is_reported_in_every_format(
    image: Path, advisories: Path, tmp_path: Path, form: str
) -> None:
    document, out = tmp_path / "machine.cdx.json", tmp_path / "out"
    assert (
        run(["inventory", str(image), "--format", "cyclonedx-json", "--output", str(document)]) == 0
    )
    arguments = ["--advisories", str(advisories), "--format", form, "--output", str(out)]
    assert run(["scan", str(document), "--fail-on", "untriaged", *arguments]) == 1
    assert "CVE-2024-0001" in out.read_text() or form == "spdx-json"


def test_a_document_has_no_sources_and_no_readers(
    tmp_path: Path, advisories: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "a.json"
    document.write_text("{}")
    use = ["--advisories", str(advisories)]
    assert run(["scan", str(document), str(document), *use]) == 2
    assert "name it alone" in capsys.readouterr().err
    assert run(["scan", str(document), "--reader", "reference", *use]) == 2
    assert run(["scan", str(document), *use]) == 4
    assert "a.json: JSON that is neither CycloneDX nor SPDX" in capsys.readouterr().err


def test_packages_without_a_system_are_not_clean(
    tmp_path: Path, advisories: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "a.json"
    component = {
        "type": "library",
        "name": "zlib1g",
        "purl": "pkg:deb/debian/zlib1g@1?upstream=zlib",
    }
    other = {"type": "library", "name": "curl", "purl": "pkg:conan/curl@8.1"}
    document.write_text(
        json.dumps(
            {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [component, other]}
        )
    )
    assert run(["scan", str(document), "--advisories", str(advisories)]) == 3
    shown = capsys.readouterr().out
    assert "1 package of deb of an unknown operating system" in shown
    assert "not covered: 1 package of conan" in shown
