"""What is said of a vulnerability in one package, the same for every machine that has it.

A package is matched once for the whole fleet. What comes of it says which vulnerabilities it has;
the instances whose findings that changes are told by `software.touched`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, or_, select, update

from sidelight.model import Finding, FixAvailable, Inventory, Package, Severity, Status
from sidelight.store import codec, databases
from sidelight.store.columns import storable
from sidelight.store.databases import fill_names
from sidelight.store.outbox import announce_details
from sidelight.store.rules import doubt
from sidelight.store.schema import finding_details, set_software, software
from sidelight.store.software import Software
from sidelight.store.statements import parts, put_rows, value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Row

    from sidelight.store.databases import Advisories

_AT_ONCE = 400  # packages that are matched and written in one transaction


@dataclass(frozen=True, slots=True)
class _Told:
    """What changes the finding for those who listen: EPSS moves every day."""

    severity: Severity
    fixed_version: str = ""
    fix_available: FixAvailable = FixAvailable.NO
    exploited_since: str = ""


@dataclass(slots=True)
class Matched:
    """Software, read and matched but not written yet."""

    number: int
    rows: Sequence[Row[Any]]
    found: dict[tuple[int, str], Finding] = field(default_factory=dict)


def stale(connection: Connection, number: int, content: int | None = None) -> list[Row[Any]]:
    """Software that the database with this number has to be asked about: of one set, or any.

    Of a set also its system, whenever, because the calendar answers for that.
    """
    query = select(software).order_by(software.c.id)
    fresh = software.c.stale & (software.c.matched < max(number, 1))
    if content is None:
        return list(connection.execute(query.where(fresh).limit(_AT_ONCE)))
    owners = select(set_software.c.software).where(set_software.c.content == content)
    query = query.where(software.c.id.in_(owners), or_(fresh, software.c.dated))
    return list(connection.execute(query))


def match(rows: Sequence[Row[Any]], number: int, advisories: Advisories, now: datetime) -> Matched:
    """Ask the database; no connection is held meanwhile."""
    matched = Matched(number, rows)
    systems: dict[Any, dict[Package, int]] = {}
    for row in rows:
        one = codec.load(Software, row.document)
        if one.package is not None:
            systems.setdefault(one.os, {})[one.package] = row.id
            continue
        for finding in advisories.discontinued(one.os, now.date()):
            matched.found[row.id, storable(finding.vulnerability)] = finding
    for system, packages in systems.items():
        inventory = Inventory(Status.COMPLETE, system, tuple(packages))
        for finding in advisories.match(inventory):
            owner = packages.get(finding.package)
            if owner is not None:
                matched.found[owner, storable(finding.vulnerability)] = finding
    return matched


def news(connection: Connection, matched: Matched) -> bool:
    """Whether there is anything to write: systems are asked each time, and say the same mostly."""
    if any(row.stale for row in matched.rows):
        return True
    known = _known(connection, [row.id for row in matched.rows])
    return {(row.software, row.vulnerability) for row in known if row.current} != {*matched.found}


def write(connection: Connection, matched: Matched, advisories: Advisories, now: datetime) -> None:
    """Write what matching found, and tell of findings of which something else is said now.

    Software that another worker has written meanwhile is left to its word.
    """
    value(connection, "advisories", share=True)  # no other database is registered meanwhile
    newest = databases.newest(connection)
    before = {row.id: row for row in matched.rows}
    same = [
        row.id
        for row in _locked(connection, sorted(before))
        if (row.stale, row.matched) == (before[row.id].stale, before[row.id].matched)
    ]
    owners = set(same)
    known = {(row.software, row.vulnerability): row for row in _known(connection, same)}
    found = {key: one for key, one in matched.found.items() if key[0] in owners}
    rows = {key: _row(key, one, advisories) for key, one in sorted(found.items())}
    new = [row for key, row in rows.items() if key not in known]
    other = [key for key, row in rows.items() if key in known and _differs(known[key], row)]
    gone = [key for key, row in known.items() if row.current and key not in rows]
    appeared = [key for key in rows if key not in known or not known[key].current]
    put_rows(connection, finding_details, [row | {"touched": matched.number} for row in new])
    _update(connection, known, rows, other, matched.number)
    for part in parts([known[key].id for key in gone]):
        connection.execute(
            update(finding_details)
            .where(finding_details.c.id.in_(part))
            .values(current=False, touched=matched.number)
        )
    _mark(connection, same, {key[0] for key in [*appeared, *gone]}, matched.number, newest)
    if matched.number == newest and newest:
        fill_names(connection, same, advisories)
    told = [known[key].id for key in other if _is_told(known[key], rows[key], found[key])]
    if other:
        doubt(connection)
    announce_details(connection, told, now)


def _locked(connection: Connection, ids: list[int]) -> Iterable[Any]:
    for part in parts(ids):
        query = select(software.c.id, software.c.stale, software.c.matched)
        query = query.where(software.c.id.in_(part)).order_by(software.c.id).with_for_update()
        yield from list(connection.execute(query))


def _known(connection: Connection, ids: list[int]) -> Iterable[Any]:
    for part in parts(ids):
        query = select(finding_details).where(finding_details.c.software.in_(part))
        yield from list(connection.execute(query))


def key_of(finding: Finding) -> str:
    """What makes a finding this one: vulnerability, package with its version, path."""
    words = (finding.vulnerability, finding.package.purl, finding.package.path)
    text = "\0".join(words).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()


def _row(key: tuple[int, str], finding: Finding, advisories: Advisories) -> dict[str, Any]:
    document = codec.dump(finding)
    return {
        "software": key[0],
        "vulnerability": finding.vulnerability,
        "key": key_of(finding),
        "severity": finding.severity.value,
        "score": finding.score,
        "current": True,
        "facts": advisories.vulnerability_digest(finding.vulnerability),
        "digest": hashlib.sha256(document.encode()).hexdigest(),
        "document": document,
    }


def _differs(known: Row[Any], row: dict[str, Any]) -> bool:
    return (known.digest, known.facts, known.current) != (row["digest"], row["facts"], True)


def _is_told(known: Row[Any], row: dict[str, Any], finding: Finding) -> bool:
    if not known.current or known.digest == row["digest"]:
        return False
    now = _Told(
        finding.severity, finding.fixed_version, finding.fix_available, finding.exploited_since
    )
    return codec.load(_Told, known.document) != now


_CHANGED = ("severity", "score", "facts", "digest", "document")


def _update(
    connection: Connection,
    known: dict[tuple[int, str], Row[Any]],
    rows: dict[tuple[int, str], dict[str, Any]],
    keys: Sequence[tuple[int, str]],
    number: int,
) -> None:
    if keys:
        connection.execute(
            update(finding_details)
            .where(finding_details.c.id == bindparam("row"))
            .values(
                current=True,
                touched=bindparam("to_touched"),
                **{name: bindparam(f"to_{name}") for name in _CHANGED},
            ),
            [
                {
                    "row": known[key].id,
                    "to_touched": known[key].touched if known[key].current else number,
                }
                | {f"to_{name}": rows[key][name] for name in _CHANGED}
                for key in keys
            ],
        )


def _mark(
    connection: Connection, ids: list[int], touched: set[int], number: int, newest: int
) -> None:
    """Matched by this database; one that is not the newest leaves the rest to a newer one."""
    values: dict[str, Any] = {"matched": number}
    if number == newest and newest:
        values["stale"] = False
    for part in parts(ids):
        connection.execute(update(software).where(software.c.id.in_(part)).values(values))
    for part in parts(sorted(touched)):
        statement = update(software).where(software.c.id.in_(part))
        connection.execute(statement.values(touched=number))
