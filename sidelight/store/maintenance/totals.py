"""Counts for metrics and overviews, computed by the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import case, func, select

from sidelight.model import LIVE, FindingStatus, ScanType, State
from sidelight.store.base.schema import (
    coverage,
    finding_details,
    findings,
    instances,
    intents,
    scans,
)

if TYPE_CHECKING:
    from datetime import datetime

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database


@dataclass(frozen=True, slots=True)
class LiveScans:
    """Scans in one state and region: their number, how many a worker holds, and the oldest."""

    state: State
    region: str
    count: int
    held: int
    oldest: datetime  # when it entered the state


@dataclass(frozen=True, slots=True)
class Covered:
    """Instances with the same coverage."""

    status_code: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class InFlight:
    """Snapshots that live scans of an account-region and state created or may be creating."""

    account: str
    region: str
    state: State
    count: int


class Totals:
    """Counts over the whole store."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def live_scans(self) -> list[LiveScans]:
        """Count live scans by state and region."""
        held = case((scans.c.lease_until > self._clock(), 1), else_=0)
        query = (
            select(
                scans.c.state, scans.c.region, func.count(), func.sum(held),
                func.min(scans.c.entered_at),
            )
            .where(scans.c.state.in_(LIVE))
            .group_by(scans.c.state, scans.c.region)
            .order_by(scans.c.state, scans.c.region)
        )  # fmt: skip
        with self._database.read() as connection:
            return [
                LiveScans(State(state), region, count, int(held), oldest)
                for state, region, count, held, oldest in connection.execute(query)
            ]

    def coverage(self) -> list[Covered]:
        """Count instances by status code and reason of their packages' coverage."""
        groups = (coverage.c.status_code, coverage.c.reason)
        query = (
            select(*groups, func.count())
            .where(coverage.c.scan_type == ScanType.PACKAGE.value)
            .group_by(*groups)
            .order_by(*groups)
        )
        with self._database.read() as connection:
            return [Covered(*row) for row in connection.execute(query)]

    def findings(self) -> dict[str, int]:
        """Count active findings by severity."""
        query = (
            select(finding_details.c.severity, func.count())
            .join(finding_details, finding_details.c.id == findings.c.detail)
            .where(findings.c.status == FindingStatus.ACTIVE.value)
            .group_by(finding_details.c.severity)
        )
        with self._database.read() as connection:
            return {str(severity): count for severity, count in connection.execute(query)}

    def findings_by_status(self) -> dict[str, int]:
        """Count all stored findings by status, including closed and suppressed ones."""
        query = select(findings.c.status, func.count()).group_by(findings.c.status)
        with self._database.read() as connection:
            return {str(status): count for status, count in connection.execute(query)}

    def snapshots_in_flight(self) -> list[InFlight]:
        """Count the snapshots that the caps count: from before CreateSnapshots to the receipt."""
        groups = (scans.c.account, scans.c.region, scans.c.state)
        query = (
            select(*groups, func.count())
            .join(intents, intents.c.scan == scans.c.id)
            .where(scans.c.state.in_(LIVE))
            .group_by(*groups)
            .order_by(*groups)
        )
        with self._database.read() as connection:
            return [
                InFlight(account, region, State(state), count)
                for account, region, state, count in connection.execute(query)
            ]

    def instances(self) -> int:
        """Count the instances that are not gone."""
        query = select(func.count()).where(instances.c.gone_at.is_(None))
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())
