"""The libraries of a .NET program, by its deps.json.

Source: the .NET runtime's "Runtime configuration files" specification.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.package_builder import Entry, PackageDetails, flat
from sidelight.inventory.language.safe_parsers import mapping, parse_json
from sidelight.json_texts import text

if TYPE_CHECKING:
    from collections.abc import Iterator

# A self-contained program carries its runtime: `runtimepack.` before the name of its package.
_RUNTIME_PACK: Final = "runtimepack."


def libraries(path: str, document: bytes) -> Iterator[Entry]:
    """The packages of a deps.json that is in the file `path`."""
    data = mapping(parse_json(document), "deps.json")
    found = mapping(data.get("libraries"), "libraries")
    direct = _requested(data, found)
    for key, value in found.items():
        name, slash, version = key.partition("/")
        kind = text(mapping(value, "a library").get("type")).lower()
        if kind not in {"package", "runtimepack"}:
            continue  # `project` is the program itself, `reference` a file of nobody's
        name = name.removeprefix(_RUNTIME_PACK)
        requested = None if direct is None else name in direct
        yield flat(path, "nuget", name, version if slash else "", PackageDetails(direct=requested))


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
