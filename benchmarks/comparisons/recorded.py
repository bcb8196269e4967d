"""Inventories that machines and projects really had: the files of `inventories/`.

A file has a line for each package: name, version, its source's name and version where they
differ, and its module's label, with tabs between; what it is of and from is above, behind `#`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.comparisons.hosts import HOSTS, Host
from sidelight.inventory.os.apk import parse_installed
from sidelight.model import Package

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).resolve().parent / "inventories"
ALPINE = Host("alpine", "3.18.0", "Alpine:v3.18", "apk", "alpine", "alpine")
# (file, the ecosystem that is asked). No inventory of AlmaLinux 8 with modules is available: those
# of CentOS 8, of which AlmaLinux and Rocky Linux are rebuilds, are asked by both.
RECORDED = (
    ("debian-11", "Debian:11"),
    ("debian-12", "Debian:12"),
    ("debian-13", "Debian:13"),
    ("ubuntu-22.04", "Ubuntu:22.04"),
    ("amazon-2", "Amazon Linux:2"),
    ("amazon-2023", "Amazon Linux:2023"),
    ("alma-9", "AlmaLinux:9"),
    ("alma-8", "AlmaLinux:8"),
    ("centos-8", "AlmaLinux:8"),
    ("rocky-9", "Rocky Linux:9"),
    ("rocky-8", "Rocky Linux:8"),
    ("centos-8", "Rocky Linux:8"),
    ("npm-jupyterlab", "npm"),
    ("npm-panel", "npm"),
    ("pypi", "PyPI"),
    ("pypi-poetry", "PyPI"),
    ("maven-pyspark", "Maven"),
    ("maven-maybe", "Maven"),
)


def inventories(shared_data: Path) -> Iterator[tuple[str, Host, list[Package]]]:
    """Each with its name; Alpine's comes from the shared data (a database of apk's)."""
    known = {host.ecosystem: host for host in HOSTS}
    for name, ecosystem in RECORDED:
        host = known[ecosystem]
        lines = (FOLDER / f"{name}.tsv").read_text().splitlines()
        yield name, host, [_package(host.kind, line) for line in lines if line[0] != "#"]
    installed = shared_data / "manifests/osv-scalibr/os/apk/testdata/installed"
    found = parse_installed(installed.read_bytes(), "/lib/apk/db/installed", ALPINE.os)
    yield "alpine-3.18", ALPINE, found.packages


def _package(kind: str, line: str) -> Package:
    name, version, source, source_version, module = [*line.split("\t"), "", "", ""][:5]
    if kind == "deb":
        source, source_version = source or name, source_version or version
    return Package(
        kind, name, version, "/", "", source_name=source, source_version=source_version,
        modularity=module,
    )  # fmt: skip
