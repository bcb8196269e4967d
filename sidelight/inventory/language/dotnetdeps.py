"""NAME.deps.json: what a .NET program was published with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.dotnetlibraries import libraries
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.inventory.language.package_builder import Entry, RelatedEntry


def _wanted(path: str) -> bool:
    return path.endswith(".deps.json")


def _parse(file: WantedFile) -> Iterator[Entry | RelatedEntry]:
    yield from libraries(file.path, file.read())


EXTRACTOR: Final = GeneratorExtractor(
    "language/dotnet-deps",
    Wants(suffixes=frozenset({".json"}), confirm=_wanted, limit=32 << 20),
    _parse,
)
