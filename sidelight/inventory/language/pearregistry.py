"""PHP packages that pear and pecl installed: .registry/NAME.reg, a serialized array.

No feed has advisories for them, so a scan lists them as not covered.
Sources: PEAR's manual ("The PEAR registry"), PHP's serialize().
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.package_builder import Entry, flat
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLACE: Final = re.compile(r"(?:.*/)?\.registry/(?:\.channel\.[^/]+/)?[^/]+\.reg")
_NAME: Final = re.compile(rb's:4:"name";s:\d{1,4}:"([^"\0]{1,256})"')
# Of the package: {s:7:"release";s:5:"1.4.0";…}, before 2005 s:7:"version";s:5:"1.4.0".
_VERSION: Final = re.compile(
    rb's:7:"version";(?:a:\d{1,4}:\{s:7:"release";)?s:\d{1,4}:"([^"\0]{1,256})"'
)


def _parse(file: WantedFile) -> Iterator[Entry]:
    data = file.read()
    name, version = _NAME.search(data), _VERSION.search(data)
    if name and version:
        yield flat(
            file.path,
            "pear",
            name[1].decode("utf-8", "replace"),
            version[1].decode("utf-8", "replace"),
        )
    else:
        yield Problem(f"/{file.path}", "an entry of PEAR's registry without a name or version")


EXTRACTOR: Final = GeneratorExtractor(
    "language/pear-installed",
    Wants(
        suffixes=frozenset({".reg"}),
        confirm=lambda path: bool(_PLACE.fullmatch(path)),
        limit=16 << 20,
    ),
    _parse,
)
