"""An extractor that shows which files no package owns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.inventory.protocol import Extraction, Wants
from sidelight.model import Package

if TYPE_CHECKING:
    from sidelight.inventory.protocol import Machine, WantedFile


class Every:
    """Takes each `.own` file that nobody owns."""

    name = "language/every"
    wants = Wants(suffixes=frozenset((".own",)))

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:
        del machine
        path = f"/{file.path}"
        return Extraction([Package("generic", path, "1", path, f"pkg:generic/{file.path}@1")])
