"""What differs between two databases, told by their digests alone.

A package's digest covers its rows and its advisories as a finding shows them; a vulnerability's
facts and its EPSS have a digest each. So nothing is decoded but what has changed: two databases of
a hundred thousand packages are compared in milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sidelight.advisories import digest

if TYPE_CHECKING:
    import numpy.typing as npt

    from sidelight.advisories.database import Database


class Changes(NamedTuple):
    """What is new, other or gone in a database, against an older one.

    packages         (ecosystem, name) whose advisories changed: their answers may be others
    vulnerabilities  ids of which anything but EPSS changed; findings of them may look otherwise
    scores           ids of which only the EPSS score changed
    ecosystems       names of those that the database speaks of now and did not, or the reverse,
                     and of those whose last day of support is another

    An inventory asks for the packages that `matching.questions` tells. One none of whose questions
    is among `packages` keeps its findings, but for the facts of `vulnerabilities` and `scores`.
    """

    packages: frozenset[tuple[str, str]]
    vulnerabilities: frozenset[str]
    scores: frozenset[str]
    ecosystems: frozenset[str]

    def __bool__(self) -> bool:
        return any(self)


def between(older: Database, newer: Database) -> Changes:
    """What changed from one database to another."""
    if older.sha256 == newer.sha256:
        return Changes(frozenset(), frozenset(), frozenset(), frozenset())
    old_groups, new_groups = _digests(older, "group_digests"), _digests(newer, "group_digests")
    packages = {older.package(number) for number in _only_in(old_groups, new_groups)}
    packages |= {newer.package(number) for number in _only_in(new_groups, old_groups)}
    old_facts = _digests(older, "vulnerability_digests").reshape(-1, 2)
    new_facts = _digests(newer, "vulnerability_digests").reshape(-1, 2)
    changed = [
        {older.vulnerability(number).id for number in _only_in(old_facts[:, k], new_facts[:, k])}
        | {newer.vulnerability(number).id for number in _only_in(new_facts[:, k], old_facts[:, k])}
        for k in (0, 1)
    ]
    return Changes(
        frozenset(packages),
        frozenset(changed[0]),
        frozenset(changed[1] - changed[0]),
        frozenset(
            (older.ecosystems ^ newer.ecosystems)
            | {name for name, _day in older.last_days ^ newer.last_days}
        ),
    )


def _digests(database: Database, section: str) -> npt.NDArray[np.uint64]:
    return np.frombuffer(database.section(section), dtype=f"<u{digest.SIZE}")


def _only_in(one: npt.NDArray[np.uint64], other: npt.NDArray[np.uint64]) -> list[int]:
    """The places of the digests that the other has not."""
    places: list[int] = np.flatnonzero(~np.isin(one, other)).tolist()
    return places
