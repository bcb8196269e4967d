"""uv.lock. Source: uv's documentation ("Project structure and files"), and its own files."""

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
from sidelight.inventory.language.pypiorigin import Indexes, archive
from sidelight.inventory.language.safe_parsers import mapping, parse_toml, sequence
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCAL: Final = ("editable", "virtual", "directory")


def _parse(file: WantedFile) -> Iterator[Entry | RelatedEntry]:
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
    indexes = Indexes(map(_drawn, packages))
    for found in packages:
        name, version = text(found.get("name")), text(found.get("version"))
        if _is_local(found) or not version:
            continue
        direct = name in run or name in develop if local else None
        dev = name not in shipped if local else None
        details = PackageDetails(direct=direct, dev=dev, origin=_origin(indexes, found))
        entry = pypi(file.path, name, version, details)
        yield related(entry, (name, f"{name}=={version}"), _resolved(found))


def _drawn(found: dict[str, object]) -> Drawn:
    url = text(mapping(found.get("source"), "source").get("registry"))
    return Drawn(text(found.get("name")), host(url), tuple(_runs(found)))


def _origin(indexes: Indexes, found: dict[str, object]) -> Origin:
    source = mapping(found.get("source"), "source")
    if repository := text(source.get("git")):
        return git(repository)
    if url := text(source.get("url")) or text(source.get("path")):
        return archive(url)
    return indexes.of(text(source.get("registry")))


def _is_local(found: dict[str, object]) -> bool:
    source = mapping(found.get("source"), "source")
    return any(kind in source for kind in _LOCAL)


def _runs(found: dict[str, object]) -> Iterator[str]:
    yield from _names(found.get("dependencies"))
    yield from _grouped(found, "optional-dependencies")


def _grouped(found: dict[str, object], key: str) -> Iterator[str]:
    for group in mapping(found.get(key), key).values():
        yield from _names(group)


def _resolved(found: dict[str, object]) -> Iterator[str]:
    """Names, with the version where the file has several of one."""
    groups = mapping(found.get("optional-dependencies"), "optional-dependencies").values()
    for group in (found.get("dependencies"), *groups):
        for item in sequence(group, "dependencies"):
            needed = mapping(item, "a dependency")
            name, version = text(needed.get("name")), text(needed.get("version"))
            yield f"{name}=={version}" if version else name


def _names(value: object) -> Iterator[str]:
    for item in sequence(value, "dependencies"):
        yield text(mapping(item, "a dependency").get("name"))


EXTRACTOR: Final = GeneratorExtractor(
    "language/python-uv-lock",
    Wants(names=frozenset({"uv.lock"}), confirm=is_project, limit=8 << 20),
    _parse,
)
