"""Cargo.lock, versions 1 to 4. Source: the Cargo book, and the files that Cargo writes.

A crate's `source` says where it is from: crates.io by its git index or its sparse one, another
registry, or a git repository. A crate of this workspace has none. A mirror of crates.io never shows
here: Cargo's source replacement leaves crates.io's own address in the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.language import origin
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.package_builder import (
    Entry,
    PackageDetails,
    RelatedEntry,
    flat,
    related,
)
from sidelight.inventory.language.public_registries import CRATES
from sidelight.inventory.language.safe_parsers import mapping, parse_toml, sequence
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text

if TYPE_CHECKING:
    from collections.abc import Iterator


_PUBLIC: Final = frozenset(
    (
        "registry+https://github.com/rust-lang/crates.io-index",
        *(f"{kind}+https://{name}" for kind in ("sparse", "registry") for name in CRATES),
    )
)


def crate_origin(source: str) -> origin.Origin:
    """The origin that a lock file's `source` names; an empty one is a crate of the workspace."""
    if not source:
        return origin.local()
    kind, _, url = source.partition("+")
    if kind == "git":
        return origin.git(url)
    if kind == "path":
        return origin.local(url)
    return origin.PUBLIC if source.rstrip("/") in _PUBLIC else origin.registry(url or source)


def _parse(file: WantedFile) -> Iterator[Entry | RelatedEntry]:
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
        requested = (name in direct or f"{name} {version}" in direct) if local else None
        details = PackageDetails(direct=requested, origin=crate_origin(text(found.get("source"))))
        entry = flat(file.path, "cargo", name, version, details)
        source = text(found.get("source"))
        named = (name, f"{name} {version}", f"{name} {version} ({source})")
        yield related(entry, named, map(text, sequence(found.get("dependencies"), "dependencies")))


EXTRACTOR: Final = GeneratorExtractor(
    "language/cargo-lock",
    Wants(names=frozenset({"Cargo.lock"}), confirm=is_project, limit=8 << 20),
    _parse,
)
