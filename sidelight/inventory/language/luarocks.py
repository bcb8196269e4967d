"""Installed rocks of Lua: lib/luarocks/rocks-5.4/NAME/VERSION, with a manifest and a rockspec.

No feed has advisories for them, so a scan lists them as not covered.
Sources: LuaRocks' documentation ("File locations"), the purl specification's type luarocks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.package_builder import Entry, flat
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator

_MANIFEST: Final = "rock_manifest"
_PLACE: Final = re.compile(
    r"((?:.*/)?luarocks/rocks(?:-\d\.\d)?/([^/]+)/([^/]+))/(?:rock_manifest|[^/]+\.rockspec)"
)


def _parse(file: WantedFile) -> Iterator[Entry]:
    if (place := _PLACE.fullmatch(file.path)) is not None:
        # Both files are of one rock, and either may be lost.
        yield flat(f"{place[1]}/{_MANIFEST}", "luarocks", place[2].lower(), place[3])


EXTRACTOR: Final = GeneratorExtractor(
    "language/lua-installed",
    Wants(
        names=frozenset({_MANIFEST}),
        suffixes=frozenset({".rockspec"}),
        confirm=lambda path: bool(_PLACE.fullmatch(path)),
        limit=16 << 20,
    ),
    _parse,
)
