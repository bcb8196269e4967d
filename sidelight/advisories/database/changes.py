"""The differences between two databases, computed from their digests alone.

A package's digest covers its rows and its advisories as a finding shows them. A vulnerability's
facts and its EPSS have a digest each. So only changed records are decoded: two databases of a
hundred thousand packages are compared in milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sidelight.advisories.database import digest

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from sidelight.advisories.database.reader import AdvisoryDatabase


class Changes(NamedTuple):
    """New, changed and removed records of a database, compared with an older one.

    packages         (ecosystem, name) whose advisories changed: their hits may have changed
    vulnerabilities  ids with a change other than EPSS; their findings may have changed
    scores           ids of which only the EPSS score changed
    ecosystems       names with advisories in only one of the databases, and names whose last day
                     of support changed

    `matching.questions` lists the packages that an inventory looks up. If none of them is among
    `packages`, the inventory keeps its findings, except the facts of `vulnerabilities` and
    `scores`.
    """

    packages: frozenset[tuple[str, str]]
    vulnerabilities: frozenset[str]
    scores: frozenset[str]
    ecosystems: frozenset[str]

    def __bool__(self) -> bool:
        return any(self)


def between(older: AdvisoryDatabase, newer: AdvisoryDatabase) -> Changes:
    """Return the changes from one database to another."""
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


def _digests(database: AdvisoryDatabase, section: str) -> npt.NDArray[np.uint64]:
    # Imported here: workers, whose disks are parsed by other processes, go without numpy.
    import numpy as np

    return np.frombuffer(database.section(section), dtype=f"<u{digest.SIZE}")


def _only_in(digests: npt.NDArray[np.uint64], other: npt.NDArray[np.uint64]) -> list[int]:
    """Return the positions of the digests that `other` does not have."""
    import numpy as np

    positions: list[int] = np.flatnonzero(~np.isin(digests, other)).tolist()
    return positions
