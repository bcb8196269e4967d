"""AWS:Application of Bottlerocket: its own list of packages, which its agent sends as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.os import bottlerocket
from sidelight.inventory.purl import distro_of
from sidelight.inventory.ssm.items import fault_of_texts

if TYPE_CHECKING:
    from sidelight.inventory.ssm.items import Entry
    from sidelight.model import OperatingSystem, Package

_PATH: Final = "/usr/share/bottlerocket/application-inventory.json"


def package(entry: Entry, system: OperatingSystem) -> Package | str:
    """Return an entry's package, or why it is none."""
    texts = [entry.get(key, "") for key in ("Release", "Epoch", "Architecture", "Publisher")]
    if fault := fault_of_texts(entry.get("Name", ""), entry.get("Version", ""), *texts):
        return fault
    found = bottlerocket.package_of(dict(entry), _PATH, distro_of(system))
    return found if found is not None else "an entry names no package"
