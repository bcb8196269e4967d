"""NAME.deps.json: what a .NET program was published with.

Source: the .NET runtime's "Runtime configuration files" specification.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sidelight.inventory.language.entry import Details, Entry, flat
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.structured import mapping, parse_json, text
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator

# A self-contained program carries its runtime: `runtimepack.` before the name of its package.
_RUNTIME_PACK: Final = "runtimepack."


def _wanted(path: str) -> bool:
    return path.endswith(".deps.json")


def _parse(file: WantedFile) -> Iterator[Entry]:
    data = mapping(parse_json(file.read()), "deps.json")
    libraries = mapping(data.get("libraries"), "libraries")
    direct = _asked(data, libraries)
    for key, value in libraries.items():
        name, slash, version = key.partition("/")
        kind = text(mapping(value, "a library").get("type")).lower()
        if kind not in {"package", "runtimepack"}:
            continue  # `project` is the program itself, `reference` a file of nobody's
        name = name.removeprefix(_RUNTIME_PACK)
        asked = None if direct is None else name in direct
        yield flat(file.path, "nuget", name, version if slash else "", Details(direct=asked))


def _asked(data: dict[str, Any], libraries: dict[str, Any]) -> set[str] | None:
    """What the projects among the libraries depend on; None where there is no project."""
    projects = {
        key
        for key, value in libraries.items()
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


EXTRACTOR: Final = GeneratorExtractor(
    "language/dotnet-deps",
    Wants(suffixes=frozenset({".json"}), confirm=_wanted, limit=32 << 20),
    _parse,
)
