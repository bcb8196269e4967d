"""Haskell's lock files: cabal.project.freeze and stack.yaml.lock.

A compiled Haskell program does not record its packages. Of a Stack project only the packages
beyond its snapshot are in its lock file.
Sources: Cabal's user guide ("cabal freeze"), Stack's documentation ("Lock files").
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.package_builder import Entry, flat
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME: Final = r"([A-Za-z0-9-]{1,128})"
_VERSION: Final = r"([0-9.]{1,64})"
# `any.aeson ==2.0.3.0,`
_FROZEN: Final = re.compile(rf"(?<![\w.-])(?:any\.)?{_NAME} ?== ?{_VERSION}(?=,|\s|$)")
# `hackage: aeson-2.0.3.0@sha256:…,5000`
_STACK: Final = re.compile(rf"\bhackage:[ \t]{{1,16}}'?{_NAME}-{_VERSION}(?=[@'\s]|$)")


def _parse_cabal(file: WantedFile) -> Iterator[Entry]:
    for name, version in _FROZEN.findall(file.read().decode("utf-8", "replace")):
        yield flat(file.path, "hackage", name, version)


def _parse_stack(file: WantedFile) -> Iterator[Entry]:
    for name, version in _STACK.findall(file.read().decode("utf-8", "replace")):
        yield flat(file.path, "hackage", name, version)


CABAL_EXTRACTOR: Final = GeneratorExtractor(
    "language/haskell-freeze",
    Wants(names=frozenset({"cabal.project.freeze"}), confirm=is_project, limit=8 << 20),
    _parse_cabal,
)
STACK_EXTRACTOR: Final = GeneratorExtractor(
    "language/haskell-stack-lock",
    Wants(names=frozenset({"stack.yaml.lock"}), confirm=is_project, limit=8 << 20),
    _parse_stack,
)
