"""Apply to the store what `sidelight.findings` decides on the findings of instances.

A scan and a re-evaluation call this with the instance's inventory row locked, so they take turns.
A partial unique index limits an instance to one open finding per key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Connection, or_, select, update

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
    observing,
    opening,
    reopening,
)
from sidelight.model import FindingChanges, FindingStatus, Status
from sidelight.store.base.dialect import new_ids, parts, put_rows
from sidelight.store.base.schema import findings
from sidelight.store.findings.outbox import announce
from sidelight.store.findings.suppression_rules import documents
from sidelight.store.inventories.package_sets import load_set

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
    from datetime import datetime, timedelta

    from sidelight.model import Judged

# With more keys than this, all findings of an instance are read.
_KEYS = 200

Key = TypeVar("Key", bound="Hashable")


@dataclass(slots=True)
class InstanceState:
    """What is observed on an instance, and how completely.

    `status` and `content` (the id of its package set) decide which findings may be closed.
    """

    observed: Observation
    status: Status = Status.COMPLETE
    content: int = 0


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
    for finding in _known(connection, states, now):
        known.setdefault((finding.account, finding.instance), []).append(finding)
    plan = FindingPlan()
    for state in states:
        place = state.observed.place
        missing = plan.add(state.observed, known.get((place.account, place.instance), ()), now)
        plan.closed += closable(missing, state.status, _evidence(connection, state, missing))
    plan.judge(judge, now)
    _write(connection, plan, now, observed=observed)
    return plan.changes()


def _known(
    connection: Connection, states: Sequence[InstanceState], now: datetime
) -> Iterator[StoredFinding]:
    """Read the findings that are open, or closed recently enough to be reopened.

    Machines with the same packages have the same keys to compare: one query reads them together.
    """
    recent = or_(
        findings.c.status != FindingStatus.CLOSED.value,
        findings.c.closed_at >= now - REOPENS_WITHIN,
    )
    alike: dict[frozenset[str] | None, list[Observation]] = {}
    for state in states:
        keys = state.observed.keys
        few = keys is not None and len(keys) <= _KEYS
        alike.setdefault(keys if few else None, []).append(state.observed)
    for keys, some in alike.items():
        for part in parts(some):
            query = select(*_COLUMNS).where(
                findings.c.account == part[0].place.account,
                findings.c.instance.in_([each.place.instance for each in part]),
                recent,
            )
            if keys is not None:
                query = query.where(findings.c.key.in_(sorted(keys)))
            yield from map(StoredFinding._make, connection.execute(query).all())


def _evidence(
    connection: Connection, state: InstanceState, missing: Sequence[StoredFinding]
) -> Callable[[], ReadAgain]:
    def load() -> ReadAgain:
        read = {
            (package.type, package.name, package.path)
            for package in load_set(connection, state.content).packages
        }
        details = documents(connection, [finding.detail for finding in missing])
        packages = {
            detail: (finding.package.type, finding.package.name, finding.package.path)
            for detail, finding in details.items()
        }
        return ReadAgain(packages, read)

    return load


def _write(connection: Connection, plan: FindingPlan, now: datetime, *, observed: bool) -> None:
    changes = _open(connection, plan.opened, now) + _reopen(connection, plan.reopened, now)
    for detail, ids in _grouped((detail, row) for row, detail in plan.moved):
        _update(connection, ids, {"detail": detail})
    if observed:
        _update(connection, [finding.id for finding in plan.kept], observing(now))
    changes += close(connection, plan.closed, now, KEPT_CLOSED)
    announce(connection, changes, now)


def _open(connection: Connection, new: Sequence[NewFinding], now: datetime) -> list[FindingChange]:
    if not new:
        return []
    ids = new_ids(connection, findings, len(new))
    rows = [
        {"id": number} | opening(finding, now) for number, finding in zip(ids, new, strict=True)
    ]
    put_rows(connection, findings, rows)
    return [
        FindingChange(
            EventKind.OPENED, number, finding.place, finding.detail, finding.status, now, now
        )
        for number, finding in zip(ids, new, strict=True)
    ]


def _reopen(
    connection: Connection, again: Sequence[Reopened], now: datetime
) -> list[FindingChange]:
    for status, ids in _grouped((item.status, item.finding.id) for item in again):
        _update(connection, ids, reopening(now, status))
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
    _update(connection, [finding.id for finding in closed], closing(now, kept))
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
