"""A package manager's database that the manager does not use owns no file."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from sidelight.filesystems.machine.mount_table import MachineTree
from sidelight.inventory import allowance
from sidelight.inventory.collect import collect
from sidelight.inventory.registry import OS_EXTRACTORS
from tests.fakes.host_directory import HostDirectory
from tests.fakes.unowned_files import Every
from tests.fixtures import rpm_databases as rpm_stores

if TYPE_CHECKING:
    from pathlib import Path


_SQLITE, _NDB, _BERKELEY = "rpmdb.sqlite", "Packages.db", "Packages"
_CLASSIC, _MOVED = "var/lib/rpm", "usr/lib/sysimage/rpm"


def _header(name: str, path: str) -> bytes:
    """A package with one file (DIRINDEXES, BASENAMES, DIRNAMES)."""
    directory, _, base = path.rpartition("/")
    parts = ((1116, 4, struct.pack(">I", 0)), (1117, 8, base.encode() + b"\0"))
    entries, data = [], b""
    for tag, kind, value in (*parts, (1118, 8, f"/{directory}/".encode() + b"\0")):
        entries.append((tag, kind, 1))
        data += value
    return _spread(name, entries, data, [4, len(base) + 1])


def _spread(name: str, entries: list[tuple[int, int, int]], data: bytes, sizes: list[int]) -> bytes:
    """`rpm_stores.header`, its later entries moved behind each other's data."""
    blob = bytearray(rpm_stores.header(name, entries, data))
    moved = 0
    for number, size in enumerate(sizes):
        moved += size
        at = 8 + 16 * (4 + number) + 8
        struct.pack_into(">I", blob, at, struct.unpack_from(">I", blob, at)[0] + moved)
    return bytes(blob)


def _store(kind: str, name: str, path: str) -> bytes:
    blob = _header(name, path)
    if kind == _SQLITE:
        return rpm_stores.sqlite([blob])
    if kind == _NDB:
        return rpm_stores.ndb([blob])
    return rpm_stores.berkeley([rpm_stores.hash_page([rpm_stores.KEY, b"\x01" + blob])])


def _found(tmp_path: Path, stores: dict[str, tuple[str, str]], identity: str) -> set[str]:
    """The files that nobody owns, of those that the stores' packages have."""
    for path, (name, owned) in stores.items():
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(_store(place.name, name, owned))
        (tmp_path / owned).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / owned).write_bytes(b"")
    (tmp_path / "etc").mkdir(exist_ok=True)
    (tmp_path / "etc/os-release").write_text(f"ID={identity}\nVERSION_ID=9\n")
    tree = MachineTree(HostDirectory(tmp_path))
    found = collect(tree, extractors=[*OS_EXTRACTORS, Every()])
    assert found.owned == 1
    return {package.path for package in found.packages if package.type == "generic"}


@pytest.mark.parametrize(
    ("used", "stale", "identity"),
    [
        (f"{_CLASSIC}/{_SQLITE}", f"{_CLASSIC}/{_BERKELEY}", "rhel"),
        (f"{_CLASSIC}/{_SQLITE}", f"{_CLASSIC}/{_NDB}", "rhel"),
        (f"{_CLASSIC}/{_NDB}", f"{_CLASSIC}/{_BERKELEY}", "sles"),
        (f"{_CLASSIC}/{_SQLITE}", f"{_MOVED}/{_SQLITE}", "rhel"),
        (f"{_MOVED}/{_SQLITE}", f"{_CLASSIC}/{_SQLITE}", "fedora"),
    ],
)
def test_the_store_that_rpm_does_not_use_owns_nothing(
    tmp_path: Path, used: str, stale: str, identity: str
) -> None:
    stores = {used: ("bash", "opt/used/a.own"), stale: ("gone", "opt/gone/b.own")}
    assert _found(tmp_path, stores, identity) == {"/opt/gone/b.own"}


def test_the_same_holds_in_a_root_below_the_root(tmp_path: Path) -> None:
    _found(tmp_path / "srv/chroot", {f"{_CLASSIC}/{_NDB}": ("bash", "opt/x.own")}, "sles")
    stores = {
        f"{_CLASSIC}/{_SQLITE}": ("bash", "opt/a.own"),
        f"srv/chroot/{_CLASSIC}/{_SQLITE}": ("bash", "srv/chroot/opt/used.own"),
    }
    for path, (name, owned) in stores.items():
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(_store(_SQLITE, name, owned.removeprefix("srv/chroot/")))
        (tmp_path / owned).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / owned).write_bytes(b"")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text("ID=rhel\nVERSION_ID=9\n")
    found = collect(MachineTree(HostDirectory(tmp_path)), extractors=[*OS_EXTRACTORS, Every()])
    free = {package.path for package in found.packages if package.type == "generic"}
    assert free == {"/srv/chroot/opt/x.own"}


def test_more_files_of_a_package_manager_than_any_has_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowance, "MAX_DATABASE_FILES", 20)
    info = tmp_path / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    for number in range(50):
        (info / f"p{number}.list").write_text("/opt/a.own\n")
    (tmp_path / "var/lib/dpkg/status").write_text(
        "Package: p1\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n"
    )
    host = HostDirectory(tmp_path)
    found = collect(MachineTree(host), extractors=OS_EXTRACTORS)
    assert len(host.content_requests) == 21  # with the status file
    assert [problem.what for problem in found.problems if "50 files" in problem.what] == [
        "50 files for os/dpkg-lists; 20 of them are read"
    ]


def test_each_list_of_owned_paths_is_read_once(tmp_path: Path) -> None:
    info = tmp_path / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    for number in range(500):
        (info / f"p{number}.list").write_text("/opt/a.own\n")
    host = HostDirectory(tmp_path)
    assert collect(MachineTree(host), extractors=OS_EXTRACTORS).files == 500
    assert len(host.content_requests) == len(set(host.content_requests)) == 500
