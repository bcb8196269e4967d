"""Re-evaluation: match the stored inventories with a new advisory database, without a snapshot.

`sidelight.fleet.evaluation` decides what is done: first the packages whose advisories changed are
matched, each once for the whole fleet. Then the findings of instances that have a package with
changed vulnerabilities are reconciled. If the database covers other ecosystems, all instances are
assessed again: a machine may be complete now, or covered only in part. The rows themselves hold
the progress (`software.stale`, `inventories.advisories`). So no list of work can be lost, an
interrupted part is still pending, and workers that share the work take different rows.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, exists, func, select, tuple_, update

from sidelight.findings import Observation
from sidelight.model import (
    FindingChanges,
    FindingStatus,
    InstanceRef,
    Inventory,
    Status,
)
from sidelight.store.base import documents
from sidelight.store.base.counters import increment, read_counter, set_counter
from sidelight.store.base.ordered_join import same_instance
from sidelight.store.base.schema import (
    finding_details,
    findings,
    instances,
    inventories,
    set_software,
    software,
)
from sidelight.store.findings.exposure import expose
from sidelight.store.findings.reconcile import InstanceState, settle
from sidelight.store.findings.suppression_rules import judge_with
from sidelight.store.findings.vulnerability_details import wanted
from sidelight.store.instances.coverage_rows import reassess
from sidelight.store.inventories import advisory_databases
from sidelight.store.inventories.package_sets import load_set

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sidelight.completeness import Assessment
    from sidelight.model import Package
    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database
    from sidelight.store.inventories.advisory_databases import AdvisoryDigests

_AT_ONCE = 500  # instances in one transaction


class Reevaluation:
    """The databases that findings were evaluated with, and the instances that are still to do."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def register(self, advisories: AdvisoryDigests, *, older: bool = True) -> int:
        """Register this as the database for all findings; return its number.

        0 if it is older than the registered one and `older` does not allow that.
        """
        with self._database.write() as connection:
            return advisory_databases.register(connection, advisories, self._clock(), older=older)

    def notice(self, advisories: AdvisoryDigests) -> bool:
        """Register a worker's database unless it is older; return whether it is the newest now.

        A worker that still has an older file must not re-register it.
        """
        if not advisories.sha256:
            return False
        with self._database.read() as connection:
            number = advisory_databases.number_of(connection, advisories.sha256)
            if number and number == advisory_databases.newest(connection):
                return True
            if advisory_databases.is_older(connection, advisories, self._clock()):
                return False
        return self.register(advisories, older=False) > 0

    @contextmanager
    def part(self, number: int) -> Iterator[ReevaluationPart]:
        """Open a transaction that holds the next instances to bring to this database.

        Instances of which no package changed are passed over once. What other workers hold is left
        to them.
        """
        now = self._clock()
        with self._database.write() as connection:
            passed = 0
            # Checked without and with the lock: one worker does it, and the others do not wait.
            if (
                read_counter(connection, "passed") < number
                and increment(connection, "passed", 0) < number
            ):
                passed = _pass_untouched(connection, number, now)
                set_counter(connection, "passed", number)
            held = _pending(connection, number)
            yield ReevaluationPart(connection, number, now, held, passed)

    def pending(self) -> int:
        """Count the inventories that are not evaluated with the newest database yet."""
        with self._database.read() as connection:
            query = select(func.count()).where(_open(advisory_databases.newest(connection)))
            return int(connection.execute(query.select_from(inventories)).scalar() or 0)

    def regions(self, *, pending: bool) -> dict[str, int]:
        """Count the pending inventories, or all that are evaluated, by region."""
        with self._database.read() as connection:
            query = select(inventories.c.region, func.count())
            query = query.where(inventories.c.retired_at.is_(None))
            if pending:
                query = query.where(_open(advisory_databases.newest(connection)))
            query = query.group_by(inventories.c.region).order_by(inventories.c.region)
            return {row.region: int(row[1]) for row in connection.execute(query)}


class Unassessed(NamedTuple):
    """A machine whose completeness must be assessed again.

    `machine` is its inventory without packages; `content` is the id of its packages.
    """

    place: InstanceRef
    content: int
    machine: Inventory


class _Inventory(NamedTuple):
    """An inventory's row. `advisories` is the number of the database it is evaluated with."""

    account: str
    region: str
    instance: str
    content: int
    status: str
    advisories: int


