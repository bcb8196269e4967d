"""Count what overviews show, and keep it: a page must not count millions of findings.

Active findings and other measures are counted at intervals, and a count replaces the one before.
Opened and closed findings are added from the outbox, whose position is stored in the same
transaction: each event counts once, whatever is interrupted. All of it may be lost: `rebuild`
counts it from what is stored.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import case, delete, func, select, update

from sidelight.findings import EventKind
from sidelight.model import FindingStatus, Severity
from sidelight.store.base.counters import increment, read_counter, set_counter
from sidelight.store.base.dialect import insert, once, parts
from sidelight.store.base.ordered_join import same_instance
from sidelight.store.base.schema import (
    finding_days,
    finding_events,
    finding_terms,
    findings,
    fleet_measures,
    instances,
)
from sidelight.store.maintenance.fleet_measures import COST, Measured, measure_costs, measure_fleet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database

EVENTS: Final = "counted events"  # the counter of events in finding_days
EVENTS_AT_ONCE: Final = 20_000
DAYS_KEPT: Final = timedelta(days=400)
REBUILT_DAYS: Final = 90
RUNNING: Final = "RUNNING"
OTHER: Final = "OTHER"
FLEET: Final = ("", "")  # the account and Region of the whole fleet's rows
_KEYS = ("day", "account", "region", "severity", "machines")


class _Key(NamedTuple):
    """Whose findings are counted."""

    account: str
    region: str
    severity: str
    machines: str


class FleetCounts:
    """Writes the counts. One process at a time: the dispatcher holds a lease."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add_events(self, limit: int = EVENTS_AT_ONCE) -> int:
        """Add the next events to the counts of their days; return how many, 0 if none is left."""
        with self._database.write() as connection:
            begin = increment(connection, EVENTS, 0)  # locks it until the end
            end = min(begin + limit, read_counter(connection, "events"))
            if end <= begin:
                return 0
            changes = self._changes(connection, begin, end)
            for part in parts(changes):
                connection.execute(_adding(connection), part)
            set_counter(connection, EVENTS, end)
        return end - begin

    def _changes(self, connection: Connection, begin: int, end: int) -> list[dict[str, object]]:
        """Count opened and closed findings of a range of events, by day."""
        day = self._day(finding_events.c.at)
        is_closed = finding_events.c.kind == EventKind.CLOSED.value
        is_opened = finding_events.c.kind.in_(
            (EventKind.OPENED.value, EventKind.REOPENED.value)
        ) & (finding_events.c.status == FindingStatus.ACTIVE.value)
        groups = (
            day, finding_events.c.account, finding_events.c.region, finding_terms.c.severity,
            _MACHINES,
        )  # fmt: skip
        query = (
            select(
                *groups,
                func.sum(case((is_opened, 1), else_=0)),
                func.sum(case((is_closed, 1), else_=0)),
            )
            .join(finding_terms, finding_terms.c.detail == finding_events.c.detail)
            .outerjoin(instances, same_instance(instances, finding_events))
            .where(
                finding_events.c.sequence > begin,
                finding_events.c.sequence <= end,
                is_opened | is_closed,
            )
            .group_by(*groups)
        )
        opened: Counter[tuple[str, _Key]] = Counter()
        closed: Counter[tuple[str, _Key]] = Counter()
        for name, *key, more, fewer in connection.execute(query):
            for group in _with_fleet(_Key(*key)):
                opened[str(name), group] += int(more)
                closed[str(name), group] += int(fewer)
        return [
            _row(name, key, opened=opened[name, key], closed=closed[name, key])
            for name, key in sorted(opened.keys() | closed.keys())
        ]

    def recount(self) -> None:
        """Count active findings and the other measures, and replace the counts of before."""
        now = self._clock()
        with self._database.read() as connection:
            active = _active(connection)
            measured = measure_fleet(connection, now)
        today = _name(now.astimezone(UTC).date())
        with self._database.write() as connection:
            _write_active(connection, today, active, now)
            oldest = _name((now - DAYS_KEPT).astimezone(UTC).date())
            connection.execute(delete(finding_days).where(finding_days.c.day < oldest))
            _write_measures(connection, measured, now)

    def recount_costs(self) -> None:
        """Sum the costs of each day since the month began, or since yesterday if that is known.

        A scan is of the day of its creation, and may end a day later.
        """
        now = self._clock().astimezone(UTC)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        first = midnight.replace(day=1)
        yesterday = midnight - timedelta(days=1)
        with self._database.read() as connection:
            known = connection.execute(
                select(fleet_measures.c.item).where(
                    fleet_measures.c.measure == COST,
                    fleet_measures.c.account == "",
                    fleet_measures.c.item >= _name(first.date()),
                    fleet_measures.c.item < _name(yesterday.date()),
                )
            ).scalars()
            complete = len(set(known)) >= (yesterday - first).days
            since = max(first, yesterday) if complete else first
            measured = measure_costs(connection, self._day, since, midnight)
        with self._database.write() as connection:
            _write_measures(connection, measured, now, keep_before=_name(since.date()))

    def rebuild(self, days: int = REBUILT_DAYS) -> int:
        """Count the last days from the stored findings; return the number of days.

        Closed findings are kept for some weeks: older days have what was open since then. Findings
        that were suppressed later count as if they always were. Severities are those of now.
        """
        now = self._clock()
        today = now.astimezone(UTC).date()
        first = today - timedelta(days=days - 1)
        with self._database.read() as connection:
            active = {key: count for key, (count, _) in _active(connection).items()}
            opened = self._by_day(connection, findings.c.first_observed, first)
            closed = self._by_day(connection, findings.c.closed_at, first)
        rows: list[dict[str, object]] = []
        for back in range(days):
            name = _name(today - timedelta(days=back))
            more, fewer = opened.get(name, {}), closed.get(name, {})
            keys = {*active, *more, *fewer, *_fleet_keys()}
            rows += [
                _row(
                    name, key, active=max(0, active.get(key, 0)), opened=more.get(key, 0),
                    closed=fewer.get(key, 0), counted_at=now,
                )
                for key in sorted(keys)
            ]  # fmt: skip
            active = {
                key: active.get(key, 0) - more.get(key, 0) + fewer.get(key, 0) for key in keys
            }
        with self._database.write() as connection:
            increment(connection, EVENTS, 0)
            set_counter(connection, EVENTS, read_counter(connection, "events"))
            connection.execute(delete(finding_days).where(finding_days.c.day >= _name(first)))
            for part in parts(rows):
                connection.execute(insert(connection, finding_days), part)
        self.recount()
        return days

    def _by_day(
        self, connection: Connection, column: Any, first: date
    ) -> dict[str, dict[_Key, int]]:
        """Count findings by the day of a time; suppressed ones do not count."""
        groups = (
            self._day(column), findings.c.account, findings.c.region, finding_terms.c.severity,
            _MACHINES,
        )  # fmt: skip
        query = (
            select(*groups, func.count())
            .join(finding_terms, finding_terms.c.detail == findings.c.detail)
            .outerjoin(instances, _OF_INSTANCE)
            .where(findings.c.status != FindingStatus.SUPPRESSED.value, column.is_not(None))
            .group_by(*groups)
        )
        counts: dict[str, dict[_Key, int]] = {}
        for day, *key, count in connection.execute(query):
            if str(day) < _name(first):
                continue
            of_day = counts.setdefault(str(day), {})
            for group in _with_fleet(_Key(*key)):
                of_day[group] = of_day.get(group, 0) + int(count)
        return counts

    def _day(self, column: Any) -> Any:
        """Select the day of a time in UTC, as `2026-01-31`."""
        if self._database.engine.dialect.name == "sqlite":
            return func.date(column)
        return func.to_char(func.timezone("UTC", column), "YYYY-MM-DD")


