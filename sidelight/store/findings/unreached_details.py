"""Details of findings on machines that nothing outside of their network reaches.

Their score is lower (docs/score.md). Details are common to all machines, and so are these: a second
row of finding_details, so that searches, sorting and events need no further query, and a change of
EPSS changes two rows. `unreached_details` has the second row of each first one that an unreached
machine has, or the first row itself where the exposure does not change the score.

Locks are taken in the order: inventories, details by id, the counter `rules`, the counter `events`.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import bindparam, delete, select, update

from sidelight.advisories.rating.adjusted_score import adjusted
from sidelight.model import Exposure, Finding, FindingType
from sidelight.store.base import documents
from sidelight.store.base.dialect import insert, parts
from sidelight.store.base.schema import finding_details, unreached_details
from sidelight.store.findings.finding_terms import write_terms

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Connection

    from sidelight.store.base.column_types import SqlRow

_NO_SOFTWARE: Final = 0
_LOWERED: Final = "/MAV:A"  # the end of an adjusted vector


class FollowedDetails(NamedTuple):
    """The ids of second rows by those of first rows, and first rows without one by now."""

    details: Mapping[int, int]
    lost: Sequence[int]


def details_of(connection: Connection, first: Collection[int]) -> dict[int, int]:
    """Return the details for unreached machines by the ids of details; write missing ones."""
    found = _known(connection, first)
    for part in parts(sorted({*first} - found.keys())):
        found |= _add(connection, part)
    return found


def follow(connection: Connection, changed: Collection[int]) -> FollowedDetails:
    """Change the second rows of changed details.

    A detail whose score did not depend on the exposure, and does now, loses its entry: its findings
    must be reconciled.
    """
    known = _known(connection, changed)
    rows, lost = [], []
    written: dict[int, Finding] = {}
    for part in parts(sorted(known)):
        for row in connection.execute(_of_packages(part)):
            finding = documents.load(Finding, row.document)
            lowered = _lowered(finding)
            if known[row.id] != row.id:
                rows.append(_row(row, lowered or finding) | {"row": known[row.id]})
                written[known[row.id]] = lowered or finding
            elif lowered is not None:
                lost.append(row.id)
    if rows:
        names = ("severity", "score", "current", "digest", "document")
        statement = update(finding_details).where(finding_details.c.id == bindparam("row"))
        connection.execute(
            statement.values({name: bindparam(f"to_{name}") for name in names}),
            [{"row": row["row"]} | {f"to_{name}": row[name] for name in names} for row in rows],
        )
        write_terms(connection, written, known=True)
    for part in parts(lost):
        connection.execute(delete(unreached_details).where(unreached_details.c.first.in_(part)))
    return FollowedDetails({key: value for key, value in known.items() if key != value}, lost)


def _known(connection: Connection, first: Collection[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for part in parts(sorted(first)):
        query = select(unreached_details).where(unreached_details.c.first.in_(part))
        found |= {row.first: row.detail for row in connection.execute(query)}
    return found


def _of_packages(ids: Sequence[int]) -> SqlRow:
    return (
        select(finding_details)
        .where(
            finding_details.c.id.in_(ids),
            finding_details.c.type == FindingType.PACKAGE_VULNERABILITY.value,
        )
        .order_by(finding_details.c.id)
    )


def _add(connection: Connection, ids: Sequence[int]) -> dict[int, int]:
    """Write second rows. Another transaction may write the same ones: the first one's are used."""
    # Locked, so that a change of the first rows waits, and finds the second ones.
    rows = connection.execute(_of_packages(ids).with_for_update(read=True)).all()
    lowered: dict[int, Finding] = {}
    for row in rows:
        finding = _lowered(documents.load(Finding, row.document))
        if finding is not None:
            lowered[row.id] = finding
    found = {row.id: row.id for row in rows}
    if lowered:
        new = [_row(row, lowered[row.id]) for row in rows if row.id in lowered]
        connection.execute(insert(connection, finding_details).on_conflict_do_nothing(), new)
        names = {_name(number): number for number in lowered}
        query = select(finding_details.c.id, finding_details.c.vulnerability).where(
            finding_details.c.software == _NO_SOFTWARE,
            finding_details.c.vulnerability.in_(sorted(names)),
        )
        found |= {names[row.vulnerability]: row.id for row in connection.execute(query)}
        terms = {found[number]: finding for number, finding in lowered.items()}
        write_terms(connection, terms, known=True)
    entries = [{"first": first, "detail": detail} for first, detail in sorted(found.items())]
    if entries:
        connection.execute(insert(connection, unreached_details).on_conflict_do_nothing(), entries)
    return found


def _lowered(finding: Finding) -> Finding | None:
    """Return the finding with an unreached machine's score; None if that has no influence."""
    own = adjusted(
        finding.cvss_vector,
        finding.epss,
        exploited=finding.exploit_available,
        exposure=Exposure.NONE,
    )
    if own is None or finding.score is None or not own[1].endswith(_LOWERED):
        return None
    return replace(finding, score=own[0], score_vector=own[1])


def _row(first: SqlRow, finding: Finding) -> dict[str, object]:
    document = documents.dump(finding)
    return {
        "software": _NO_SOFTWARE,
        "vulnerability": _name(first.id),
        "key": first.key,
        "severity": finding.severity.value,
        "score": finding.score,
        "current": first.current,
        "touched": 0,
        "facts": "",
        "digest": hashlib.sha256(document.encode()).hexdigest(),
        "document": document,
        "type": first.type,
    }


def _name(first: int) -> str:
    """Return the vulnerability of a second row, as details of networks have a digest."""
    return f"unreached {first}"
