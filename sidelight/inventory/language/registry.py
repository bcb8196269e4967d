"""The language formats, as a written tuple."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.language import distinfo, nodemodules

if TYPE_CHECKING:
    from sidelight.inventory.protocol import Extractor

LANGUAGE_EXTRACTORS: Final[tuple[Extractor, ...]] = (
    distinfo.EXTRACTOR,
    nodemodules.EXTRACTOR,
)
