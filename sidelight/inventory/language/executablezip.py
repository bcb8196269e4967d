"""Programs that are zip archives behind a first line for the kernel, whatever their names are.

pex and shiv write such files for Python, Spring Boot for Java; their own manuals call them without
a suffix (`shiv -o ~/bin/http`). A zip archive with an executable bit alone is looked at too.
Sources: the standard library's zipapp, pex's and shiv's documentation, Spring Boot's ("Installing
Spring Boot Applications").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.errors import NotRecognisedError
from sidelight.inventory.language import javaarchive, zipapp
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.ziparchive import InflateBudget, ZipArchive
from sidelight.inventory.protocol import ReadAhead, WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.inventory.language.package_builder import Entry, RelatedEntry

_OF_PYTHON: Final = "__main__.py"
_OF_JAVA: Final = "META-INF/MANIFEST.MF"


def _parse(file: WantedFile) -> Iterator[Entry | RelatedEntry | ReadAhead]:
    try:
        archive = ZipArchive(file.read_at, file.size, InflateBudget(zipapp.BUDGET))
    except NotRecognisedError:
        return  # a script
    names = {member.name for member in archive.members()} & {_OF_PYTHON, _OF_JAVA}
    if _OF_PYTHON in names:
        yield from zipapp.EXTRACTOR.parse(file)
    if _OF_JAVA in names:
        yield from javaarchive.EXTRACTOR.parse(file)


EXTRACTOR: Final = GeneratorExtractor(
    "language/executable-zip",
    Wants(executable_archives=True, random_access=True, limit=8 << 30),
    _parse,
)
