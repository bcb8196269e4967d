"""poetry.lock, versions 1 and 2. Source: Poetry's documentation, and the files that it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.dependencygraph import reachable
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.origin import Drawn, Origin, git, host
from sidelight.inventory.language.package_builder import (
    Entry,
    PackageDetails,
    RelatedEntry,
    pypi,
    related,
)
from sidelight.inventory.language.public_registries import PYPI_DEFAULT
from sidelight.inventory.language.pypiorigin import Indexes, archive
from sidelight.inventory.language.pypirequirements import is_for_extra
from sidelight.inventory.language.pyproject import (
    PyprojectRequirements,
    normal,
    requirements_beside,
)
from sidelight.inventory.language.safe_parsers import mapping, parse_toml, sequence
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text

if TYPE_CHECKING:
    from collections.abc import Iterator


def _parse(file: WantedFile) -> Iterator[Entry | RelatedEntry]:
    packages = [
        mapping(item, "a package")
        for item in sequence(parse_toml(file.read()).get("package"), "package")
    ]
    requested = requirements_beside(file)
    shipped = None if requested is None else _shipped(packages, requested)
    indexes = Indexes(map(_drawn, packages))
    for found in packages:
        name = text(found.get("name"))
        source = _origin(indexes, mapping(found.get("source"), "source"))
        if source is None:
            continue
        direct = None
        if requested is not None:
            direct = normal(name) in requested.run or normal(name) in requested.develop
        details = PackageDetails(direct=direct, dev=_dev(found, shipped), origin=source)
        entry = pypi(file.path, name, text(found.get("version")), details)
        yield related(entry, (normal(name),), _required(found))


def _required(found: dict[str, object]) -> Iterator[str]:
    """The names that a package requires, without those of its extras."""
    for name, value in mapping(found.get("dependencies"), "dependencies").items():
        options = value if isinstance(value, list) else [value]
        markers = (text(item.get("markers")) if isinstance(item, dict) else "" for item in options)
        if not all(map(is_for_extra, markers)):
            yield normal(name)


def _drawn(found: dict[str, object]) -> Drawn:
    """A package without a source is PyPI's; `legacy` is another index."""
    source = mapping(found.get("source"), "source")
    url = text(source.get("url")) if source else PYPI_DEFAULT
    is_index = not source or source.get("type") == "legacy"
    needs = mapping(found.get("dependencies"), "dependencies")
    return Drawn(normal(text(found.get("name"))), host(url) if is_index else "", tuple(needs))


def _origin(indexes: Indexes, source: dict[str, object]) -> Origin | None:
    """None for a directory of the project's own."""
    kind, url = source.get("type"), text(source.get("url"))
    if kind == "directory":
        return None
    if kind == "git":
        return git(url, text(source.get("resolved_reference")))
    return archive(url) if kind in {"file", "url"} else indexes.of(url)


def _dev(found: dict[str, object], shipped: set[str] | None) -> bool | None:
    groups = found.get("groups")
    if isinstance(groups, list) and groups:  # since lock version 2.1
        return "main" not in groups
    if category := text(found.get("category")):  # until lock version 1.1
        return category == "dev"
    return None if shipped is None else normal(text(found.get("name"))) not in shipped


def _shipped(packages: list[dict[str, object]], requested: PyprojectRequirements) -> set[str]:
    needs = {
        normal(text(found.get("name"))): [
            normal(name) for name in mapping(found.get("dependencies"), "dependencies")
        ]
        for found in packages
    }
    return reachable(requested.run, lambda name: needs.get(name, ()))


EXTRACTOR: Final = GeneratorExtractor(
    "language/python-poetry-lock",
    Wants(names=frozenset({"poetry.lock"}), confirm=is_project, limit=8 << 20),
    _parse,
)
