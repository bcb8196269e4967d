"""mix.lock of Elixir and rebar.lock of Erlang: packages of Hex, and git repositories.

Both are terms of their language, written by their tools in one form: an entry a line.
Source: Mix' documentation (`mix deps`), Hex' and rebar3's lock entries.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.errors import DamagedError
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.origin import PUBLIC, git, registry
from sidelight.inventory.language.package_builder import (
    Entry,
    PackageDetails,
    RelatedEntry,
    flat,
    related,
)
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE_LIMIT: Final = 64 << 10  # characters

# `"name": {:hex, :package, "1.0.0", "hash", [:mix], [dependencies], "hexpm", "hash"}`
_HEX: Final = re.compile(r'\s*"([^"]+)":\s*\{:hex,\s*:"?([\w.-]+)"?,\s*"([^"]+)"')
_NEED: Final = re.compile(r'\{:"?(\w+)"?,\s*+"')  # `{:castore, ">= 0.0.0", [hex: …]}`
_REPOSITORY: Final = re.compile(r'\],\s*"([a-z0-9_:.-]+)",\s*"[0-9a-f]*"\},?\s*$')
_GIT: Final = re.compile(r'\s*"([^"]+)":\s*\{:git,\s*"([^"]+)",\s*"([0-9a-f]+)"')
_ENTRY: Final = re.compile(r'\s*"[^"]+":\s*\{')
# `{<<"name">>,{pkg,<<"package">>,<<"1.0.0">>},0}`
_REBAR: Final = re.compile(
    r'\{<<"[^"]++">>,\s*+\{pkg,\s*+<<"([^"]++)">>,\s*+<<"([^"]++)">>[^{}]*+\},\s*+(\d++)\}'
)
_REBAR_GIT: Final = re.compile(
    r'\{<<"([^"]+)">>,\s*\{git,\s*"([^"]+)",\s*\{ref,\s*"([0-9a-f]+)"\}\},\s*(\d+)\}'
)


def _parse_mix(file: WantedFile) -> Iterator[Entry | RelatedEntry]:
    lines = file.read().decode("utf-8", "replace").splitlines()
    if lines and not lines[0].lstrip().startswith(("%{", "#")):
        raise DamagedError("no mix.lock: it is not a map")
    for line in lines:
        line = line[:LINE_LIMIT]  # noqa: PLW2901 - a longer line is cut
        if match := _HEX.match(line):
            repository = _REPOSITORY.search(line)
            name = repository[1] if repository else "hexpm"
            source = PUBLIC if name == "hexpm" else registry(name)
            entry = flat(file.path, "hex", match[2], match[3], PackageDetails(origin=source))
            yield related(entry, (match[1],), _NEED.findall(line, match.end()))
        elif match := _GIT.match(line):
            entry = flat(file.path, "hex", match[1], match[3], PackageDetails(origin=git(match[2])))
            yield related(entry, (match[1],), None)
        elif _ENTRY.match(line):
            yield Problem("/" + file.path, f"{line.strip()[:80]!r} names no package and version")


def _parse_rebar(file: WantedFile) -> Iterator[Entry]:
    text = file.read().decode("utf-8", "replace")
    for name, version, level in _REBAR.findall(text):
        yield flat(file.path, "hex", name, version, PackageDetails(direct=level == "0"))
    for name, url, commit, level in _REBAR_GIT.findall(text):
        details = PackageDetails(direct=level == "0", origin=git(url))
        yield flat(file.path, "hex", name, commit, details)


EXTRACTOR: Final = GeneratorExtractor(
    "language/elixir-lock",
    Wants(names=frozenset({"mix.lock"}), confirm=is_project, limit=8 << 20),
    _parse_mix,
)
REBAR_EXTRACTOR: Final = GeneratorExtractor(
    "language/erlang-lock",
    Wants(names=frozenset({"rebar.lock"}), confirm=is_project, limit=8 << 20),
    _parse_rebar,
)
