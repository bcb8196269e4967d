"""go.mod, and go.sum where go.mod does not list everything. Source: the Go modules reference."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.errors import DamagedError
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.package_builder import Entry, PackageDetails, golang
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIRECTIVES: Final = frozenset(
    ("module", "go", "toolchain", "require", "replace", "exclude", "retract", "godebug", "tool")
)
_RELEASE: Final = re.compile(r"(?:go)?([0-9]+\.[0-9]+\.[0-9]+)(?:[-+ ].*)?")
_GO: Final = re.compile(r"^go\s+([0-9]+)\.([0-9]+)", re.MULTILINE)
_LISTS_ALL: Final = (1, 17)  # since this version go.mod lists the indirect modules too


def _parse(file: WantedFile) -> Iterator[Entry]:
    required: list[tuple[str, str, bool]] = []
    replaced: dict[tuple[str, str], tuple[str, str]] = {}
    toolchain = ""
    for directive, words, comment in _lines(file.read()):
        if directive == "require" and len(words) == 2:
            required.append((words[0], words[1], not comment.startswith("indirect")))
        elif directive == "replace" and "=>" in words:
            at = words.index("=>")
            old, new = words[:at], words[at + 1 :]
            if old and new:
                replaced[old[0], "".join(old[1:2])] = (new[0], "".join(new[1:2]))
        elif directive in {"go", "toolchain"} and words and (match := _RELEASE.fullmatch(words[0])):
            toolchain = match[1] if directive == "toolchain" or not toolchain else toolchain
    if toolchain:
        yield golang(file.path, "stdlib", toolchain)
    for name, version, direct in required:
        anyhow = replaced.get((name, ""), (name, version))
        kept, kept_version = replaced.get((name, version), anyhow)
        if kept_version and not kept.startswith((".", "/")):  # a directory has no version
            yield golang(file.path, kept, kept_version, PackageDetails(direct=direct))


def _lines(data: bytes) -> Iterator[tuple[str, list[str], str]]:
    """(directive, words, comment) of each line; those of a block have the block's directive."""
    block = ""
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        text, _, comment = line.partition("//")
        words = [word.strip('"`') for word in text.split()]
        if not words:
            continue
        if block:
            if words == [")"]:
                block = ""
            else:
                yield block, words, comment.strip()
            continue
        if words[0] not in _DIRECTIVES and not words[0].endswith("("):
            raise DamagedError(f"no go.mod: line {number} is {line[:60]!r}")
        if words[-1] == "(" or words[-1].endswith("("):
            block = words[0].rstrip("(")
        else:
            yield words[0], words[1:], comment.strip()


def _parse_sum(file: WantedFile) -> Iterator[Entry]:
    manifest = file.sibling("go.mod", 8 << 20)
    if manifest is not None:
        match = _GO.search(manifest.decode("utf-8", "replace"))
        if match and (int(match[1][:9]), int(match[2][:9])) >= _LISTS_ALL:
            return  # go.mod lists all that is built; go.sum also what was only considered
    for line in file.read().decode("utf-8", "replace").splitlines():
        words = line.split()
        if len(words) == 3 and not words[1].endswith("/go.mod"):
            yield golang(file.path, words[0], words[1])


EXTRACTOR: Final = GeneratorExtractor(
    "language/go-mod", Wants(names=frozenset({"go.mod"}), confirm=is_project, limit=8 << 20), _parse
)
SUM_EXTRACTOR: Final = GeneratorExtractor(
    "language/go-sum",
    Wants(names=frozenset({"go.sum"}), confirm=is_project, limit=16 << 20),
    _parse_sum,
)
