"""Open, keep, close and reopen the findings of instances by their packages' vulnerabilities.

A scan and a re-evaluation call this with the instance's inventory row locked, so they take turns.
A partial unique index limits an instance to one open finding per key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, or_, select, update

from sidelight.model import FindingChanges, FindingStatus, InstanceRef, Judged
from sidelight.store.base.dialect import new_ids, parts, put_rows
from sidelight.store.base.schema import findings
from sidelight.store.findings.outbox import EventKind, News, announce, news_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Row

# Inspector: a vulnerability that recurs within seven days is the same finding, reopened. A closed
# finding is deleted after thirty days, or three if its instance is gone or no longer scanned.
REOPENS_WITHIN = timedelta(days=7)
KEPT_CLOSED = timedelta(days=30)
KEPT_OF_RETIRED = timedelta(days=3)
CLOSED = FindingStatus.CLOSED.value
# With more keys than this, all findings of an instance are read.
_KEYS = 200

Key = TypeVar("Key", bound="Hashable")


@dataclass(slots=True)
class InstanceState:
    """An instance, and the vulnerability details it has now, by key.

    `keys` are the keys to compare, None for all. `over` returns the findings to close, among those
    that are no longer wanted.
    """

    place: InstanceRef
    wanted: dict[str, int]
    keys: frozenset[str] | None = None
    over: Callable[[list[Row[Any]]], list[Row[Any]]] = list


@dataclass(slots=True)
class Reopened:
    """A closed finding to reopen, with its vulnerability details and status."""

    row: Row[Any]
    detail: int
    status: str = FindingStatus.ACTIVE.value


@dataclass(slots=True)
class FindingPlan:
    """The changes to write."""

    new: list[dict[str, Any]] = field(default_factory=list)
    reopened: list[Reopened] = field(default_factory=list)
    moved: list[tuple[int, int]] = field(default_factory=list)  # another detail of the same key
    kept: list[Row[Any]] = field(default_factory=list)
    closed: list[Row[Any]] = field(default_factory=list)


_COLUMNS = [
    findings.c[name]
    for name in (
        "id", "account", "region", "instance", "key", "detail", "status", "first_observed",
        "last_observed", "closed_at",
    )
]  # fmt: skip


def settle(
    connection: Connection,
    cases: Sequence[InstanceState],
    judge: Callable[[Iterable[Judged]], dict[Judged, FindingStatus]],
    now: datetime,
    *,
    observed: bool,
) -> FindingChanges:
    """Reconcile the findings of instances of one account with their present vulnerabilities.

    `observed`: a scan has read the machines again.
    """
    existing: dict[tuple[str, str], list[Row[Any]]] = {}
    for row in _existing(connection, cases, now):
        existing.setdefault((row.account, row.instance), []).append(row)
    out = FindingPlan()
    for case in cases:
        known = existing.get((case.place.account, case.place.instance), [])
        _compare(case, known, out, now)
    _judge(out, judge, now)
    _write(connection, out, now, observed=observed)
    return FindingChanges(len(out.new) + len(out.reopened), len(out.kept), len(out.closed))


def _existing(
    connection: Connection, cases: Sequence[InstanceState], now: datetime
) -> Iterator[Row[Any]]:
    """Read the findings that are open, or closed recently enough to be reopened.

    Machines with the same packages have the same keys to compare: one query reads them together.
    """
    recent = or_(findings.c.status != CLOSED, findings.c.closed_at >= now - REOPENS_WITHIN)
    alike: dict[frozenset[str] | None, list[InstanceState]] = {}
    for case in cases:
        few = case.keys is not None and len(case.keys) <= _KEYS
        alike.setdefault(case.keys if few else None, []).append(case)
    for keys, some in alike.items():
        for part in parts(some):
            query = select(*_COLUMNS).where(
                findings.c.account == part[0].place.account,
                findings.c.instance.in_([case.place.instance for case in part]),
                recent,
            )
            if keys is not None:
                query = query.where(findings.c.key.in_(sorted(keys)))
            yield from connection.execute(query).all()


def _compare(
    case: InstanceState, known: Sequence[Row[Any]], out: FindingPlan, now: datetime
) -> None:
    latest: dict[str, Row[Any]] = {}
    for row in sorted(known, key=lambda row: (row.status != CLOSED, row.id)):
        latest[row.key] = row  # the open finding, else the newest
    for key, detail in case.wanted.items():
        if key not in latest:
            out.new.append(_new(case.place, key, detail, now))
            continue
        row = latest[key]
        if row.status == CLOSED:
            out.reopened.append(Reopened(row, detail))
        else:
            out.kept.append(row)
        if row.detail != detail:
            out.moved.append((row.id, detail))
    missing = [
        row
        for key, row in latest.items()
        if (case.keys is None or key in case.keys)
        and key not in case.wanted
        and row.status != CLOSED
    ]
    out.closed += case.over(missing)


def _new(place: InstanceRef, key: str, detail: int, now: datetime) -> dict[str, Any]:
    return {
        "account": place.account,
        "region": place.region,
        "instance": place.instance,
        "key": key,
        "detail": detail,
        "status": FindingStatus.ACTIVE.value,
        "first_observed": now,
        "last_observed": now,
        "updated_at": now,
        "closed_at": None,
        "expires_at": None,
    }


def _judge(
    out: FindingPlan,
    judge: Callable[[Iterable[Judged]], dict[Judged, FindingStatus]],
    now: datetime,
) -> None:
    """Set the status of new and reopened findings: ACTIVE or SUPPRESSED."""
    new = [
        (
            row,
            Judged(InstanceRef(row["account"], row["region"], row["instance"]), row["detail"], now),
        )
        for row in out.new
    ]
    again = [
        (item, Judged(_place(item.row), item.detail, item.row.first_observed))
        for item in out.reopened
    ]
    verdicts = judge([about for _row, about in [*new, *again]])
    for row, about in new:
        row["status"] = verdicts.get(about, FindingStatus.ACTIVE).value
    for item, about in again:
        item.status = verdicts.get(about, FindingStatus.ACTIVE).value


def _write(connection: Connection, out: FindingPlan, now: datetime, *, observed: bool) -> None:
    news = _open(connection, out.new) + _reopen(connection, out.reopened, now)
    for detail, ids in _grouped((detail, row) for row, detail in out.moved):
        _update(connection, ids, detail=detail)
    if observed:
        _update(connection, [row.id for row in out.kept], last_observed=now)
    news += close(connection, out.closed, now, KEPT_CLOSED)
    announce(connection, news, now)


def _open(connection: Connection, rows: Sequence[dict[str, Any]]) -> list[News]:
    if not rows:
        return []
    ids = new_ids(connection, findings, len(rows))
    for row, number in zip(rows, ids, strict=True):
        row["id"] = number
    put_rows(connection, findings, rows)
    return [
        News(
            EventKind.OPENED, row["id"],
            InstanceRef(row["account"], row["region"], row["instance"]), row["detail"],
            row["status"], row["first_observed"], row["last_observed"],
        )
        for row in rows
    ]  # fmt: skip


def _reopen(connection: Connection, again: Sequence[Reopened], now: datetime) -> list[News]:
    for status, ids in _grouped((item.status, item.row.id) for item in again):
        _update(
            connection, ids, status=status, updated_at=now, last_observed=now, closed_at=None,
            expires_at=None,
        )  # fmt: skip
    return [
        News(
            EventKind.REOPENED, item.row.id, _place(item.row), item.detail, item.status,
            item.row.first_observed, now,
        )
        for item in again
    ]  # fmt: skip


def _place(row: Row[Any]) -> InstanceRef:
    return InstanceRef(row.account, row.region, row.instance)


def _grouped(items: Iterable[tuple[Key, int]]) -> Iterable[tuple[Key, list[int]]]:
    """Group rows by the same change, so that one statement changes many."""
    groups: dict[Key, list[int]] = {}
    for key, row in items:
        groups.setdefault(key, []).append(row)
    return groups.items()


def _update(connection: Connection, ids: Sequence[int], **values: object) -> None:
    for part in parts(ids):
        connection.execute(update(findings).where(findings.c.id.in_(part)).values(values))


def close(
    connection: Connection, rows: Sequence[Row[Any]], now: datetime, kept: timedelta
) -> list[News]:
    """Close findings; retention deletes them after `kept`."""
    _update(
        connection, [row.id for row in rows],
        status=CLOSED, closed_at=now, updated_at=now, expires_at=now + kept,
    )  # fmt: skip
    return [news_of(EventKind.CLOSED, row, CLOSED) for row in rows]


def open_rows(connection: Connection, account: str, instance: str) -> list[Row[Any]]:
    """Return an instance's findings that are not closed."""
    query = select(*_COLUMNS).where(
        findings.c.account == account, findings.c.instance == instance, findings.c.status != CLOSED
    )
    return list(connection.execute(query))
