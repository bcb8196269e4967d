"""Pipfile.lock. Source: the Pipfile specification's lock file (pipfile-spec 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.entry import Details, Entry, pypi
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.structured import mapping, parse_json, text
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator


def _parse(file: WantedFile) -> Iterator[Entry]:
    data = mapping(parse_json(file.read()), "the lock file")
    for section, locked in data.items():
        if section == "_meta":
            continue  # every other section is a category of packages; `default` is what is shipped
        for name, value in mapping(locked, section).items():
            found = mapping(value, "a package")
            version = text(found.get("version")).lstrip("=")
            direct = True if "index" in found else None  # only what was asked for names its index
            if version:  # what comes from a path or from git has none
                dev = section != "default"
                yield pypi(file.path, name, version, Details(direct=direct, dev=dev))


EXTRACTOR: Final = GeneratorExtractor(
    "language/python-pipfile-lock",
    Wants(names=frozenset({"Pipfile.lock"}), confirm=is_project, limit=16 << 20),
    _parse,
)
