"""Haskell's registered libraries, and lock files: cabal.project.freeze and stack.yaml.lock.

A compiled Haskell program does not record its packages. A compiler and Cabal's store have a
database of the libraries that programs are linked with, a file each. Of a Stack project only the
packages beyond its snapshot are in its lock file.
Sources: GHC's user guide ("InstalledPackageInfo"), Cabal's user guide ("cabal freeze"), Stack's
documentation ("Lock files").
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


_DATABASE: Final = re.compile(r"(?:.*/)?package(?:\.conf\.d|\.db)/[^/]+\.conf")
_FIELD: Final = re.compile(r"^(name|version):[ \t\n]{0,99}([^\s]{1,256})", re.MULTILINE)


def _parse_registered(file: WantedFile) -> Iterator[Entry]:
    fields = dict(reversed(_FIELD.findall(file.read().decode("utf-8", "replace"))))
    yield flat(file.path, "hackage", fields.get("name", ""), fields.get("version", ""))


def _parse_cabal(file: WantedFile) -> Iterator[Entry]:
    for name, version in _FROZEN.findall(file.read().decode("utf-8", "replace")):
        yield flat(file.path, "hackage", name, version)


def _parse_stack(file: WantedFile) -> Iterator[Entry]:
    for name, version in _STACK.findall(file.read().decode("utf-8", "replace")):
        yield flat(file.path, "hackage", name, version)


REGISTERED_EXTRACTOR: Final = GeneratorExtractor(
    "language/haskell-installed",
    Wants(
        suffixes=frozenset({".conf"}),
        confirm=lambda path: bool(_DATABASE.fullmatch(path)),
        limit=8 << 20,
    ),
    _parse_registered,
)
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
