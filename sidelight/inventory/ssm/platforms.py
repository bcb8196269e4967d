"""Who a machine is, as its SSM agent reports it: PlatformName and PlatformVersion -> system.

The agent sends NAME and VERSION_ID of os-release, or the first line of an older release file; for
Windows the caption of Win32_OperatingSystem and `10.0.20348`; for macOS ProductName and
ProductVersion (`14.5`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from sidelight.model import OperatingSystem

if TYPE_CHECKING:
    from sidelight.inventory.ssm.items import Entry

_MAX = 128  # characters of a platform's name or version

WINDOWS_SERVER: Final = "windows-server"
WINDOWS: Final = "windows"
MACOS: Final = "macos"
BOTTLEROCKET: Final = "bottlerocket"

# The beginning of PlatformName, lower case -> os-release's ID. The first that fits decides.
_LINUX: Final = (
    ("amazon linux", "amzn"),
    ("ubuntu", "ubuntu"),
    ("debian", "debian"),
    ("red hat enterprise", "rhel"),
    ("centos", "centos"),
    ("almalinux", "almalinux"),
    ("rocky", "rocky"),
    ("oracle linux", "ol"),
    ("fedora", "fedora"),
    ("sles_sap", "sles_sap"),
    ("sle_hpc", "sle_hpc"),
    ("sles", "sles"),
    ("suse linux enterprise server", "sles"),
    ("suse linux micro", "sl-micro"),
    ("sle micro", "sle-micro"),
    ("opensuse leap", "opensuse-leap"),
    ("opensuse tumbleweed", "opensuse-tumbleweed"),
    ("bottlerocket", BOTTLEROCKET),
    ("vmware photon", "photon"),
    ("raspbian", "raspbian"),
    ("common base linux mariner", "mariner"),
    ("microsoft azure linux", "azurelinux"),
)
_WINDOWS = re.compile(r"Windows (Server )?([0-9]{2}H[12]|[0-9]{2,4}(?: R2)?)", re.IGNORECASE)
_NUMBERS = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6}){0,3}")


class Platform(NamedTuple):
    """What an agent reports of its system; `type` is Linux, Windows, MacOS or empty."""

    name: str = ""
    version: str = ""
    type: str = ""


UNKNOWN: Final = Platform()


def platform_of(entry: Entry) -> Platform:
    """Return the platform of an AWS:InstanceInformation entry."""
    names = ("PlatformName", "PlatformVersion", "PlatformType")
    return Platform(*(entry.get(name, "") for name in names))


def system_of(platform: Platform) -> OperatingSystem:
    """Return a machine's operating system; its id is empty for a platform that is not known."""
    name, version = platform.name[:_MAX].strip(), platform.version[:_MAX].strip()
    platform_type = platform.type
    if not name.isprintable() or not version.isprintable():
        return OperatingSystem()
    lower = name.lower()
    if platform_type.lower() == "macos" or lower.startswith(("macos", "mac os")):
        return OperatingSystem(MACOS, version, f"macOS {version}".strip())
    if platform_type.lower() == "windows" or "windows" in lower:
        match = _WINDOWS.search(name)
        identity = WINDOWS_SERVER if "server" in lower else WINDOWS
        return OperatingSystem(identity, match[2] if match else "", name)
    identity = next((known for start, known in _LINUX if lower.startswith(start)), "")
    return OperatingSystem(identity, _linux_version(identity, version), f"{name} {version}".strip())


def _linux_version(identity: str, version: str) -> str:
    """Return VERSION_ID; of a point release of Debian the major version, as os-release has it."""
    match = _NUMBERS.search(version)
    number = match[0] if match else ""
    return number.partition(".")[0] if identity == "debian" else number
