"""Programs that `cargo install` built: .crates.toml in Cargo's directory, or in `--root`'s.

Their own crates with their versions; what they were built from is in the programs, where
cargo-auditable wrote it. Source: the Cargo book ("cargo install").
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.cargolock import crate_origin
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.package_builder import Entry, PackageDetails, flat
from sidelight.inventory.language.safe_parsers import mapping, parse_toml
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

# `"ripgrep 14.1.0 (registry+https://github.com/rust-lang/crates.io-index)" = ["rg"]`
_CRATE: Final = re.compile(r"(\S+) (\S+) \(([^()\s]+)\)")


def _parse(file: WantedFile) -> Iterator[Entry]:
    for key in mapping(parse_toml(file.read()).get("v1") or {}, "v1"):
        match = _CRATE.fullmatch(key)
        if match is None:
            yield Problem("/" + file.path, f"{key[:80]!r} names no crate and version")
            continue
        details = PackageDetails(direct=True, origin=crate_origin(match[3]))
        yield flat(file.path, "cargo", match[1], match[2], details)


EXTRACTOR: Final = GeneratorExtractor(
    "language/cargo-installed", Wants(names=frozenset({".crates.toml"}), limit=8 << 20), _parse
)
