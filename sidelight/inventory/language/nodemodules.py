"""Installed npm packages: package.json in node_modules, and in an unpacked release's directory.

An application's own package.json, and those that a package carries for its tests, say nothing of
what is installed and are left alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.nodepackage import installed_package
from sidelight.inventory.language.safe_parsers import mapping, parse_json
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.inventory.language.package_builder import Entry, RelatedEntry

_IN_NODE_MODULES: Final = re.compile(r"(?:.*/)?node_modules/(?:@[^/]+/)?[^/@.][^/]*/package\.json")
# `yarn-v1.22.19/package.json`: where a release was unpacked by hand.
_RELEASE: Final = re.compile(r"(?:.*/)?([^/]+)[-@]v?([0-9]+\.[0-9]+\.[0-9][^/]*)/package\.json")


def _installed(path: str) -> bool:
    return bool(_IN_NODE_MODULES.fullmatch(path) or _RELEASE.fullmatch(path))


def _parse(file: WantedFile) -> Iterator[Entry | RelatedEntry]:
    manifest = file.read()
    if not _IN_NODE_MODULES.fullmatch(file.path):
        data = mapping(parse_json(manifest), "package.json")
        named = text(data.get("name")).rpartition("/")[2], text(data.get("version"))
        release = _RELEASE.fullmatch(file.path)
        if release is None or named != release.groups():
            return
    yield from installed_package(file.path, manifest)


EXTRACTOR: Final = GeneratorExtractor(
    "language/npm-installed",
    Wants(names=frozenset({"package.json"}), confirm=_installed, limit=8 << 20),
    _parse,
)
