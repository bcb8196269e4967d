"""poetry.lock, versions 1 and 2. Source: Poetry's documentation, and the files that it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sidelight.inventory.language.dependencygraph import reachable
from sidelight.inventory.language.entry import Details, Entry, pypi
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.pyproject import Asked, asked_beside, normal
from sidelight.inventory.language.structured import mapping, parse_toml, sequence, text
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator


def _parse(file: WantedFile) -> Iterator[Entry]:
    packages = [
        mapping(item, "a package")
        for item in sequence(parse_toml(file.read()).get("package"), "package")
    ]
    asked = asked_beside(file)
    shipped = None if asked is None else _shipped(packages, asked)
    for found in packages:
        name = text(found.get("name"))
        source = mapping(found.get("source"), "source").get("type")
        if source == "directory":
            continue
        direct = None
        if asked is not None:
            direct = normal(name) in asked.run or normal(name) in asked.develop
        details = Details(direct=direct, dev=_dev(found, shipped))
        yield pypi(file.path, name, text(found.get("version")), details)


def _dev(found: dict[str, Any], shipped: set[str] | None) -> bool | None:
    groups = found.get("groups")
    if isinstance(groups, list) and groups:  # since lock version 2.1
        return "main" not in groups
    if category := text(found.get("category")):  # until lock version 1.1
        return category == "dev"
    return None if shipped is None else normal(text(found.get("name"))) not in shipped


def _shipped(packages: list[dict[str, Any]], asked: Asked) -> set[str]:
    needs = {
        normal(text(found.get("name"))): [
            normal(name) for name in mapping(found.get("dependencies"), "dependencies")
        ]
        for found in packages
    }
    return reachable(asked.run, lambda name: needs.get(name, ()))


EXTRACTOR: Final = GeneratorExtractor(
    "language/python-poetry-lock",
    Wants(names=frozenset({"poetry.lock"}), confirm=is_project, limit=8 << 20),
    _parse,
)