_MACHINES = case(
    (instances.c.gone_at.is_(None) & (instances.c.state == "running"), RUNNING), else_=OTHER
)
_OF_INSTANCE = same_instance(instances, findings)


def _active(connection: Connection) -> dict[_Key, tuple[int, int]]:
    """Count active findings, and those with a known exploit. Index entries alone are read.

    Without a row of its instance, a finding has no Region here, and its machine does not run.
    """
    region = func.coalesce(instances.c.region, "")
    groups = (findings.c.account, region, finding_terms.c.severity, _MACHINES)
    exploited = func.sum(case((finding_terms.c.exploit == "YES", 1), else_=0))
    query = (
        select(*groups, func.count(), exploited)
        .join(finding_terms, finding_terms.c.detail == findings.c.detail)
        .outerjoin(instances, _OF_INSTANCE)
        .where(findings.c.status == FindingStatus.ACTIVE.value)
        .group_by(*groups)
    )
    counts: dict[_Key, tuple[int, int]] = {}
    for *key, count, with_exploit in connection.execute(query):
        for group in _with_fleet(_Key(*key)):
            before = counts.get(group, (0, 0))
            counts[group] = before[0] + int(count), before[1] + int(with_exploit)
    return counts


def _with_fleet(key: _Key) -> Iterable[_Key]:
    """Return a key, and that of the whole fleet."""
    return key, _Key(*FLEET, key.severity, key.machines)


def _fleet_keys() -> list[_Key]:
    """Return the fleet's keys, which each counted day has: zero findings is not "not counted"."""
    return [_Key(*FLEET, grade.value, kind) for grade in Severity for kind in (RUNNING, OTHER)]


def _write_active(
    connection: Connection, today: str, active: Mapping[_Key, tuple[int, int]], now: datetime
) -> None:
    """Replace the day's counts of active findings."""
    connection.execute(
        update(finding_days)
        .where(finding_days.c.day == today)
        .values(active=0, exploited=0, counted_at=now)
    )
    rows = []
    for key in sorted({*active, *_fleet_keys()}):
        count, exploited = active.get(key, (0, 0))
        rows.append(_row(today, key, active=count, exploited=exploited, counted_at=now))
    for part in parts(rows):
        connection.execute(_counting(connection), part)


def _row(day: str, key: _Key, **counts: object) -> dict[str, object]:
    nothing = {"active": 0, "exploited": None, "opened": 0, "closed": 0, "counted_at": None}
    return {"day": day, **key._asdict(), **nothing, **counts}


@once
def _adding(connection: Connection) -> Any:
    adding = insert(connection, finding_days)
    added = {name: finding_days.c[name] + adding.excluded[name] for name in ("opened", "closed")}
    return adding.on_conflict_do_update(index_elements=_KEYS, set_=added)


@once
def _counting(connection: Connection) -> Any:
    adding = insert(connection, finding_days)
    counted = {name: adding.excluded[name] for name in ("active", "exploited", "counted_at")}
    return adding.on_conflict_do_update(index_elements=_KEYS, set_=counted)


def _write_measures(
    connection: Connection, measured: Sequence[Measured], now: datetime, *, keep_before: str = ""
) -> None:
    """Replace the values of the measures that were taken; keep items before one."""
    names = sorted({item.measure for item in measured})
    replaced = fleet_measures.c.measure.in_(names) & (fleet_measures.c.item >= keep_before)
    connection.execute(delete(fleet_measures).where(replaced))
    rows = [item._asdict() | {"counted_at": now} for item in measured]
    for part in parts(rows):
        connection.execute(fleet_measures.insert(), part)


def _name(day: date) -> str:
    return day.isoformat()
