"""Real machines by both methods: the agent's list gives the disk's packages, and what differs.

The agent's list is made of the same database as `rpm -qa` and `dpkg-query -W` print it (the SSM
agent's own queries), so that only the two readers are compared.
"""

from __future__ import annotations

import lzma
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sidelight.inventory.os import rpm as rpm_on_disk
from sidelight.inventory.os import rpm_berkeley, rpm_header, rpm_ndb, rpm_sqlite
from sidelight.inventory.os.dpkg import parse_status
from sidelight.inventory.ssm import known_sources
from sidelight.inventory.ssm.items import APPLICATION, InventoryItem
from sidelight.inventory.ssm.parse import read
from sidelight.inventory.ssm.platforms import Platform, system_of
from tests.fakes.memory_file import MemoryFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidelight.errors import SidelightError
    from sidelight.inventory.protocol import WantedFile
    from sidelight.model import Package

    Blobs = Callable[[WantedFile], Iterator[bytes | SidelightError]]

DATABASES = [
    pytest.param("bdb/fedora-27.Packages.xz", rpm_berkeley.header_blobs,
                 Platform("Fedora", "27"), id="Fedora 27"),
    pytest.param("ndb/sle15-bci.Packages.db", rpm_ndb.header_blobs,
                 Platform("SLES", "15.4"), id="SLES 15"),
    pytest.param("sqlite/rpm-testsuite.rpmdb.sqlite", rpm_sqlite.header_blobs,
                 Platform("Red Hat Enterprise Linux", "9.4"), id="RHEL 9"),
    pytest.param("sqlite/cbl-mariner-2.0.rpmdb.sqlite", rpm_sqlite.header_blobs,
                 Platform("Common Base Linux Mariner", "2.0"), id="Mariner 2"),
]  # fmt: skip


def entry(header: rpm_header.RpmHeader) -> dict[str, str]:
    """A package as the agent's rpm query prints it."""
    fields = {
        "Name": header.name,
        "Publisher": header.vendor or "(none)",
        "Version": header.version,
        "Release": header.release,
        "Epoch": "" if header.epoch is None else str(header.epoch),
        "Architecture": header.arch,
        "PackageId": header.source_rpm,
    }
    return {name: value for name, value in fields.items() if value}


@pytest.mark.conformance
@pytest.mark.parametrize(("name", "blobs", "platform"), DATABASES)
def test_an_rpm_machine_has_the_same_packages_without_licence_and_module(
    name: str, blobs: Blobs, platform: Platform, shared_data: Path
) -> None:
    data = (shared_data / "rpmdb" / name).read_bytes()
    data = lzma.decompress(data) if name.endswith(".xz") else data
    listed = list(blobs(MemoryFile(data, name)))
    headers = [rpm_header.decode(blob) for blob in listed if isinstance(blob, bytes)]
    system = system_of(platform)
    on_disk = rpm_on_disk.extraction(listed, "/var/lib/rpm/Packages", system).packages

    item = InventoryItem(APPLICATION, [entry(header) for header in headers])
    by_agent = read({APPLICATION: item}, platform).inventory.packages

    def comparable(package: Package) -> Package:
        vendor = package.vendor if package.name in vendors else ""
        return replace(package, licence="", modularity="", path="", vendor=vendor)

    # rpm prints only the Vendor; a disk shows the packager of a package without one.
    vendors = {header.name for header in headers if header.vendor}
    assert on_disk
    assert {comparable(one) for one in by_agent} == {comparable(one) for one in on_disk}


def test_this_machine_differs_by_removed_packages_alone() -> None:
    status = Path("/var/lib/dpkg/status")
    query = shutil.which("dpkg-query")
    if query is None or not status.is_file():
        pytest.skip("this machine has no dpkg")
    platform = Platform("Debian GNU/Linux", "12")
    on_disk = parse_status(
        status.read_bytes(), "/var/lib/dpkg/status", system_of(platform)
    ).packages
    form = "${Package}\t${Version}\t${Architecture}\t${Maintainer}\n"
    printed = subprocess.run(
        [query, "-W", f"-f={form}"], check=True, capture_output=True, text=True
    ).stdout
    item = InventoryItem(APPLICATION, [deb_entry(line) for line in printed.splitlines()])
    known = known_sources.of_packages(on_disk)

    by_agent = read({APPLICATION: item}, platform, known).inventory.packages

    names = {(one.name, one.version, one.arch) for one in on_disk}
    same = {one for one in by_agent if (one.name, one.version, one.arch) in names}
    assert {replace(one, vendor="") for one in same} == {replace(one, vendor="") for one in on_disk}
    assert not {one.name for one in by_agent if not one.version}


def deb_entry(line: str) -> dict[str, str]:
    """A package as the agent's dpkg query prints it: amd64 is x86_64, PackageId is made up."""
    name, version, arch, maintainer = line.split("\t")
    arch = "x86_64" if arch == "amd64" else arch
    return {"Name": name, "Version": version, "Architecture": arch, "Publisher": maintainer,
            "PackageId": f"{name}_{version}_{arch}.deb"}  # fmt: skip
