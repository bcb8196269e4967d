"""Zipped Python eggs: EGG-INFO/PKG-INFO within NAME-VERSION.egg. Source: setuptools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.errors import NotRecognisedError
from sidelight.inventory.language.coremetadata import HEADER_LIMIT, core_metadata
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.package_builder import Entry, PackageDetails, pypi
from sidelight.inventory.language.ziparchive import InflateBudget, ZipArchive
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator

METADATA: Final = "EGG-INFO/PKG-INFO"


def _parse(file: WantedFile) -> Iterator[Entry]:
    try:
        archive = ZipArchive(file.read_at, file.size, InflateBudget(4 * HEADER_LIMIT))
    except NotRecognisedError:
        return
    for member in archive.members():
        if member.name == METADATA:
            name, version, licence, _ = core_metadata(archive.read(member, 2 * HEADER_LIMIT))
            yield pypi(file.path, name, version, PackageDetails(licence))
            return


EXTRACTOR: Final = GeneratorExtractor(
    "language/python-egg",
    Wants(suffixes=frozenset({".egg"}), random_access=True, limit=1 << 30),
    _parse,
)
