r"""Windows: the build from the registry, or from a system file; the updates; the applications.

PlatformVersion (`10.0.20348`) has no revision. An association with `windowsRegistry` collects
CurrentBuild and UBR below `HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion`; one
with `files` collects ntoskrnl.exe. AWS:WindowsUpdate comes from Win32_QuickFixEngineering, and the
agent skips it whole where the TrustedInstaller service does not run: no data is not "nothing
installed".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidelight.inventory.protocol import REMARK_LIMIT
from sidelight.inventory.purl import format_purl
from sidelight.inventory.ssm import items
from sidelight.inventory.ssm.items import fault_of_texts
from sidelight.inventory.ssm.platforms import WINDOWS_SERVER
from sidelight.model import Package

if TYPE_CHECKING:
    from sidelight.inventory.ssm.items import Entry, EntryReader
    from sidelight.model import OperatingSystem

PATH: Final = r"C:\Windows\System32\ntoskrnl.exe"
MAX_UPDATES: Final = 1_000  # KBs of one machine; real ones have some dozens
# Releases by their build, for a caption without a year ("Windows Server Datacenter").
_RELEASES: Final = {
    "14393": "2016", "17763": "2019", "20348": "2022", "25398": "23H2", "26100": "2025",
}  # fmt: skip
_KEY = r"\software\microsoft\windows nt\currentversion"
_BUILD = re.compile(r"[0-9]{4,6}")
_PLATFORM = re.compile(r"([0-9]{1,2}\.[0-9]{1,2})\.([0-9]{4,6})")
_FILE_VERSION = re.compile(r"([0-9]{1,2}\.[0-9]{1,2})\.([0-9]{4,6})\.([0-9]{1,6})\b")
_REVISION = re.compile(r"(0x[0-9a-fA-F]{1,8}|[0-9]{1,8})")
_UPDATE = re.compile(r"KB([0-9]{6,8})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WindowsBuild:
    """`version` is `10.0.20348.2700`, or `10.0.20348` where the revision is not known."""

    version: str
    has_revision: bool


def system_package(reader: EntryReader, system: OperatingSystem, version: str) -> Package | None:
    """Return Windows as a package; None, with a Problem, where not even its build is known.

    `version` is PlatformVersion. The installed KBs are in the purl's qualifier `kb`, sorted.
    """
    build = _build(reader, version)
    updates = _updates(reader)
    if build is None:
        reader.problem(items.INSTANCE_INFORMATION, f"no build of Windows: {version[:40]!r}")
        return None
    if not build.has_revision and not updates:
        what = (
            "neither the build's revision (UBR) nor installed updates are known: vulnerabilities of"
            " Windows cannot be judged; collect the registry values CurrentBuild and UBR"
        )
        reader.problem(items.WINDOWS_UPDATE, what)
    is_server = system.id == WINDOWS_SERVER
    release = system.version_id
    if is_server and not release:
        release = _RELEASES.get(build.version.split(".")[2], "")
    name = f"Windows {'Server ' if is_server else ''}{release}".strip()
    listed = ",".join(updates)
    return Package(
        type="windows",
        name=name,
        version=build.version,
        path=PATH,
        purl=format_purl("generic", "microsoft", name, build.version, (("kb", listed),)),
        vendor="Microsoft Corporation",
    )


def application(entry: Entry, _system: OperatingSystem) -> Package | str:
    """Return an installed application, or why the entry is none. Some have no version."""
    name, version, arch = (entry.get(key, "") for key in ("Name", "Version", "Architecture"))
    if fault := fault_of_texts(name, version or "0", arch):
        return fault
    publisher = entry.get("Publisher", "")
    return Package(
        type="windows-application",
        name=name,
        version=version,
        path=r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall",
        purl=format_purl("generic", "windows-application", name, version),
        arch=arch,
        vendor=publisher[:REMARK_LIMIT] if publisher.isprintable() else "",
    )


def _build(reader: EntryReader, version: str) -> WindowsBuild | None:
    """Return the build by the registry, by the kernel's file, or by PlatformVersion alone."""
    match = _PLATFORM.match(version)
    line = match[1] if match else "10.0"
    values = _registry(reader)
    number = values.get("currentbuild") or values.get("currentbuildnumber") or ""
    number = number if _BUILD.fullmatch(number) else ""
    revision = _REVISION.fullmatch(values.get("ubr", ""))
    known = number or (match[2] if match else "")
    if revision and known:
        if match and number and match[2] != number:
            what = f"the registry has build {number}, the agent {match[2]}: the registry counts"
            reader.problem(items.WINDOWS_REGISTRY, what)
        return WindowsBuild(f"{line}.{known}.{int(revision[1], 0)}", has_revision=True)
    of_file = _kernel_version(reader)
    if of_file:
        return WindowsBuild(of_file, has_revision=True)
    return WindowsBuild(f"{line}.{known}", has_revision=False) if known else None


def _registry(reader: EntryReader) -> dict[str, str]:
    """Return the values of Windows' own key, by lower-case name."""
    return {
        entry.get("ValueName", "").lower(): entry.get("Value", "").strip()
        for entry in reader.entries(items.WINDOWS_REGISTRY)
        if entry.get("KeyPath", "").lower().rstrip("\\").endswith(_KEY)
    }


def _kernel_version(reader: EntryReader) -> str:
    for entry in reader.entries(items.FILE):
        directory = entry.get("InstalledDir", "").lower().rstrip("\\")
        if entry.get("Name", "").lower() == "ntoskrnl.exe" and directory.endswith("system32"):
            for key in ("ProductVersion", "FileVersion"):
                if match := _FILE_VERSION.match(entry.get(key, "")):
                    return f"{match[1]}.{match[2]}.{match[3]}"
    return ""


def _updates(reader: EntryReader) -> list[str]:
    """Return the numbers of installed KBs, sorted. Two agents name some update `File 1`."""
    numbers: set[str] = set()
    for entry in reader.entries(items.WINDOWS_UPDATE):
        match = _UPDATE.fullmatch(entry.get("HotFixId", "").strip())
        if match:
            numbers.add(match[1])
    if len(numbers) > MAX_UPDATES:
        reader.problem(items.WINDOWS_UPDATE, f"{len(numbers)} updates: {MAX_UPDATES} are used")
    return sorted(numbers, key=int)[-MAX_UPDATES:]
