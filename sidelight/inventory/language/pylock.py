"""pylock.toml and pylock.NAME.toml. Source: the pylock.toml specification (PEP 751)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.entry import Entry, pypi
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.structured import mapping, parse_toml, sequence, text
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator


def _wanted(path: str) -> bool:
    base = path.rpartition("/")[2]
    return is_project(path) and (base == "pylock.toml" or base.startswith("pylock."))


def _parse(file: WantedFile) -> Iterator[Entry]:
    for item in sequence(parse_toml(file.read()).get("packages"), "packages"):
        found = mapping(item, "a package")
        version = text(found.get("version"))
        if version and "directory" not in found:  # what is built from a source tree may have none
            yield pypi(file.path, text(found.get("name")), version)


EXTRACTOR: Final = GeneratorExtractor(
    "language/python-pylock",
    Wants(suffixes=frozenset({".toml"}), confirm=_wanted, limit=8 << 20),
    _parse,
)
