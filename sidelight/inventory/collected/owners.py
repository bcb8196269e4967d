"""Which packages own the files that a machine sent: of dpkg as its own files, of rpm by lines.

The lines are `dpkg TAB name of the list TAB path` and `rpm TAB name TAB version-release TAB vendor
TAB path`, for paths that were asked about alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.collected.tar_members import TarMember
from sidelight.inventory.os.rpm import CoveredRpmFiles
from sidelight.inventory.protocol import Extraction, Wants
from sidelight.vendors import is_covered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.inventory.protocol import Machine, WantedFile

RPM_OWNERS: Final = "var/lib/sidelight/rpm-owners"  # in the tree of received files alone
_DPKG: Final = b"var/lib/dpkg/"
MAX_LINES: Final = 500_000
MAX_LISTS: Final = 50_000


def as_files(status: bytes, owners: bytes, faults: list[str]) -> Iterator[TarMember]:
    """Yield dpkg's database, its lists with the paths that were asked about, and rpm's lines."""
    if status.strip():
        yield _file(_DPKG + b"status", status)
    lists: dict[bytes, list[bytes]] = {}
    rpm: list[bytes] = []
    for number, line in enumerate(owners.split(b"\n", MAX_LINES + 1)):
        if number >= MAX_LINES:
            faults.append(f"more than {MAX_LINES} lines of owned files: the rest is not read")
            break
        kind, _, rest = line.partition(b"\t")
        if kind == b"rpm":
            rpm.append(rest)
        elif kind == b"dpkg":
            package, _, path = rest.partition(b"\t")
            if package and b"/" not in package and len(package) < 256 and len(lists) < MAX_LISTS:
                lists.setdefault(package, []).append(path)
    for package, paths in lists.items():
        yield _file(_DPKG + b"info/" + package + b".list", b"\n".join(paths))
    if rpm:
        yield _file(RPM_OWNERS.encode(), b"\n".join(rpm))


def _file(path: bytes, data: bytes) -> TarMember:
    pieces = ((0, 0, len(data)),) if data else ()
    return TarMember(path, 0o644, len(data), memoryview(data), pieces)


class RpmOwners:
    """The paths of the distribution's own rpm packages, as its database says."""

    name = "os/rpm-owners"
    wants = Wants(paths=frozenset((RPM_OWNERS,)), limit=64 << 20)

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:
        """The owned paths; none of another vendor's packages."""
        found = Extraction()
        owners = CoveredRpmFiles(found)
        by_vendor: dict[str, set[str]] = {}
        for line in file.read().decode("utf-8", "surrogateescape").split("\n"):
            parts = line.split("\t")
            if len(parts) != 4 or len(parts[3]) < 2:
                continue
            _name, version, vendor, path = parts
            vendor = "" if vendor == "(none)" else vendor
            if is_covered("rpm", vendor, version, machine.os):
                by_vendor.setdefault(vendor, set()).add(path[1:])
        for vendor, paths in by_vendor.items():
            owners.own(f"/{file.path}", vendor, paths)
        owners.settle()
        return found
