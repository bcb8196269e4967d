"""The source packages of binaries by release: collected in a build, and read from the database.

Systems Manager's inventory of dpkg's machines has no source packages; Debian's and Ubuntu's
advisories are by source. A feed's list shows which source a binary is built from.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from sidelight.advisories.database.build_records import pack
from sidelight.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.advisories.source_builds import SourceBuild

MAX_BINARIES: Final = 1_000_000  # of all releases: about 200 MB while a database is built
MAX_SOURCES: Final = 8  # of one binary: two already make it uncertain
TOO_MANY: Final = f"more than {MAX_BINARIES} binary packages: the sources of others are not kept"


class BinarySources(NamedTuple):
    """The sources of one release's binaries, by the feeds of the database.

    `sources` are all that a binary is listed under. `other_versions` are binaries with a version
    that is none of their source's.
    """

    sources: dict[str, tuple[str, ...]]
    other_versions: frozenset[str] = frozenset()

    def certain(self) -> dict[str, str]:
        """Return the source of each binary with one source, whose versions it always has."""
        return {
            binary: sources[0]
            for binary, sources in self.sources.items()
            if len(sources) == 1 and binary not in self.other_versions
        }


class BinarySourceTable:
    """Collects the sources of binaries while a database is built, in bounded memory.

    A binary beyond MAX_BINARIES has no source by the feeds.
    """

    def __init__(self) -> None:
        self._releases: dict[str, dict[str, tuple[str, ...]]] = {}
        self._other_versions: dict[str, set[str]] = {}
        self._sources: dict[str, str] = {}  # one text of each name
        self._count = 0
        self._is_full = False

    def add(self, build: SourceBuild) -> bool:
        """Add a record's list; return whether it has the first binary that is too many."""
        was_full = self._is_full
        binaries = self._releases.setdefault(build.ecosystem, {})
        others = self._other_versions.setdefault(build.ecosystem, set())
        source = self._sources.setdefault(build.source, build.source)
        for binary in build.binaries:
            sources = binaries.get(binary)
            if sources is None and self._count >= MAX_BINARIES:
                self._is_full = True
                continue
            if sources is None:
                self._count += 1
                binaries[binary] = (source,)
            elif source not in sources and len(sources) < MAX_SOURCES:
                binaries[binary] = (*sources, source)
            if binary in build.other_versions:
                others.add(binary)
        return self._is_full and not was_full

    def sections(self) -> Iterator[tuple[str, bytes]]:
        """Yield (ecosystem, section) in order; the same lists in any order give the same bytes."""
        for ecosystem, binaries in sorted(self._releases.items()):
            sources = {binary: sorted(binaries[binary]) for binary in sorted(binaries)}
            yield ecosystem, pack([sources, sorted(self._other_versions[ecosystem])])


def decoded(section: bytes, where: str) -> BinarySources:
    """Return a section's contents. Raises DatabaseError, with `where`, if it is damaged."""
    try:
        listed, others = cast("tuple[dict[str, list[str]], list[str]]", json.loads(section))
        sources = {binary: tuple(names) for binary, names in listed.items()}
        return BinarySources(sources, frozenset(others))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DatabaseError("its list of binary packages is damaged", where=where) from error
