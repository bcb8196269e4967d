"""The libraries of a .NET program, by its deps.json.

Source: the .NET runtime's "Runtime configuration files" specification.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.package_builder import (
    Entry,
    PackageDetails,
    RelatedEntry,
    flat,
    related,
)
from sidelight.inventory.language.safe_parsers import mapping, parse_json
from sidelight.json_texts import text

if TYPE_CHECKING:
    from collections.abc import Iterator

# A self-contained program carries its runtime: `runtimepack.` before the name of its package.
_RUNTIME_PACK: Final = "runtimepack."


def libraries(path: str, document: bytes) -> Iterator[Entry | RelatedEntry]:
    """The packages of a deps.json that is in the file `path`."""
    data = mapping(parse_json(document), "deps.json")
    found = mapping(data.get("libraries"), "libraries")
    direct, needs = _requested(data, found), _needs(data)
    for key, value in found.items():
        name, slash, version = key.partition("/")
        kind = text(mapping(value, "a library").get("type")).lower()
        if kind not in {"package", "runtimepack"}:
            continue  # `project` is the program itself, `reference` a file of nobody's
        name = name.removeprefix(_RUNTIME_PACK)
        requested = None if direct is None else name in direct
        details = PackageDetails(direct=requested)
        entry = flat(path, "nuget", name, version if slash else "", details)
        yield related(entry, (key.lower(),), needs.get(key))


def _needs(data: dict[str, object]) -> dict[str, list[str]]:
    """What each library of the targets requires, `name/version` in lower case."""
    needs: dict[str, list[str]] = {}
    for target in mapping(data.get("targets"), "targets").values():
        for key, value in mapping(target, "a target").items():
            found = mapping(value, "a library")
            required = mapping(found.get("dependencies"), "dependencies")
            needs.setdefault(key, []).extend(
                f"{name}/{text(version)}".lower() for name, version in required.items()
            )
    return needs


def _requested(data: dict[str, object], found: dict[str, object]) -> set[str] | None:
    """What the projects among the libraries depend on; None where there is no project."""
    projects = {
        key
        for key, value in found.items()
        if isinstance(value, dict) and text(value.get("type")).lower() == "project"
    }
    if not projects:
        return None
    return {
        name
        for target in mapping(data.get("targets"), "targets").values()
        for key, value in mapping(target, "a target").items()
        if key in projects and isinstance(value, dict)
        for name in mapping(value.get("dependencies"), "dependencies")
    }
