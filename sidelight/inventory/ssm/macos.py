"""A Mac: its version is PlatformVersion (`14.5`); AWS:Application lists applications.

No feed has advisories for the applications: they are listed, and the system is matched.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.inventory.protocol import REMARK_LIMIT
from sidelight.inventory.purl import format_purl
from sidelight.inventory.ssm.items import fault_of_texts
from sidelight.model import Package

if TYPE_CHECKING:
    from sidelight.inventory.ssm.items import Entry
    from sidelight.model import OperatingSystem

_PATH: Final = "/System/Library/CoreServices/SystemVersion.plist"
_VERSION = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){0,3}(?: \([a-z]\))?")


def system_package(system: OperatingSystem) -> Package | str:
    """Return macOS itself as a package, or why its version is none."""
    version = system.version_id
    if not _VERSION.fullmatch(version):
        return f"the version of macOS is {version[:40]!r}: its advisories cannot be looked up"
    purl = format_purl("generic", "apple", "macos", version)
    return Package(type="macos", name="macOS", version=version, path=_PATH, purl=purl)


def application(entry: Entry, _system: OperatingSystem) -> Package | str:
    """Return an application, or why the entry is none."""
    name, version, arch = (entry.get(key, "") for key in ("Name", "Version", "Architecture"))
    if fault := fault_of_texts(name, version or "0", arch):
        return fault
    publisher = entry.get("Publisher", "")
    return Package(
        type="macos-application",
        name=name,
        version=version,
        path="/Applications",
        purl=format_purl("generic", "apple", name, version),
        arch=arch,
        vendor=publisher[:REMARK_LIMIT] if publisher.isprintable() else "",
    )
