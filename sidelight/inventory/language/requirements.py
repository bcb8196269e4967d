"""requirements.txt: what is pinned (`name==version`); a range names no installed version.

Source: pip's "Requirements File Format", and the dependency specifiers specification.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.package_builder import Entry, PackageDetails, pypi
from sidelight.inventory.language.pypiorigin import archive
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator

_PINNED: Final = re.compile(
    r"\s*+([A-Za-z0-9][A-Za-z0-9._-]*+)\s*+(?:\[[^\]]*+\]\s*+)?\(?\s*+"
    # other specifiers before the pin, such as `>=1.0,` or `==1.*,`
    r"(?:(?:[<>]=?+|!=|~=|==(?=\s*+[0-9.]++\*))\s*+[A-Za-z0-9!+._*-]++\s*+,\s*+)*"
    r"===?\s*+([A-Za-z0-9][A-Za-z0-9!+._-]*+)(?=[\s;#,)]|$)"
)
# `name @ https://example.com/name-1.0-py3-none-any.whl`: an archive's name has its version.
_ARCHIVE: Final = re.compile(
    r"\s*+([A-Za-z0-9][A-Za-z0-9._-]*+)\s*+(?:\[[^\]]*+\]\s*+)?@\s*+((?:https?|file):\S*?/"
    r"[A-Za-z0-9_.]++-([0-9][A-Za-z0-9!+._]*?)(?:-[\w.-]+\.whl|\.tar\.gz|\.zip))(?=[\s;#]|$)"
)
LINE_LIMIT: Final = 4096  # characters


def _wanted(path: str) -> bool:
    base = path.rpartition("/")[2].lower()
    return is_project(path) and ("requirements" in base)


def _parse(file: WantedFile) -> Iterator[Entry]:
    text = _decoded(file.read()).replace("\\\r\n", " ").replace("\\\n", " ")
    for line in text.splitlines():
        # Blanks may be many; what is between them may not be long.
        text = line if len(line) <= LINE_LIMIT else " ".join(line.split())[:LINE_LIMIT]
        if match := _PINNED.match(text):
            yield pypi(file.path, match[1], match[2])
        elif match := _ARCHIVE.match(line[:LINE_LIMIT]):
            yield pypi(file.path, match[1], match[3], PackageDetails(origin=archive(match[2])))


def _decoded(data: bytes) -> str:
    """Windows shells write UTF-16 with `pip freeze > requirements.txt`."""
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return data.decode("utf-16", "replace")
    return data.decode("utf-8-sig", "replace")


EXTRACTOR: Final = GeneratorExtractor(
    "language/python-requirements",
    Wants(suffixes=frozenset({".txt"}), confirm=_wanted, limit=8 << 20),
    _parse,
)
