"""What a finding's JSON says of vectors and packages, in the terms that Inspector's users know."""

from __future__ import annotations

import json
import lzma
from typing import TYPE_CHECKING, Any

import pytest

from sidelight.advisories import AdvisoryDatabase, build
from sidelight.matching import match
from sidelight.model import Finding, Inventory, OperatingSystem, Package, Severity, Status
from sidelight.report.as_json import finding_document
from sidelight.report.inspector_terms import affected

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JAMMY = OperatingSystem("ubuntu", "22.04")


def finding(package: Package, **more: Any) -> Finding:
    return Finding("CVE-2024-0001", Severity.HIGH, package, "2", (), **more)


def package(kind: str, version: str = "1", path: str = "/x", **more: Any) -> Package:
    return Package(kind, "name", version, path, "", **more)


def test_a_vector_has_its_version_its_base_score_and_who_gave_it() -> None:
    two = "AV:N/AC:L/Au:N/C:P/I:P/A:P"
    three = "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"
    four = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"
    vectors = (("NVD", three), ("GitHub", four), ("Red Hat", two), ("NVD", "CVSS:3.1/AV:N"))
    document = finding_document(finding(package("npm"), cvss_vectors=vectors))
    assert document["cvss_vectors"] == [
        {"source": "NVD", "version": "3.0", "vector": three, "base_score": 7.5},
        {"source": "GitHub", "version": "4.0", "vector": four, "base_score": 9.3},
        {"source": "Red Hat", "version": "2.0", "vector": two, "base_score": 7.5},
        {"source": "NVD", "version": "3.1", "vector": "CVSS:3.1/AV:N", "base_score": None},
    ]


def test_an_affected_package_has_its_version_s_parts() -> None:
    found = finding(
        package("rpm", "1:3.0.7-27.el9", "/var/lib/rpm", arch="aarch64", layer="containerd"),
        remediation="dnf upgrade name",
    )
    document = finding_document(found)
    assert document["affected_packages"] == [
        {
            "name": "name", "epoch": 1, "version": "3.0.7", "release": "27.el9",
            "arch": "aarch64", "path": "/var/lib/rpm", "package_manager": "OS",
            "source_layer": "containerd", "fixed_version": "2", "remediation": "dnf upgrade name",
        }
    ]  # fmt: skip
    assert document["package"]["version"] == "1:3.0.7-27.el9"
    assert document["headline"] == "CVE-2024-0001 - name"


@pytest.mark.parametrize(
    ("kind", "path", "manager"),
    [
        ("deb", "/var/lib/dpkg/status", "OS"),
        ("pypi", "/usr/lib/python3/x.dist-info/METADATA", "PYTHONPKG"),
        ("pypi", "/srv/poetry.lock", "POETRY"),
        ("npm", "/srv/node_modules/x/package.json", "NODEPKG"),
        ("npm", "/srv/yarn.lock", "YARN"),
        ("golang", "/usr/bin/x", "GOBINARY"),
        ("golang", "/srv/go.mod", "GOMOD"),
        ("gem", "/srv/specifications/x.gemspec", "GEMSPEC"),
        ("gem", "/srv/Gemfile.lock", "BUNDLER"),
        ("nuget", "/srv/x.deps.json", "DOTNET_CORE"),
        ("nuget", "/srv/packages.lock.json", "NUGET"),
        ("swift", "/srv/x", ""),
    ],
)
def test_the_package_manager_follows_from_file_and_type(kind: str, path: str, manager: str) -> None:
    assert affected(finding(package(kind, path=path))).package_manager == manager


def _named(path: Path, name: str) -> Iterator[dict[str, Any]]:
    with lzma.open(path, "rt") as lines:
        yield from (json.loads(line) for line in lines if f'"id":"{name}"' in line)


@pytest.mark.conformance
def test_real_records_keep_nvds_and_the_vendors_values_apart(
    shared_data: Path, tmp_path: Path
) -> None:
    """Ubuntu's tracker passes NVD's vector on; GitHub gives versions 3.1 and 4.0 of its own."""
    feeds = shared_data / "advisories"
    tracker = feeds / "os-native" / "ubuntu-cve-tracker-focal-jammy-noble.jsonl.xz"
    github = feeds / "osv" / "pypi.ghsa-osv.jsonl.xz"
    records = [*_named(tracker, "CVE-2023-0286"), *_named(github, "GHSA-232r-66cg-79px")]
    feed = tmp_path / "feed.jsonl"
    feed.write_text("".join(json.dumps(record) + "\n" for record in records))
    build([feed], tmp_path / "db")
    packages = (
        Package("deb", "libssl3", "3.0.2-0ubuntu1.7", "/var/lib/dpkg/status", "", arch="amd64",
                source_name="openssl"),
        Package("pypi", "paramiko", "2.0.7", "/opt/poetry.lock", ""),
    )  # fmt: skip
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        found = match(Inventory(Status.COMPLETE, JAMMY, packages), database)
        openssl, paramiko = map(finding_document, found)
    assert [tuple(one.values()) for one in openssl["cvss_vectors"]] == [
        ("NVD", "3.1", "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:N/A:H", 7.4)
    ]
    assert (openssl["severity"], openssl["severity_source"]) == ("HIGH", "Ubuntu")
    assert openssl["affected_packages"] == [
        {
            "name": "libssl3", "epoch": 0, "version": "3.0.2", "release": "0ubuntu1.7",
            "arch": "amd64", "path": "/var/lib/dpkg/status", "package_manager": "OS",
            "source_layer": "", "fixed_version": "3.0.2-0ubuntu1.8",
            "remediation": "apt-get install --only-upgrade libssl3",
        }
    ]  # fmt: skip
    assert [(o["source"], o["version"], o["base_score"]) for o in paramiko["cvss_vectors"]] == [
        ("GitHub", "3.1", 9.8),
        ("GitHub", "4.0", 9.3),
    ]
    assert paramiko["affected_packages"][0]["package_manager"] == "POETRY"