class ReevaluationPart:
    """Some instances, locked in one transaction, and the number of those that were `passed` over.

    Machines of one image follow each other.
    """

    def __init__(
        self,
        connection: Connection,
        number: int,
        now: datetime,
        held: Sequence[_Inventory],
        passed: int,
    ) -> None:
        self.passed = passed
        self.instances = len(held)
        self._connection = connection
        self._number = number
        self._now = now
        self._held = held

    def reconcile(self) -> FindingChanges:
        """Reconcile the findings of these instances, and mark them as evaluated."""
        return _settle(self._connection, self._held, self._number, self._now)

    def unassessed(self) -> Iterator[Unassessed]:
        """Yield those of these instances whose last database covered other ecosystems."""
        alike = {
            older: advisory_databases.covers_alike(self._connection, older, self._number)
            for older in {row.advisories for row in self._held}
        }
        for row in self._held:
            if alike[row.advisories]:
                continue
            query = select(inventories.c.document).where(
                inventories.c.account == row.account, inventories.c.instance == row.instance
            )
            document = self._connection.execute(query).scalar_one()
            machine = documents.unpack(Inventory, document)
            place = InstanceRef(row.account, row.region, row.instance)
            yield Unassessed(place, row.content, machine)

    def packages(self, content: int) -> tuple[Package, ...]:
        """Return the packages of a set."""
        return load_set(self._connection, content).packages

    def cover(self, place: InstanceRef, assessment: Assessment) -> None:
        """Write the assessment to the coverage of an instance whose last scan was successful."""
        instance = (place.account, place.instance)
        reassess(self._connection, instance, assessment.reason, assessment.detail, self._now)

    def is_left(self) -> bool:
        """Return whether instances remain, these or those that other workers hold."""
        return bool(self._held) or _is_pending(self._connection, self._number)


def _open(number: int) -> Any:
    return (inventories.c.advisories != number) & inventories.c.retired_at.is_(None)


def _is_pending(connection: Connection, number: int) -> bool:
    return bool(connection.execute(select(exists().where(_open(number)))).scalar())


def _pass_untouched(connection: Connection, number: int, now: datetime) -> int:
    """Mark instances as done if no package's vulnerabilities changed; return their number."""
    query = select(inventories.c.advisories).where(_open(number), inventories.c.advisories > 0)
    count = 0
    for older in connection.execute(query.distinct()).scalars().all():
        if not advisory_databases.covers_alike(connection, older, number):
            continue  # each must be assessed
        touched = (
            select(set_software.c.content)
            .join(software, software.c.id == set_software.c.software)
            .where(software.c.touched > older)
        )
        # A finding kept because its part could not be read again is of no package of the set.
        outdated = exists().where(
            same_instance(findings, inventories),
            findings.c.status != FindingStatus.CLOSED.value,
            findings.c.detail == finding_details.c.id,
            finding_details.c.current.is_(False),
        )
        # A row that a scan holds is skipped: the scan or `_settle` handles it.
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


def _pending(connection: Connection, number: int) -> list[_Inventory]:
    """Lock the next instances to reconcile; machines of one image follow each other."""
    query = (
        select(*(inventories.c[name] for name in _Inventory._fields))
        .where(_open(number))
        .order_by(inventories.c.content, inventories.c.account, inventories.c.instance)
        .limit(_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    return [_Inventory._make(row) for row in connection.execute(query)]


def _settle(
    connection: Connection, held: Sequence[_Inventory], number: int, now: datetime
) -> FindingChanges:
    scopes: dict[tuple[int, int], tuple[dict[str, int], frozenset[str] | None]] = {}
    by_account: dict[str, list[InstanceState]] = {}
    gone = _gone(connection, held)
    for row in held:
        instance = InstanceRef(row.account, row.region, row.instance)
        if instance in gone:
            continue  # the next discovery closes its open findings
        scope = (row.content, row.advisories)
        if scope not in scopes:
            scopes[scope] = _scope(connection, *scope)
        details, keys = scopes[scope]
        state = InstanceState(Observation(instance, details, keys))
        if keys is None:
            state.status, state.content = Status(row.status), row.content
        elif row.status != Status.COMPLETE.value:
            state.observed.keys = keys | _outdated(connection, instance)
        by_account.setdefault(row.account, []).append(state)
    expose(connection, [state.observed for own in by_account.values() for state in own], now)
    judge = judge_with(connection, now)
    changes = FindingChanges()
    for states in by_account.values():
        changes += settle(connection, states, judge, now, observed=False)
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


def _gone(connection: Connection, held: Sequence[_Inventory]) -> set[InstanceRef]:
    """Return the instances among these that the last discovery did not find."""
    query = select(instances.c.account, instances.c.region, instances.c.instance).where(
        instances.c.instance.in_([row.instance for row in held]), instances.c.gone_at.is_not(None)
    )
    return {InstanceRef(*row) for row in connection.execute(query)}


def _scope(
    connection: Connection, content: int, older: int
) -> tuple[dict[str, int], frozenset[str] | None]:
    """Return details by key of these packages now, and the keys to compare: None for all."""
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
    details = {row.key: row.id for row in rows if row.current}
    keys = frozenset(row.key for row in rows)
    if keys - details.keys():
        # Another package at the same path may have a vulnerability that this one lost.
        details = wanted(connection, content, keys)
    return details, keys


def _outdated(connection: Connection, instance: InstanceRef) -> frozenset[str]:
    """Return the keys of an instance's open findings that no advisory supports any more."""
    query = (
        select(findings.c.key)
        .join(finding_details, finding_details.c.id == findings.c.detail)
        .where(
            findings.c.account == instance.account,
            findings.c.instance == instance.instance,
            findings.c.status != FindingStatus.CLOSED.value,
            finding_details.c.current.is_(False),
        )
    )
    return frozenset(connection.execute(query).scalars())
