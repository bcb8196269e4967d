"""Snaps in AWS:Application, which the agent appends where snapd runs: PackageId `pkg:snap/…`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.purl import format_purl
from sidelight.inventory.ssm.items import fault_of_texts
from sidelight.model import Package

if TYPE_CHECKING:
    from sidelight.inventory.ssm.items import Entry

_PATH: Final = "/var/lib/snapd/state.json"


def is_snap(entry: Entry) -> bool:
    """Return whether an entry of AWS:Application is a snap."""
    return entry.get("PackageId", "").startswith("pkg:snap/")


def package(entry: Entry) -> Package | str:
    """Return an entry's snap, or why it is none."""
    name, version, arch = (entry.get(key, "") for key in ("Name", "Version", "Architecture"))
    if fault := fault_of_texts(name, version, arch):
        return fault
    qualifiers = (("arch", arch),)
    return Package(
        type="snap",
        name=name,
        version=version,
        path=_PATH,
        purl=format_purl("snap", "", name, version, qualifiers),
        arch=arch,
    )
