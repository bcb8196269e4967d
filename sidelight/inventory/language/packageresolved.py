"""Package.resolved of the Swift Package Manager, versions 1 to 3.

A package is its repository: its name, and what advisories call it, is the repository's address.
Source: the Swift Package Manager's documentation, the purl type `swift`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.origin import ADDRESS_LIMIT, registry
from sidelight.inventory.language.package_builder import Entry, PackageDetails, swift
from sidelight.inventory.language.safe_parsers import mapping, parse_json, sequence
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text

if TYPE_CHECKING:
    from collections.abc import Iterator

_ADDRESS: Final = re.compile(
    r"(?:[a-z+]+://)?(?:[^/@]*@)?([\w.-]+)(?::[0-9]+)?[/:]+(.+?)(?:\.git)?/?"
)
_LOCAL: Final = frozenset(("fileSystem", "localSourceControl"))


def _parse(file: WantedFile) -> Iterator[Entry]:
    data = mapping(parse_json(file.read()), "Package.resolved")
    pins = data.get("pins") or mapping(data.get("object"), "object").get("pins")
    for item in sequence(pins, "pins"):
        found = mapping(item, "a pin")
        if found.get("kind") in _LOCAL:
            continue
        state = mapping(found.get("state"), "state")
        # A branch has no version: then its commit is one.
        version = text(state.get("version")) or text(state.get("revision"))
        yield _package(file.path, found, version)


def _package(path: str, found: dict[str, object], version: str) -> Entry:
    if found.get("kind") == "registry":
        identity = text(found.get("identity"))
        return swift(
            path, identity.replace(".", "/", 1), version, PackageDetails(origin=registry("swift"))
        )
    address = text(found.get("location")) or text(found.get("repositoryURL"))
    match = _ADDRESS.fullmatch(address[:ADDRESS_LIMIT])
    return swift(path, f"{match[1].lower()}/{match[2]}" if match else address, version)


EXTRACTOR: Final = GeneratorExtractor(
    "language/swift-lock",
    Wants(names=frozenset({"Package.resolved"}), limit=8 << 20),
    _parse,
)
