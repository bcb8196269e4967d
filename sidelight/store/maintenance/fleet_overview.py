"""Read what `fleet_counts` keeps: few rows, however large the fleet. Each value has its age."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select, true

from sidelight.model import Severity
from sidelight.store.base.schema import finding_days, fleet_measures
from sidelight.store.maintenance.fleet_counts import FLEET, RUNNING
from sidelight.store.maintenance.fleet_measures import COVERAGE, UNREACHED

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Table

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database


@dataclass(frozen=True, slots=True)
class DayCounts:
    """The findings of a day (UTC), by severity.

    `running` and `other` are active at its end (or now), on running machines, and on those that are
    stopped or gone; `opened` and `closed` on that day, of running machines. `exploited` is None
    where it is not known. A day that nobody counted is not `counted`: its numbers say nothing.
    """

    day: date
    running: Mapping[Severity, int]
    other: Mapping[Severity, int]
    opened: Mapping[Severity, int]
    closed: Mapping[Severity, int]
    exploited: int | None = None
    counted: bool = True

    def active(self, *severities: Severity) -> int:
        """Return the active findings of these severities on running machines; of all without."""
        return sum(self.running.get(grade, 0) for grade in severities or Severity)


@dataclass(frozen=True, slots=True)
class MeasureSums:
    """Sums of a measure of `fleet_measures` by item; when they were counted, None if never."""

    values: Mapping[str, float]
    counted_at: datetime | None

    @property
    def total(self) -> float:
        """The sum of all items."""
        return sum(self.values.values())


class FleetOverview:
    """The kept counts. `accounts` limits each read to these; None is the whole fleet."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def days(
        self, accounts: Collection[str] | None, count: int = 90, *, region: str = ""
    ) -> list[DayCounts]:
        """Return the last days, the oldest first, today last; of one Region, or of all."""
        today = self._clock().astimezone(UTC).date()
        first = today - timedelta(days=count - 1)
        table = finding_days
        groups = (table.c.day, table.c.severity, table.c.machines)
        query = (
            select(
                *groups, *(func.sum(table.c[name]) for name in ("active", "opened", "closed")),
                func.sum(table.c.exploited),
            )
            .where(table.c.day >= first.isoformat(), _of(table, accounts, region))
            .group_by(*groups)
        )  # fmt: skip
        counted = select(table.c.day).where(
            table.c.account == "", table.c.day >= first.isoformat(), table.c.counted_at.is_not(None)
        )
        days = {first + timedelta(days=number): _Day() for number in range(count)}
        with self._database.read() as connection:
            for name, severity, machines, *sums in connection.execute(query):
                day = days.get(date.fromisoformat(name))
                if day is not None:
                    day.add(Severity(severity), machines, sums)
            known = {date.fromisoformat(name) for name in connection.execute(counted).scalars()}
        return [days[day].counts(day, counted=day in known) for day in sorted(days)]

    def counted_at(self) -> datetime | None:
        """Return when active findings were last counted; None if never."""
        query = select(func.max(finding_days.c.counted_at)).where(
            finding_days.c.account == FLEET[0]
        )
        with self._database.read() as connection:
            moment: datetime | None = connection.execute(query).scalar()
        return moment

    def sums(
        self, measures: Sequence[str], accounts: Collection[str] | None, *, region: str = ""
    ) -> dict[str, MeasureSums]:
        """Return the sums of measures by item; of one Region, or of all."""
        table = fleet_measures
        query = (
            select(table.c.measure, table.c.item, func.sum(table.c.value))
            .where(table.c.measure.in_(measures), _of(table, accounts, region))
            .group_by(table.c.measure, table.c.item)
        )
        times = (
            select(table.c.measure, func.max(table.c.counted_at))
            .where(table.c.measure.in_(measures), table.c.account == "")
            .group_by(table.c.measure)
        )
        values: dict[str, dict[str, float]] = {name: {} for name in measures}
        with self._database.read() as connection:
            for measure, item, value in connection.execute(query):
                if item or value:
                    values[measure][item] = float(value)
            counted = {row[0]: row[1] for row in connection.execute(times)}
        return {name: MeasureSums(values[name], counted.get(name)) for name in measures}

    def account_regions(
        self, accounts: Collection[str] | None, *, region: str = ""
    ) -> set[tuple[str, str]]:
        """Return the account-regions that have machines, or could not be listed, at the last count.

        A whole account that could not be listed has no Region.
        """
        table = fleet_measures
        query = (
            select(table.c.account, table.c.region)
            .where(
                table.c.measure.in_((COVERAGE, UNREACHED)),
                table.c.account != "",
                _of(table, accounts, region) if accounts is not None or region else true(),
            )
            .distinct()
        )
        with self._database.read() as connection:
            return {(row.account, row.region) for row in connection.execute(query)}


def _of(table: Table, accounts: Collection[str] | None, region: str) -> ColumnElement[bool]:
    """Return the condition of a scope: the whole fleet has rows of its own."""
    if accounts is None and not region:
        return table.c.account == ""
    condition = table.c.account != ""
    if accounts is not None:
        condition = table.c.account.in_(sorted(set(accounts) - {""}))
    if region:
        condition &= table.c.region == region
    return condition


class _Day:
    """The sums of a day while they are read."""

    def __init__(self) -> None:
        self._running: dict[Severity, int] = {}
        self._other: dict[Severity, int] = {}
        self._opened: dict[Severity, int] = {}
        self._closed: dict[Severity, int] = {}
        self._exploited: int | None = None

    def add(self, severity: Severity, machines: str, sums: Sequence[object]) -> None:
        """Add active, opened, closed and exploited findings."""
        active, opened, closed = (int(str(value)) for value in sums[:3])
        if machines != RUNNING:
            self._other[severity] = active
            return
        self._running[severity] = active
        self._opened[severity] = opened
        self._closed[severity] = closed
        if sums[3] is not None:
            self._exploited = (self._exploited or 0) + int(str(sums[3]))

    def counts(self, day: date, *, counted: bool) -> DayCounts:
        """Return the sums."""
        return DayCounts(
            day, self._running, self._other, self._opened, self._closed, self._exploited,
            counted=counted,
        )  # fmt: skip
