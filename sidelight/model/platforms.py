"""Names of operating systems, as Inspector writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sidelight.model.software import OperatingSystem

# os-release's ID -> Inspector's name. Others are their ID in capitals.
_NAMES: Final = {
    "amzn": "AMAZON_LINUX",
    "rhel": "REDHAT",
    "ol": "ORACLE_LINUX",
    "almalinux": "ALMALINUX",
    "rocky": "ROCKY_LINUX",
    "sles": "SUSE_SERVER",
    "opensuse-leap": "OPENSUSE",
}
# Named by the major version alone.
_MAJOR: Final = frozenset({"debian", "rhel", "ol", "almalinux", "rocky", "centos"})
_LONGEST: Final = 64  # characters; os-release is a scanned machine's


def platform_name(os: OperatingSystem) -> str:
    """Return a name as `UBUNTU_22_04` or `AMAZON_LINUX_2023`; empty for an unknown system.

    Source: `platform` in Inspector's findings.
    """
    name = _NAMES.get(os.id, os.id)
    if not name:
        return ""
    version = os.version_id
    if os.id in _MAJOR:
        version = version.partition(".")[0]
    text = f"{name}_{version}" if version and os.id != "bottlerocket" else name
    plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in text.upper())
    return plain[:_LONGEST]
