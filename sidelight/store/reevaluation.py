"""A new advisory database against the stored inventories, without a snapshot.

First the packages of which it says something else are matched, each once for the whole fleet; then
the instances that have one whose vulnerabilities changed are settled. How far it has got is in the
rows themselves (`software.stale`, `inventories.advisories`): there is no list of work to lose, a
part that was interrupted is simply still to do, and workers that share the work take different
rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, exists, func, select, tuple_, update

from sidelight.model import Status
from sidelight.store import databases, details
from sidelight.store.findings import over, wanted
from sidelight.store.rows import FindingChanges, FindingStatus, Place, Reevaluated
from sidelight.store.rules import judge_with
from sidelight.store.schema import (
    finding_details,
    findings,
    instances,
    inventories,
    set_software,
    software,
)
from sidelight.store.settling import Case, settle
from sidelight.store.statements import put, raised, value

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Row

    from sidelight.store.clock import Clock
    from sidelight.store.databases import Advisories
    from sidelight.store.engine import Database

_AT_ONCE = 500  # instances in one transaction


class Reevaluation:
    """Brings all findings to a new database, in parts of one transaction each."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def register(self, advisories: Advisories, *, older: bool = True) -> int:
        """Make this the database that findings are to be by; its number.

        0 where it is older than the one they are by now, and `older` does not allow that.
        """
        with self._database.write() as connection:
            return databases.register(connection, advisories, self._clock(), older=older)

    def notice(self, advisories: Advisories) -> bool:
        """As a worker does: make it the newest, unless it is older; whether it is the newest now.

        So one that still has yesterday's file does not take the fleet back to it.
        """
        if not advisories.sha256:
            return False
        with self._database.read() as connection:
            number = databases.number_of(connection, advisories.sha256)
            if number and number == databases.newest(connection):
                return True
            if databases.is_older(connection, advisories, self._clock()):
                return False
        return self.register(advisories, older=False) > 0

    def step(self, advisories: Advisories) -> Reevaluated:
        """The next part. Nothing is left, too, where another database is the newest by now.

        `left` stays true while others hold the last rows.
        """
        now = self._clock()
        with self._database.read() as connection:
            number = databases.newest(connection)
            if not number or databases.number_of(connection, advisories.sha256) != number:
                return Reevaluated(left=False)
            stale = details.stale(connection, number)
        if stale:
            matched = details.match(stale, number, advisories, now)
            with self._database.write() as connection:
                details.write(connection, matched, advisories, now)
            return Reevaluated(left=True, packages=len(stale))
        with self._database.write() as connection:
            passed = 0
            # Looked at twice, so that only one does it and the others need not wait.
            if value(connection, "passed") < number and raised(connection, "passed", 0) < number:
                passed = _pass_untouched(connection, number, now)
                put(connection, "passed", number)
            held = _pending(connection, number)
            changes = _settle(connection, held, number, now)
            left = bool(held) or _is_pending(connection, number)
        return Reevaluated(left, 0, len(held), passed, changes)

    def pending(self) -> int:
        """Inventories whose findings are by another than the newest database."""
        with self._database.read() as connection:
            query = select(func.count()).where(_open(databases.newest(connection)))
            return int(connection.execute(query.select_from(inventories)).scalar() or 0)

    def regions(self, *, pending: bool) -> dict[str, int]:
        """Where those are, or all that are evaluated at all, and how many, by region."""
        with self._database.read() as connection:
            query = select(inventories.c.region, func.count())
            query = query.where(inventories.c.retired_at.is_(None))
            if pending:
                query = query.where(_open(databases.newest(connection)))
            query = query.group_by(inventories.c.region).order_by(inventories.c.region)
            return {row.region: int(row[1]) for row in connection.execute(query)}


def _open(number: int) -> Any:
    return (inventories.c.advisories != number) & inventories.c.retired_at.is_(None)


def _is_pending(connection: Connection, number: int) -> bool:
    return bool(connection.execute(select(exists().where(_open(number)))).scalar())


