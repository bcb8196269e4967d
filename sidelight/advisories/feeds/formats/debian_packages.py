"""Debian's `Packages` indices: the binary packages of a release, each with its source.

A paragraph a package, as deb822(5): `Package`, `Version`, and `Source: NAME (VERSION)` where the
source has another name or version (Debian's repository format, "Packages Indices"). The index does
not name its release: the path does, as a mirror and apt's own lists have it
(`dists/bookworm-security/main/binary-arm64/Packages.xz`).
"""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING, Final

from sidelight.advisories.feeds.formats.debian_tracker import CODENAMES
from sidelight.advisories.source_builds import SourceBuild
from sidelight.errors import DamagedError, LimitError
from sidelight.versions.dpkg import without_rebuild

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINE: Final = 1 << 20  # bytes; the longest real one has 30,000
MAX_PACKAGES: Final = 500_000  # of one index; Debian 13 has 69,000
_WORD: Final = re.compile(r"[a-z]+")
_SOURCE: Final = re.compile(r"(\S{1,1000})(?: \(([^()\s]{1,1000})\))?")
_FIELDS: Final = frozenset((b"package", b"version", b"source"))


def is_index(name: str) -> bool:
    """Return whether a path, without an ending of compression, is that of such an index."""
    return re.split(r"[/_]", name)[-1] == "packages"


def ecosystem_of(path: str) -> str:
    """Return the ecosystem of the release that a path names. Raises DamagedError for none."""
    for word in reversed(_WORD.findall(path.lower())):
        if word in CODENAMES:
            return f"Debian:{CODENAMES[word]}"
    raise DamagedError("no release of Debian in the path of this index, such as `bookworm`")


def parse(stream: IO[bytes], ecosystem: str) -> Iterator[SourceBuild]:
    """Yield each binary with its source.

    Raises DamagedError for another shape or a cut, LimitError for a line or a list too long.
    """
    fields: dict[bytes, str] = {}
    number = count = 0
    while line := stream.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise LimitError(f"line {number} is longer than {MAX_LINE} bytes")
        if line.strip():
            _add(fields, line, number)
            continue
        if fields:
            count += 1
            if count > MAX_PACKAGES:
                raise LimitError(f"more than {MAX_PACKAGES} packages")
            yield _build(fields, ecosystem, number)
            fields = {}
    if fields:
        raise DamagedError("cut off: its last paragraph has no end")
    if not count:
        raise DamagedError("nothing in it")


def _add(fields: dict[bytes, str], line: bytes, number: int) -> None:
    """Add a line's field to its paragraph's, if it is one of those that are read."""
    if line[:1] in b" \t":
        return  # more of a field that has several lines: none of ours
    name, colon, value = line.partition(b":")
    name = name.lower()
    if not colon:
        raise DamagedError(f"line {number} is not a field: {line[:40]!r}")
    if not fields and name != b"package":
        raise DamagedError(f"line {number} begins a paragraph that is of no package")
    if name in _FIELDS:
        if name in fields:
            raise DamagedError(f"line {number} has {name.decode()} again")
        try:
            fields[name] = value.strip().decode()
        except UnicodeDecodeError as error:
            raise DamagedError(f"line {number} is not UTF-8") from error


def _build(fields: dict[bytes, str], ecosystem: str, number: int) -> SourceBuild:
    binary, version = fields.get(b"package", ""), fields.get(b"version", "")
    source = _SOURCE.fullmatch(fields.get(b"source", binary))
    if not binary or not version or source is None:
        raise DamagedError(f"the package before line {number} has no name, version or source")
    is_other = source[2] is not None and source[2] != without_rebuild(version)
    return SourceBuild(ecosystem, source[1], (binary,), frozenset((binary,) if is_other else ()))
