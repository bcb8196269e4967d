"""Pipfile.lock. Source: the Pipfile specification's lock file (pipfile-spec 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.origin import Drawn, host
from sidelight.inventory.language.package_builder import Entry, PackageDetails, pypi
from sidelight.inventory.language.pypiorigin import Indexes
from sidelight.inventory.language.safe_parsers import mapping, parse_json, sequence
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text

if TYPE_CHECKING:
    from collections.abc import Iterator


def _parse(file: WantedFile) -> Iterator[Entry]:
    data = mapping(parse_json(file.read()), "the lock file")
    urls = _sources(mapping(data.get("_meta"), "_meta"))
    packages = [
        (section, name, mapping(value, "a package"))
        for section, locked in data.items()
        if section != "_meta"  # every other is a category of packages; `default` is what is shipped
        for name, value in mapping(locked, section).items()
    ]
    default = next(iter(urls.values()), "")
    indexes = Indexes(
        Drawn(name, host(urls.get(text(found.get("index")), default)))
        for _, name, found in packages
    )
    for section, name, found in packages:
        version = text(found.get("version")).lstrip("=")
        direct = True if "index" in found else None  # only what was asked for names its index
        if version:  # what comes from a path or from git has none
            source = indexes.of(urls.get(text(found.get("index")), default))
            details = PackageDetails(direct=direct, dev=section != "default", origin=source)
            yield pypi(file.path, name, version, details)


def _sources(meta: dict[str, object]) -> dict[str, str]:
    """The addresses of the indexes by name, the default one first."""
    sources = [mapping(item, "a source") for item in sequence(meta.get("sources"), "sources")]
    return {text(found.get("name")): text(found.get("url")) for found in sources}


EXTRACTOR: Final = GeneratorExtractor(
    "language/python-pipfile-lock",
    Wants(names=frozenset({"Pipfile.lock"}), confirm=is_project, limit=16 << 20),
    _parse,
)
