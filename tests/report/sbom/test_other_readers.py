"""Trivy and Syft read our bills of materials and find the system and the same packages.

Grype, which no registry has for Python, reads such documents by Syft's library.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from sidelight.model import Inventory, OperatingSystem, Status
from sidelight.report.sbom import documents
from sidelight.report.sbom.format_names import SBOM_FORMATS
from sidelight.report.sbom.machine_boms import MachineBom
from tests.fixtures.boms import FLASK, NOW, SSL, TOOL, finding
from tests.fixtures.other_readers import program

if TYPE_CHECKING:
    from pathlib import Path

OFFLINE = ("--skip-db-update", "--skip-java-db-update", "--offline-scan", "--skip-version-check",
           "--quiet", "--scanners", "license", "--list-all-pkgs", "--format", "json")  # fmt: skip
INVENTORY = Inventory(
    Status.COMPLETE, OperatingSystem("debian", "12", "Debian 12"), (SSL, FLASK, TOOL),
    dependencies=((), (0, 2), None),
)  # fmt: skip
VERSIONS = {item.name: item.version for item in INVENTORY.packages}


def written(form: str, folder: Path) -> Path:
    document = folder / "machine"
    with document.open("w", encoding="utf-8") as file:
        documents.write(form, MachineBom("i-1", INVENTORY, NOW, [finding(SSL)]), file)
    return document


def answer(*command: str | Path) -> Any:
    done = subprocess.run(
        command, capture_output=True, check=False, timeout=120, text=True,
        env=os.environ | {"SYFT_CHECK_FOR_APP_UPDATE": "false"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize(
    "form", ["cyclonedx-json", "cyclonedx-json@1.5", "cyclonedx-json@1.4", "spdx-json"]
)
def test_trivy_finds_the_system_and_the_same_packages_in_our_document(
    form: str, tmp_path: Path
) -> None:
    cache = ("--cache-dir", tmp_path / "cache")
    read = answer(program("trivy"), "sbom", *OFFLINE, *cache, written(form, tmp_path))
    assert read["Metadata"]["OS"] == {"Family": "debian", "Name": "12"}
    packages = [item for result in read["Results"] for item in result.get("Packages", ())]
    assert {item["Name"]: item["Version"] for item in packages} == VERSIONS
    if form != "spdx-json":  # it has no properties of packages
        sources = {item["Name"]: item.get("SrcName", "") for item in packages}
        assert sources["libssl3"] == "openssl"


@pytest.mark.slow
@pytest.mark.parametrize("form", SBOM_FORMATS)
def test_syft_finds_the_system_and_the_same_packages_in_our_document(
    form: str, tmp_path: Path
) -> None:
    read = answer(program("syft"), "convert", written(form, tmp_path), "-o", "syft-json", "-q")
    purls = {item["purl"]: item["version"] for item in read["artifacts"] if item.get("purl")}
    assert purls == {item.purl: item.version for item in INVENTORY.packages}
    if form != "spdx-json":  # SPDX has no system; Grype takes it of the purls
        assert (read["distro"]["id"], read["distro"]["versionID"]) == ("debian", "12")
