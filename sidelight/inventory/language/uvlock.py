"""uv.lock. Source: uv's documentation ("Project structure and files"), and its own files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sidelight.inventory.language.dependencygraph import reachable
from sidelight.inventory.language.entry import Details, Entry, pypi
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.structured import mapping, parse_toml, sequence, text
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCAL: Final = ("editable", "virtual", "directory")


def _parse(file: WantedFile) -> Iterator[Entry]:
    packages = [
        mapping(item, "a package")
        for item in sequence(parse_toml(file.read()).get("package"), "package")
    ]
    local = [found for found in packages if _is_local(found)]
    run = {name for found in local for name in _runs(found)}
    develop = {name for found in local for name in _grouped(found, "dev-dependencies")}
    needs: dict[str, list[str]] = {}
    for found in packages:
        needs.setdefault(text(found.get("name")), []).extend(_runs(found))
    shipped = reachable(run, lambda name: needs.get(name, ()))
    for found in packages:
        name, version = text(found.get("name")), text(found.get("version"))
        if _is_local(found) or not version:
            continue
        direct = name in run or name in develop if local else None
        dev = name not in shipped if local else None
        yield pypi(file.path, name, version, Details(direct=direct, dev=dev))


def _is_local(found: dict[str, Any]) -> bool:
    source = mapping(found.get("source"), "source")
    return any(kind in source for kind in _LOCAL)


def _runs(found: dict[str, Any]) -> Iterator[str]:
    yield from _names(found.get("dependencies"))
    yield from _grouped(found, "optional-dependencies")


def _grouped(found: dict[str, Any], key: str) -> Iterator[str]:
    for group in mapping(found.get(key), key).values():
        yield from _names(group)


def _names(value: Any) -> Iterator[str]:
    for item in sequence(value, "dependencies"):
        yield text(mapping(item, "a dependency").get("name"))


EXTRACTOR: Final = GeneratorExtractor(
    "language/python-uv-lock",
    Wants(names=frozenset({"uv.lock"}), confirm=is_project, limit=8 << 20),
    _parse,
)
