"""Determine the module stream of an erratum whose feed does not name it.

AlmaLinux, Rocky Linux and Red Hat name the stream in an erratum's title (`ruby:2.5`), sometimes
only the module (ALSA-2024:4246: `container-tools security update`). All builds of one erratum are
of one stream, so the packages and their versions identify the stream. A stream is accepted if it
has packages of all the erratum's names, their versions share two or more leading numbers on
average, and no other stream is close. For errata whose titles name a stream, with the title
ignored, that is right for 400 of 400 (AlmaLinux), 304 of 306 (Red Hat) and 243 of 245 (Rocky
Linux); the rest, a third, would be left undecided.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sidelight.advisories.build_marks import UNKNOWN, shared_numbers

if TYPE_CHECKING:
    from sidelight.model import Affected

_Build = tuple[str, str]  # name, version
_SHARED = 2  # leading numbers of a version, on average
_NEAR = 0.75  # of the numbers that the nearest stream shares


class Modules:
    """The builds of each stream from errata that name it, and of errata without a stream."""

    def __init__(self) -> None:
        self._versions: defaultdict[_Build, defaultdict[str, set[str]]]
        self._versions = defaultdict(lambda: defaultdict(set))
        self._unnamed: defaultdict[tuple[bytes, str], set[_Build]] = defaultdict(set)
        self._decided: dict[tuple[bytes, str], str] = {}

    def add(self, erratum: bytes, row: Affected) -> None:
        """Add a row about a module's build."""
        for interval in row.intervals:
            if row.module == UNKNOWN:
                self._unnamed[erratum, row.ecosystem].add((row.name, interval.end))
            else:
                self._versions[row.ecosystem, row.name][row.module].add(interval.end)

    def of(self, erratum: bytes, ecosystem: str) -> str:
        """Return `name:stream` of an erratum that does not name it, or UNKNOWN."""
        key = erratum, ecosystem
        known = self._decided.get(key)
        if known is None:
            known = self._decided[key] = self._decide(ecosystem, self._unnamed.get(key, set()))
        return known

    def _decide(self, ecosystem: str, builds: set[_Build]) -> str:
        names: defaultdict[str, int] = defaultdict(int)
        numbers: defaultdict[str, int] = defaultdict(int)
        same: defaultdict[str, int] = defaultdict(int)
        for name, version in builds:
            for module, versions in self._versions.get((ecosystem, name), {}).items():
                names[module] += 1
                numbers[module] += max(shared_numbers(version, other) for other in versions)
                same[module] += version in versions
        if not names:
            return UNKNOWN
        best = max(sorted(names), key=numbers.__getitem__)
        others = [module for module in names if module != best]
        is_sure = (
            names[best] == len(builds)
            and numbers[best] >= _SHARED * len(builds)
            and all(numbers[other] <= _NEAR * numbers[best] for other in others)
            and all(same[other] <= same[best] for other in others)
        )
        return best if is_sure else UNKNOWN
