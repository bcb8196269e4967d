"""An installed npm package, by its package.json.

Source: the package.json page of npm's documentation; npm 5 and 6 added `_requiredBy`, `_resolved`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.dependencies.declarations import Declaration
from sidelight.inventory.language import origin
from sidelight.inventory.language.nodeplaces import MODULES, needs_of
from sidelight.inventory.language.npmorigin import LockfileOrigins
from sidelight.inventory.language.package_builder import (
    Entry,
    PackageDetails,
    RelatedEntry,
    npm,
)
from sidelight.inventory.language.safe_parsers import mapping, parse_json
from sidelight.json_texts import text
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

_PNPM: Final = "/.pnpm/"


def installed_package(path: str, manifest: bytes) -> Iterator[Entry | RelatedEntry]:
    """The package whose package.json is at `path`; none for one without a name or a version.

    Raises FormatError.
    """
    data = mapping(parse_json(manifest), "package.json")
    name, version = text(data.get("name")), text(data.get("version"))
    if not version or not name:
        if "version" in data and not isinstance(data["version"], str):
            yield Problem(f"/{path}", "a package.json whose version is not text")
        return  # a directory of an application's own, linked there: nothing was published
    direct, dev = _asked_for(data)
    details = PackageDetails(_licence(data), direct, dev, origin=_origin(data))
    entry = npm(path, name, version, details)
    # What pnpm keeps in its store finds the others by links, which are not followed.
    yield entry if _PNPM in path else _related(path, entry, needs_of(data))


def _related(path: str, entry: Entry, needs: list[str]) -> RelatedEntry:
    """The entry, with where it is and what it looks for above."""
    directory = "/" + path.rpartition("/")[0]
    above, modules, name = directory.rpartition("/" + MODULES)
    scope = f"{above}{modules[:-1]}" if modules else directory
    return RelatedEntry(entry, Declaration((name,), tuple(needs), scope, directory))


def _origin(data: dict[str, object]) -> origin.Origin:
    """The address that npm 5 and 6 wrote into the file; a file without it shows nothing."""
    url = text(data.get("_resolved"))
    return LockfileOrigins(()).of(url) if "://" in url or url.startswith("git") else origin.PUBLIC


def _asked_for(data: dict[str, object]) -> tuple[bool | None, bool | None]:
    required_by = data.get("_requiredBy")
    if not isinstance(required_by, list) or not required_by:
        return None, None
    roots = [item for item in required_by if isinstance(item, str)]
    direct = any(item in {"/", "#USER", "#DEV:/"} for item in roots)
    return direct, all(item.startswith("#DEV:") for item in roots) if roots else None


def _licence(data: dict[str, object]) -> str:
    found = data.get("license", data.get("licenses"))
    items = found if isinstance(found, list) else [found]
    names = [
        text(item.get("type") or item.get("name")) if isinstance(item, dict) else text(item)
        for item in items
    ]
    return " OR ".join(name for name in names if name)
