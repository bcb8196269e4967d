"""Installed npm packages: package.json in node_modules, and in an unpacked release's directory.

An application's own package.json, and those that a package carries for its tests, say nothing of
what is installed and are left alone.
Source: the package.json page of npm's documentation; npm 5 and 6 added `_requiredBy`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from sidelight.inventory.language.entry import Details, Entry, npm
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.structured import mapping, parse_json, text
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator

_IN_NODE_MODULES: Final = re.compile(r"(?:.*/)?node_modules/(?:@[^/]+/)?[^/@.][^/]*/package\.json")
# `yarn-v1.22.19/package.json`: where a release was unpacked by hand.
_RELEASE: Final = re.compile(r"(?:.*/)?([^/]+)[-@]v?([0-9]+\.[0-9]+\.[0-9][^/]*)/package\.json")


def _installed(path: str) -> bool:
    return bool(_IN_NODE_MODULES.fullmatch(path) or _RELEASE.fullmatch(path))


def _parse(file: WantedFile) -> Iterator[Entry]:
    data = mapping(parse_json(file.read()), "package.json")
    name, version = text(data.get("name")), text(data.get("version"))
    in_modules = _IN_NODE_MODULES.fullmatch(file.path)
    if not in_modules:
        release = _RELEASE.fullmatch(file.path)
        if release is None or (name.rpartition("/")[2], version) != release.groups():
            return
    if not version or not name:
        return  # a directory of an application's own, linked there: nothing was published
    direct, dev = _asked_for(data)
    yield npm(file.path, name, version, Details(_licence(data), direct, dev))


def _asked_for(data: dict[str, Any]) -> tuple[bool | None, bool | None]:
    required_by = data.get("_requiredBy")
    if not isinstance(required_by, list) or not required_by:
        return None, None
    roots = [item for item in required_by if isinstance(item, str)]
    direct = any(item in {"/", "#USER", "#DEV:/"} for item in roots)
    return direct, all(item.startswith("#DEV:") for item in roots) if roots else None


def _licence(data: dict[str, Any]) -> str:
    found = data.get("license", data.get("licenses"))
    items = found if isinstance(found, list) else [found]
    names = [
        text(item.get("type") or item.get("name")) if isinstance(item, dict) else text(item)
        for item in items
    ]
    return " OR ".join(name for name in names if name)


EXTRACTOR: Final = GeneratorExtractor(
    "language/npm-installed",
    Wants(names=frozenset({"package.json"}), confirm=_installed, limit=8 << 20),
    _parse,
)
