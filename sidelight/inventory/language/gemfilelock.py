"""Gemfile.lock (and gems.locked). Source: Bundler's lockfile parser defines the format.

A section of gems begins with its `remote:`. A section with several is of Bundler before 2.2, and
does not say which gave a gem.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.origin import (
    PUBLIC,
    Drawn,
    git,
    host,
    other_registries,
    registry,
)
from sidelight.inventory.language.package_builder import (
    Entry,
    PackageDetails,
    RelatedEntry,
    flat,
    related,
)
from sidelight.inventory.language.public_registries import RUBYGEMS
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator

# `name (1.2.3)` or `name (1.2.3-x86_64-linux)`: a version has no dash, its platform follows one.
_SPEC: Final = re.compile(r" {4}(\S+) \(([^()\s-]+)(?:-[^()]*)?\)")
_NEED: Final = re.compile(r" {6}([^\s!]+)")
_FIELD: Final = re.compile(r" {2}(remote|revision): (\S+)")
_REQUESTED: Final = re.compile(r" {2}([^\s!]+)!?(?: \(.*\))?")
_FOREIGN: Final = frozenset({"GEM", "GIT", "PLUGIN SOURCE"})  # PATH is the project's own


@dataclass(slots=True)
class _Section:
    """Gems of one source, with what each needs by name."""

    kind: str
    remotes: list[str] = field(default_factory=list)
    revision: str = ""
    specs: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.remotes[0] if len(self.remotes) == 1 else ""


def _parse(file: WantedFile) -> Iterator[Entry | RelatedEntry]:
    sections, requested = _sections(file.read().decode("utf-8", "replace"))
    own = other_registries(
        (
            Drawn(name, host(section.url), tuple(needs))
            for section in sections
            if section.kind == "GEM"
            for (name, _), needs in section.specs.items()
        ),
        RUBYGEMS,
    )
    for section in sections:
        source = PUBLIC
        if section.kind != "GEM":
            source = git(section.url, section.revision)
        elif host(section.url) in own:
            source = registry(section.url)
        for (name, version), needs in section.specs.items():
            direct = name in requested if requested else None
            details = PackageDetails(direct=direct, origin=source)
            yield related(flat(file.path, "gem", name, version, details), (name,), needs)


def _sections(text: str) -> tuple[list[_Section], set[str]]:
    """The sections with gems of others' sources, and the names that the project asks for."""
    sections: list[_Section] = []
    requested: set[str] = set()
    section = ""
    needs: list[str] = []
    for line in text.splitlines():
        if line and not line.startswith((" ", "<", "=", ">")):
            section = line.strip()
            if section in _FOREIGN:
                sections.append(_Section(section))
        elif section in _FOREIGN:
            if match := _SPEC.fullmatch(line.rstrip()):
                needs = sections[-1].specs.setdefault((match[1], match[2]), [])
            elif match := _NEED.match(line):
                needs.append(match[1])
            elif match := _FIELD.fullmatch(line.rstrip()):
                if match[1] == "remote":
                    sections[-1].remotes.append(match[2])
                else:
                    sections[-1].revision = match[2]
        elif section == "DEPENDENCIES" and (match := _REQUESTED.fullmatch(line.rstrip())):
            requested.add(match[1])
    return sections, requested


EXTRACTOR: Final = GeneratorExtractor(
    "language/ruby-lock",
    Wants(names=frozenset({"Gemfile.lock", "gems.locked"}), confirm=is_project, limit=8 << 20),
    _parse,
)
