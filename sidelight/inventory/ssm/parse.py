"""One machine's SSM items -> its Inventory, as a read of its disk would give it.

The result has the disk readers' packages, so that both methods have one answer. Differences that
the data cannot avoid are `remarks`: they are in docs/ssm.md, and no damage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidelight.inventory import kernel_packages
from sidelight.inventory.ssm import bottlerocket, dpkg, items, macos, platforms, rpm, snap, windows
from sidelight.inventory.ssm.items import EntryReader
from sidelight.inventory.ssm.known_sources import KnownSources
from sidelight.inventory.ssm.platforms import UNKNOWN
from sidelight.model import Inventory, OperatingSystem, Package, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.inventory.ssm.items import Entry, Items
    from sidelight.inventory.ssm.platforms import Platform

_SHOWN = 5  # packages that a Problem names
_MAX_RELEASE = 256  # characters of a kernel's release
_OF_RPM = frozenset(("amzn", "rhel", "centos", "almalinux", "rocky", "ol", "fedora", "photon"))


@dataclass(frozen=True, slots=True)
class SsmReading:
    """An inventory, and the known differences to a read of the disk."""

    inventory: Inventory
    remarks: tuple[str, ...] = ()


def read(
    machine_items: Items,
    platform: Platform = UNKNOWN,
    known: KnownSources | None = None,
) -> SsmReading:
    """Return the inventory of one machine. Never raises for what the items hold.

    `platform` is what DescribeInstanceInformation reports; the item AWS:InstanceInformation counts
    where it names a system. `known` are the sources of dpkg's packages on this machine's release.
    """
    return _MachineReader(machine_items, platform, known or KnownSources()).run()


class _MachineReader:
    def __init__(self, machine_items: Items, platform: Platform, known: KnownSources) -> None:
        self._reader = EntryReader(machine_items)
        own = platforms.platform_of(self._reader.first(items.INSTANCE_INFORMATION))
        self._platform = own if platforms.system_of(own).id else platform
        self._system = platforms.system_of(self._platform)
        self._known = known
        self._packages: list[Package] = []
        self._remarks: list[str] = []
        self._sourceless: list[str] = []

    def run(self) -> SsmReading:
        self._whole_system()
        self._applications()
        self._without_source()
        problems = tuple(self._reader.allowance.all_problems())
        packages = kernel_packages.mark(
            sorted(dict.fromkeys(self._packages), key=_order), self._kernel_release()
        )
        status = Status.PARTIAL if problems else Status.COMPLETE
        if problems and not packages:
            status = Status.FAILED
        inventory = Inventory(status, self._system, tuple(packages), problems)
        return SsmReading(inventory, tuple(self._remarks))

    def _whole_system(self) -> None:
        """Add Windows or macOS itself as a package."""
        if not self._system.id:
            name = self._platform.name[:40]
            what = f"the operating system {name!r} is not known: its packages cannot be judged"
            self._reader.problem(items.INSTANCE_INFORMATION, what)
        elif self._system.id == platforms.MACOS:
            self._add(macos.system_package(self._system), items.INSTANCE_INFORMATION)
        elif self._system.id.startswith(platforms.WINDOWS):
            version = self._platform.version
            package = windows.system_package(self._reader, self._system, version)
            self._add(package, items.INSTANCE_INFORMATION)

    def _applications(self) -> None:
        if not self._reader.has(items.APPLICATION):
            self._reader.problem(
                items.APPLICATION, "not collected: no software of this machine is known"
            )
            return
        is_empty = True
        for entry in self._reader.entries(items.APPLICATION):
            is_empty = False
            self._add(self._package(entry), items.APPLICATION)
        if is_empty:
            self._reader.problem(items.APPLICATION, "it lists no software at all")

    def _package(self, entry: Entry) -> Package | str | None:
        """Return an entry's package by its own package manager, else by the system's."""
        system = self._system
        if system.id in _BY_SYSTEM:
            return _BY_SYSTEM[system.id](entry, system)
        if snap.is_snap(entry):
            return snap.package(entry)
        if dpkg.is_deb(entry) or (system.id in {"debian", "ubuntu"} and not rpm.is_rpm(entry)):
            return self._deb(entry)
        if rpm.is_rpm(entry) or system.id in _OF_RPM:
            return self._rpm(entry)
        return f"{entry.get('Name', '')[:80]!r} is of no known package manager"

    def _deb(self, entry: Entry) -> Package | str | None:
        found = dpkg.package(entry, self._system, self._known)
        if isinstance(found, Package) and not found.source_name:
            self._sourceless.append(found.name)
        return found

    def _rpm(self, entry: Entry) -> Package | str | None:
        found = rpm.package(entry, self._system)
        epoch = entry.get("Epoch", "")
        if isinstance(found, Package) and epoch and not epoch.isdigit():
            what = f"{found.name}: the epoch {epoch[:40]!r} is not a number, and is not used"
            self._reader.problem(items.APPLICATION, what)
        return found

    def _add(self, found: Package | str | None, type_name: str) -> None:
        if isinstance(found, str):
            self._reader.problem(type_name, found)
        elif found is not None:
            self._packages += self._reader.allowance.packages([found])

    def _without_source(self) -> None:
        """Report packages that are judged by their own names, and what dpkg's list cannot show."""
        if any(package.type == "deb" for package in self._packages):
            self._remarks.append(
                "packages that were removed with configuration files left count as installed"
            )
        if any(".module" in package.version for package in self._packages):
            self._remarks.append("rpm modules: the stream of a package is not known")
        if self._sourceless:
            count, shown = len(self._sourceless), ", ".join(sorted(self._sourceless)[:_SHOWN])
            what = (
                f"{count} packages whose source package is not known are matched by their own"
                f" names ({shown}{', …' if count > _SHOWN else ''}): read the disk of one machine"
                " of this release once, or build the advisory database with a feed that lists"
                " binaries"
            )
            self._reader.problem(items.APPLICATION, what)

    def _kernel_release(self) -> str:
        """Return the running kernel's release, as `uname -r` prints it."""
        release = self._reader.first(items.DETAILED_INFORMATION).get("KernelVersion", "").strip()
        return release if len(release) <= _MAX_RELEASE and release.isprintable() else ""


def _order(package: Package) -> tuple[str, str, str, str, str]:
    return package.type, package.name, package.version, package.arch, package.path


# The types of packages of systems, which agents list as far as they can; deep inspection and scans
# of disks find the others.
TYPES: Final = frozenset(
    {
        "deb", "rpm", "apk", "alpm", "snap", "windows", "windows-application",
        "macos", "macos-application",
    }
)  # fmt: skip
# Systems with one list of their own, by the id of the system.
_BY_SYSTEM: dict[str, Callable[[Entry, OperatingSystem], Package | str]] = {
    platforms.WINDOWS: windows.application,
    platforms.WINDOWS_SERVER: windows.application,
    platforms.MACOS: macos.application,
    platforms.BOTTLEROCKET: bottlerocket.package,
}
