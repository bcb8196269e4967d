"""Rust programs built with cargo-auditable: the crates in their `.dep-v0` section.

Source: cargo-auditable's PARSING document: zlib-compressed JSON. Each crate's `source` is one of
`crates.io`, `git`, `local`, `registry` (another one), or a word that later versions may add.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from sidelight.errors import DamagedError, LimitError, NotRecognisedError
from sidelight.inventory.language import origin
from sidelight.inventory.language.executable import program
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.package_builder import (
    Entry,
    PackageDetails,
    RelatedEntry,
    flat,
    related,
)
from sidelight.inventory.language.safe_parsers import mapping, parse_json, sequence
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTION: Final = ".dep-v0"
COMPRESSED_LIMIT: Final = 1 << 20  # bytes; a thousand crates have some 20 KiB
JSON_LIMIT: Final = 8 << 20  # bytes, the limit of cargo-auditable's own reader


def _parse(file: WantedFile) -> Iterator[Entry | RelatedEntry]:
    try:
        section = program(file.read_at).section(SECTION)
    except NotRecognisedError:
        return
    if section is None:
        return
    if section.size > COMPRESSED_LIMIT:
        raise LimitError(f"a {SECTION} section of {section.size} bytes")
    packages = [
        mapping(item, "a crate")
        for item in sequence(
            mapping(
                parse_json(_inflated(file.read_at(section.offset, section.size))), "crates"
            ).get("packages"),
            "packages",
        )
    ]
    direct = {
        index
        for found in packages
        if found.get("root")
        for index in sequence(found.get("dependencies"), "dependencies")
        if isinstance(index, int)
    }
    for index, found in enumerate(packages):
        if found.get("kind") == "build":
            continue  # it ran where the program was built, and is not in it
        source = text(found.get("source"))
        details = PackageDetails(direct=index in direct, dev=False, origin=_origin(source))
        name, version = text(found.get("name")), text(found.get("version"))
        needs = map(str, sequence(found.get("dependencies"), "dependencies"))
        yield related(flat(file.path, "cargo", name, version, details), (str(index),), needs)


def _origin(source: str) -> origin.Origin:
    """The section has the kind of a source, not its address. Without one it is crates.io's."""
    if source in {"", "crates.io", "CratesIo"}:
        return origin.PUBLIC
    if source == "local":
        return origin.local()
    return origin.git("unknown") if source == "git" else origin.registry(source)


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        out = inflater.decompress(data, JSON_LIMIT)
    except zlib.error as error:
        raise DamagedError(f"{SECTION}: {error}") from None
    if not inflater.eof:
        if inflater.unconsumed_tail:
            raise LimitError(f"{SECTION} inflates to more than {JSON_LIMIT} bytes")
        raise DamagedError(f"{SECTION} is cut short")
    return out


EXTRACTOR: Final = GeneratorExtractor(
    "language/rust-binary",
    Wants(suffixes=frozenset({".exe"}), executables=True, random_access=True, limit=4 << 30),
    _parse,
)
