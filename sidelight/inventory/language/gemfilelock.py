"""Gemfile.lock (and gems.locked). Source: Bundler's lockfile parser defines the format."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.entry import Details, Entry, flat
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator

# `name (1.2.3)` or `name (1.2.3-x86_64-linux)`: a version has no dash, its platform follows one.
_SPEC: Final = re.compile(r" {4}(\S+) \(([^()\s-]+)(?:-[^()]*)?\)")
_ASKED: Final = re.compile(r" {2}([^\s!]+)!?(?: \(.*\))?")
_FOREIGN: Final = frozenset({"GEM", "GIT", "PLUGIN SOURCE"})  # PATH is the project's own


def _parse(file: WantedFile) -> Iterator[Entry]:
    section = ""
    specs: dict[tuple[str, str], None] = {}
    asked: set[str] = set()
    for line in file.read().decode("utf-8", "replace").splitlines():
        if line and not line.startswith((" ", "<", "=", ">")):
            section = line.strip()
        elif section in _FOREIGN:
            if match := _SPEC.fullmatch(line.rstrip()):
                specs[match[1], match[2]] = None
        elif section == "DEPENDENCIES" and (match := _ASKED.fullmatch(line.rstrip())):
            asked.add(match[1])
    for name, version in specs:
        yield flat(
            file.path, "gem", name, version, Details(direct=name in asked if asked else None)
        )


EXTRACTOR: Final = GeneratorExtractor(
    "language/ruby-lock",
    Wants(names=frozenset({"Gemfile.lock", "gems.locked"}), confirm=is_project, limit=8 << 20),
    _parse,
)
