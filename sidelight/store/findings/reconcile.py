"""Apply to the store what `sidelight.findings` decides on the findings of instances.

A scan and a re-evaluation call this with the instance's inventory row locked, so they take turns.
A partial unique index limits an instance to one open finding per key.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Connection, bindparam, select, text, union_all, update

from sidelight.findings import (
    KEPT_CLOSED,
    REOPENS_WITHIN,
    EventKind,
    FindingChange,
    FindingPlan,
    NewFinding,
    Observation,
    ReadAgain,
    Reopened,
    StoredFinding,
    closable,
    closing,
    missing_from,
    observing,
    opening,
    reopening,
)
from sidelight.model import Finding, FindingChanges, FindingStatus, Status
from sidelight.store.base.dialect import new_ids, parts, put_rows
from sidelight.store.base.ordered_join import Unindexed, by_instance
from sidelight.store.base.schema import findings, inventories
from sidelight.store.findings.judgement import documents
from sidelight.store.findings.outbox import announce
from sidelight.store.inventories.package_sets import load_set

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import CompoundSelect

    from sidelight.findings.lifecycle import PackageKey
    from sidelight.model import Judged, NetworkFinding, Package

# With more keys than this, all findings of an instance are read.
_KEYS = 200

Key = TypeVar("Key", bound="Hashable")


@dataclass(slots=True)
class InstanceState:
    """The observation of an instance, and how complete it is.

    `status` and `content` (the id of its package set) decide which findings may be closed; those of
    a network `closes` decides, by the finding. Findings of packages of a type in `unjudged` stay:
    what is known of the machine now does not decide them.
    """

    observed: Observation
    status: Status = Status.COMPLETE
    content: int = 0
    closes: Callable[[Finding | NetworkFinding], bool] | None = None
    unjudged: frozenset[str] = frozenset()


_SYSTEM: Final[PackageKey] = ("os", "", "")  # the machine's operating system itself
# The first is the condition of an index, and the second is left to another index's: so each of two
# indexes has the keys of its findings.
_IS_OPEN = text("findings.status <> 'CLOSED'")
_IS_CLOSED = Unindexed(findings.c.status) == FindingStatus.CLOSED.value
_COLUMNS = [findings.c[name] for name in StoredFinding._fields]


def settle(
    connection: Connection,
    states: Sequence[InstanceState],
    judge: Callable[[Iterable[Judged]], dict[Judged, FindingStatus]],
    now: datetime,
    *,
    observed: bool,
) -> FindingChanges:
    """Reconcile the findings of instances of one account with their present vulnerabilities.

    `observed`: a scan has read the machines again.
    """
    known: dict[tuple[str, str], list[StoredFinding]] = {}
    for finding in known_findings(connection, states, now):
        known.setdefault((finding.account, finding.instance), []).append(finding)
    plan, missing = FindingPlan(), list[StoredFinding]()
    for state in states:
        place = state.observed.place
        own = plan.add(state.observed, known.get((place.account, place.instance), ()), now)
        plan.closed += _closable(connection, state, own)
        missing += own
    plan.judge(judge, now)
    if observed:
        _keep(connection, plan, missing, now)
    _write(connection, plan, now, observed=observed)
    return plan.changes()


def known_findings(
    connection: Connection, states: Sequence[InstanceState], now: datetime
) -> Iterator[StoredFinding]:
    """Read the findings that are open, or closed recently enough to be reopened.

    Machines with the same packages have the same keys to compare: one query reads them together.
    """
    alike: dict[frozenset[str] | None, list[Observation]] = {}
    for state in states:
        keys = state.observed.keys
        few = keys is not None and len(keys) <= _KEYS
        alike.setdefault(keys if few else None, []).append(state.observed)
    for keys, some in alike.items():
        for part in parts(some):
            values = {
                "of_account": part[0].place.account,
                "instances": [each.place.instance for each in part],
                "since": now - REOPENS_WITHIN,
            }
            if keys is not None:
                values["keys"] = sorted(keys)
            rows = connection.execute(_open_or_recent(by_key=keys is not None), values).all()
            yield from map(StoredFinding._make, rows)


@cache
def _open_or_recent(*, by_key: bool) -> CompoundSelect[Any]:
    query = select(*_COLUMNS).where(
        findings.c.account == bindparam("of_account"),
        findings.c.instance.in_(bindparam("instances", expanding=True)),
    )
    if by_key:
        query = query.where(findings.c.key.in_(bindparam("keys", expanding=True)))
    recent = findings.c.closed_at >= bindparam("since")
    return union_all(query.where(_IS_OPEN), query.where(_IS_CLOSED, recent))


def _closable(
    connection: Connection, state: InstanceState, missing: Sequence[StoredFinding]
) -> Sequence[StoredFinding]:
    if state.unjudged and missing:
        missing = _judged(connection, missing, state.unjudged)
    if state.closes is None or not missing:
        return closable(missing, state.status, _evidence(connection, state, missing))
    details = documents(connection, [finding.detail for finding in missing])
    return [finding for finding in missing if state.closes(details[finding.detail])]


def _judged(
    connection: Connection, rows: Sequence[StoredFinding], unjudged: frozenset[str]
) -> list[StoredFinding]:
    """Return findings without those of packages of these types."""
    details = documents(connection, [row.detail for row in rows])

    def stays(finding: Finding | NetworkFinding) -> bool:
        return isinstance(finding, Finding) and finding.package.type in unjudged

    return [row for row in rows if not stays(details[row.detail])]


def _evidence(
    connection: Connection, state: InstanceState, missing: Sequence[StoredFinding]
) -> Callable[[], ReadAgain]:
    def load() -> ReadAgain:
        known = load_set(connection, state.content)
        read = {_key(package) for package in known.packages}
        if known.os.id:
            read.add(_SYSTEM)
        details = documents(connection, [finding.detail for finding in missing])
        packages = {
            detail: _key(finding.package)
            for detail, finding in details.items()
            if isinstance(finding, Finding)
        }
        return ReadAgain(packages, read)

    return load


def _key(package: Package) -> PackageKey:
    """Return what a package is compared by. A machine has one system, of whatever name."""
    return _SYSTEM if package.type == "os" else (package.type, package.name, package.path)


def _keep(
    connection: Connection, plan: FindingPlan, missing: Sequence[StoredFinding], now: datetime
) -> None:
    """Write who begins and who ceases to follow the inventory: of an unchanged machine nobody."""
    _update(connection, [row.id for row in plan.kept if not row.follows], observing(now))
    closed = {row.id for row in plan.closed}
    stay = [row for row in missing if row.follows and row.id not in closed]
    for last, ids in _grouped((row.last_observed, row.id) for row in dated(connection, stay)):
        _update(connection, ids, missing_from(last))


def dated(connection: Connection, rows: Sequence[StoredFinding]) -> list[StoredFinding]:
    """Return findings with the time at which they were last observed."""
    following = {(row.account, row.instance) for row in rows if row.follows}
    times = {
        (row.account, row.instance): row.observed_at
        for row in by_instance(connection, inventories, "observed_at", following)
        if row.observed_at is not None
    }
    return [
        row._replace(last_observed=times.get((row.account, row.instance), row.last_observed))
        if row.follows
        else row
        for row in rows
    ]


def _write(connection: Connection, plan: FindingPlan, now: datetime, *, observed: bool) -> None:
    changes = _open(connection, plan.opened, now, observed=observed)
    changes += _reopen(connection, plan.reopened, now, observed=observed)
    for detail, ids in _grouped((detail, row) for row, detail in plan.moved):
        _update(connection, ids, {"detail": detail})
    changes += close(connection, plan.closed, now, KEPT_CLOSED)
    announce(connection, changes, now)


def _open(
    connection: Connection, new: Sequence[NewFinding], now: datetime, *, observed: bool
) -> list[FindingChange]:
    if not new:
        return []
    ids = new_ids(connection, findings, len(new))
    rows = [
        {"id": number} | opening(finding, now, follows=observed)
        for number, finding in zip(ids, new, strict=True)
    ]
    put_rows(connection, findings, rows)
    return [
        FindingChange(
            EventKind.OPENED, number, finding.place, finding.detail, finding.status, now, now
        )
        for number, finding in zip(ids, new, strict=True)
    ]


def _reopen(
    connection: Connection, again: Sequence[Reopened], now: datetime, *, observed: bool
) -> list[FindingChange]:
    for status, ids in _grouped((item.status, item.finding.id) for item in again):
        _update(connection, ids, reopening(now, status, follows=observed))
    return [
        FindingChange(
            EventKind.REOPENED, item.finding.id, item.finding.place, item.detail, item.status,
            item.finding.first_observed, now,
        )
        for item in again
    ]  # fmt: skip


def _grouped(items: Iterable[tuple[Key, int]]) -> Iterable[tuple[Key, list[int]]]:
    """Group rows by the same change, so that one statement changes many."""
    groups: dict[Key, list[int]] = {}
    for key, row in items:
        groups.setdefault(key, []).append(row)
    return groups.items()


def _update(connection: Connection, ids: Sequence[int], values: dict[str, object]) -> None:
    for part in parts(ids):
        connection.execute(update(findings).where(findings.c.id.in_(part)).values(values))


def close(
    connection: Connection, closed: Sequence[StoredFinding], now: datetime, kept: timedelta
) -> list[FindingChange]:
    """Close findings; retention deletes them after `kept`."""
    closed = dated(connection, closed)
    own = [finding.id for finding in closed if not finding.follows]
    _update(connection, own, closing(now, kept))
    following = ((row.last_observed, row.id) for row in closed if row.follows)
    for last, ids in _grouped(following):
        _update(connection, ids, closing(now, kept) | {"last_observed": last})
    return [
        FindingChange.of(EventKind.CLOSED, finding, FindingStatus.CLOSED.value)
        for finding in closed
    ]


def open_findings(connection: Connection, account: str, instance: str) -> list[StoredFinding]:
    """Return an instance's findings of all types that are not closed."""
    query = select(*_COLUMNS).where(
        findings.c.account == account,
        findings.c.instance == instance,
        findings.c.status != FindingStatus.CLOSED.value,
    )
    return [StoredFinding._make(row) for row in connection.execute(query)]
