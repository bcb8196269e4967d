"""Cargo.lock, versions 1 to 4. Source: the Cargo book, and the files that Cargo writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.entry import Details, Entry, flat
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.structured import mapping, parse_toml, sequence, text
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator


def _parse(file: WantedFile) -> Iterator[Entry]:
    document = parse_toml(file.read())
    packages = [
        mapping(item, "a package")
        for key in ("root", "package")  # `root` stood apart in version 1's first form
        for item in (
            [document[key]]
            if isinstance(document.get(key), dict)
            else sequence(document.get(key), key)
        )
    ]
    # What has no source is a crate of this workspace; its dependencies are the direct ones.
    local = [found for found in packages if not found.get("source")]
    direct = {
        " ".join(text(item).split()[:2])
        for found in local
        for item in sequence(found.get("dependencies"), "dependencies")
    }
    for found in packages:
        name, version = text(found.get("name")), text(found.get("version"))
        asked = (name in direct or f"{name} {version}" in direct) if local else None
        yield flat(file.path, "cargo", name, version, Details(direct=asked))


EXTRACTOR: Final = GeneratorExtractor(
    "language/cargo-lock",
    Wants(names=frozenset({"Cargo.lock"}), confirm=is_project, limit=8 << 20),
    _parse,
)
