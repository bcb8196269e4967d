"""Stanzas of dpkg's status file, and the machine that they are of."""

from __future__ import annotations

from sidelight.inventory.protocol import Machine
from sidelight.model import OperatingSystem

DEBIAN_12 = OperatingSystem(id="debian", version_id="12")

DEBIAN_MACHINE = Machine(DEBIAN_12)


def dpkg_stanza(
    name: str, *, arch: str = "amd64", state: str = "installed", version: str = "1"
) -> str:
    status = f"Status: install ok {state}\n"
    return f"Package: {name}\n{status}Architecture: {arch}\nVersion: {version}\n\n"