def _pass_untouched(connection: Connection, number: int, now: datetime) -> int:
    """Instances none of whose packages has other vulnerabilities now are done; how many."""
    query = select(inventories.c.advisories).where(_open(number), inventories.c.advisories > 0)
    count = 0
    for older in connection.execute(query.distinct()).scalars().all():
        touched = (
            select(set_software.c.content)
            .join(software, software.c.id == set_software.c.software)
            .where(software.c.touched > older)
        )
        # What was found where a part could not be read again is of no package of the set.
        outdated = exists().where(
            findings.c.account == inventories.c.account,
            findings.c.instance == inventories.c.instance,
            findings.c.status != FindingStatus.CLOSED.value,
            findings.c.detail == finding_details.c.id,
            finding_details.c.current.is_(False),
        )
        # One that a scan holds is left to it, or to the settling.
        untouched = (
            select(inventories.c.account, inventories.c.instance)
            .where(
                inventories.c.advisories == older,
                inventories.c.retired_at.is_(None),
                inventories.c.content.not_in(touched),
                (inventories.c.status == Status.COMPLETE.value) | ~outdated,
            )
            .with_for_update(skip_locked=True, of=inventories)
        )
        key = tuple_(inventories.c.account, inventories.c.instance)
        statement = update(inventories).where(key.in_(untouched))
        count += connection.execute(statement.values(advisories=number, evaluated_at=now)).rowcount
    return count


def _pending(connection: Connection, number: int) -> Sequence[Row[Any]]:
    """Some instances that are to be settled, locked; machines of one image beside each other."""
    columns = [inventories.c[name] for name in (
        "account", "region", "instance", "content", "status", "advisories",
    )]  # fmt: skip
    query = (
        select(*columns)
        .where(_open(number))
        .order_by(inventories.c.content, inventories.c.account, inventories.c.instance)
        .limit(_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    return connection.execute(query).all()


def _settle(
    connection: Connection, held: Sequence[Row[Any]], number: int, now: datetime
) -> FindingChanges:
    scopes: dict[tuple[int, int], tuple[dict[str, int], frozenset[str] | None]] = {}
    by_account: dict[str, list[Case]] = {}
    gone = _gone(connection, held)
    for row in held:
        place = Place(row.account, row.region, row.instance)
        if place in gone:
            continue  # the next discovery closes what is open of it
        scope = (row.content, row.advisories)
        if scope not in scopes:
            scopes[scope] = _scope(connection, *scope)
        found, keys = scopes[scope]
        case = Case(place, found, keys)
        if keys is None:
            case.over = over(connection, row)
        elif row.status != Status.COMPLETE.value:
            case.keys = keys | _outdated(connection, place)
        by_account.setdefault(row.account, []).append(case)
    judge = judge_with(connection, now)
    changes = FindingChanges()
    for cases in by_account.values():
        changes += settle(connection, cases, judge, now, observed=False)
    for account in {row.account for row in held}:
        connection.execute(
            update(inventories)
            .where(
                inventories.c.account == account,
                inventories.c.instance.in_([r.instance for r in held if r.account == account]),
            )
            .values(advisories=number, evaluated_at=now)
        )
    return changes


def _gone(connection: Connection, held: Sequence[Row[Any]]) -> set[Place]:
    """Instances among these that discovery has missed."""
    query = select(instances.c.account, instances.c.region, instances.c.instance).where(
        instances.c.instance.in_([row.instance for row in held]), instances.c.gone_at.is_not(None)
    )
    return {Place(*row) for row in connection.execute(query)}


def _scope(
    connection: Connection, content: int, older: int
) -> tuple[dict[str, int], frozenset[str] | None]:
    """What machines with these packages have now, and which keys are to be looked at: None all."""
    if not older:
        return wanted(connection, content), None
    owners = (
        select(set_software.c.software)
        .join(software, software.c.id == set_software.c.software)
        .where(set_software.c.content == content, software.c.touched > older)
    )
    columns = finding_details.c.key, finding_details.c.id, finding_details.c.current
    query = select(*columns).where(
        finding_details.c.software.in_(owners), finding_details.c.touched > older
    )
    rows = connection.execute(query.order_by(finding_details.c.id.desc())).all()
    found = {row.key: row.id for row in rows if row.current}
    keys = frozenset(row.key for row in rows)
    if keys - found.keys():
        # Another package at the same place may have what this one has no more.
        found = wanted(connection, content, keys)
    return found, keys


def _outdated(connection: Connection, place: Place) -> frozenset[str]:
    """Keys of an instance's open findings that no advisory says any more."""
    query = (
        select(findings.c.key)
        .join(finding_details, finding_details.c.id == findings.c.detail)
        .where(
            findings.c.account == place.account,
            findings.c.instance == place.instance,
            findings.c.status != FindingStatus.CLOSED.value,
            finding_details.c.current.is_(False),
        )
    )
    return frozenset(connection.execute(query).scalars())
