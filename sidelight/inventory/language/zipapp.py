"""Python programs in one zip file: pex, shiv and zipapps, with the distributions inside.

Source: the standard library's zipapp; pex puts distributions into `.deps/`, shiv into
`site-packages/`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.errors import FormatError, LimitError, NotRecognisedError
from sidelight.inventory.language.coremetadata import HEADER_LIMIT, core_metadata
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.package_builder import Entry, PackageDetails, pypi
from sidelight.inventory.language.ziparchive import InflateBudget, ZipArchive
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

BUDGET: Final = 256 << 20  # bytes inflated for one file
METADATA_LIMIT: Final = 5_000  # distributions of one file
_METADATA: Final = (".dist-info/METADATA", ".egg-info/PKG-INFO", "EGG-INFO/PKG-INFO")


def _parse(file: WantedFile) -> Iterator[Entry]:
    try:
        archive = ZipArchive(file.read_at, file.size, InflateBudget(BUDGET))
    except NotRecognisedError:
        return  # compiled resources and other files have such suffixes
    count = 0
    for member in archive.members():
        if not member.name.endswith(_METADATA):
            continue
        count += 1
        if count > METADATA_LIMIT:
            raise LimitError(f"more than {METADATA_LIMIT} distributions in one file")
        file.check_time()
        try:
            name, version, licence, _ = core_metadata(archive.read(member, 2 * HEADER_LIMIT))
        except FormatError as error:
            yield Problem(f"/{file.path}!/{member.name}", error.what)
        else:
            yield pypi(f"{file.path}!/{member.name}", name, version, PackageDetails(licence))


EXTRACTOR: Final = GeneratorExtractor(
    "language/python-zipapp",
    Wants(suffixes=frozenset({".pex", ".pyz", ".shiv"}), random_access=True, limit=2 << 30),
    _parse,
)
