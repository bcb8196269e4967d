"""What was decided on instances and accounts since a caller read it: that stays.

A scan, an agent's round and an evaluation of networks take minutes. Meanwhile a discovery may
exclude an instance, its agent may take over, or its account may be disabled. Entries are locked
before they are read, so that such a decision is seen, or is written after the caller's.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from sidelight.model import AccountStatus, Coverage, ScanMode, ScanType
from sidelight.model.coverage_reasons import (
    NOT_EVALUATED,
    OUTLASTING_SCANS,
    PENDING_DISABLE,
    STOPPED,
    TERMINATED,
)
from sidelight.store.base.account_status import not_enabled
from sidelight.store.base.ordered_join import is_instance, same_instance
from sidelight.store.base.schema import coverage, instances
from sidelight.store.instances.coverage_rows import COVERAGE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Select

    from sidelight.model import Scan


def planned_coverage(connection: Connection, machine: Scan) -> Coverage | None:
    """Return the entry of a scan's instance if another decision than its scan's is in force.

    It is scanned by its agent now, or it is not scanned any more.
    """
    key = {"of_account": machine.account, "of_instance": machine.instance}
    row = connection.execute(_entry(), key).first()
    if row is None:
        return None
    entry = Coverage(*row)
    if entry.status_code == "ACTIVE":
        return entry if entry.scan_mode == ScanMode.AGENT_BASED else None
    return entry if entry.reason in OUTLASTING_SCANS else None


def not_scanned(connection: Connection, account: str, instance_id: str) -> str:
    """Return the reason for which an instance is not scanned any more; empty where it is.

    RESOURCE_TERMINATED of a known instance that the last discovery did not find.
    """
    key = {"of_account": account, "of_instance": instance_id}
    row = connection.execute(_ending(), key).first()
    if row is None:
        return ""
    return (row.reason or "") if row.gone_at is None else TERMINATED


@cache
def _entry() -> Select[Any]:
    query = select(*COVERAGE_COLUMNS).where(
        is_instance(coverage), coverage.c.scan_type == ScanType.PACKAGE.value
    )
    return query.with_for_update()


@cache
def _ending() -> Select[Any]:
    entry = (
        same_instance(coverage, instances)
        & (coverage.c.scan_type == ScanType.PACKAGE.value)
        & (coverage.c.status_code == "INACTIVE")
        & coverage.c.reason.in_(OUTLASTING_SCANS)
    )
    return (
        select(instances.c.gone_at, coverage.c.reason)
        .outerjoin(coverage, entry)
        .where(is_instance(instances))
    )


def still_agent_based(connection: Connection, rows: Sequence[Coverage]) -> list[Coverage]:
    """Return the rows whose instances are still scanned by their agents, and lock their entries."""
    present: set[tuple[str, str]] = set()
    for account, names in _by_account(rows).items():
        query = select(coverage.c.instance).where(
            coverage.c.account == account,
            coverage.c.instance.in_(names),
            coverage.c.scan_type == ScanType.PACKAGE.value,
            coverage.c.scan_mode == ScanMode.AGENT_BASED.value,
            coverage.c.status_code == "ACTIVE",
        )
        present |= {(account, name) for name in connection.scalars(query.with_for_update())}
    return [row for row in rows if (row.account, row.instance) in present]


def network_ends(
    connection: Connection, rows: Sequence[Coverage], described_at: datetime
) -> tuple[dict[tuple[str, str], str], set[tuple[str, str]]]:
    """Return why instances among these are not evaluated any more, and lock their entries.

    By account and instance; RESOURCE_TERMINATED of those that the last discovery did not find. And
    those that were stopped or started again after `described_at`, when the rows' states were read.
    """
    ended: dict[tuple[str, str], str] = {}
    newer: set[tuple[str, str]] = set()
    stopped = {(row.account, row.instance): row.reason == STOPPED for row in rows}
    for account, names in _by_account(rows).items():
        columns = (coverage.c.instance, coverage.c.reason, coverage.c.updated_at)
        query = select(*columns).where(
            coverage.c.account == account,
            coverage.c.instance.in_(names),
            coverage.c.scan_type == ScanType.NETWORK.value,
        )
        for row in connection.execute(query.with_for_update()):
            pair = account, row.instance
            if row.reason in NOT_EVALUATED:
                ended[pair] = row.reason
            elif row.updated_at > described_at and (row.reason == STOPPED) is not stopped[pair]:
                newer.add(pair)
        gone = select(instances.c.instance).where(
            instances.c.account == account,
            instances.c.instance.in_(names),
            instances.c.gone_at.is_not(None),
        )
        for name in connection.scalars(gone):
            ended[account, name] = TERMINATED
    return ended, newer


def of_enabled(connection: Connection, rows: Sequence[Coverage]) -> list[Coverage]:
    """Return the rows that may be written: of a disabled account none.

    While an account is being disabled, those that say so.
    """
    closed = not_enabled(connection, {row.account for row in rows})
    return [
        row
        for row in rows
        if (status := closed.get(row.account)) is None
        or (status is AccountStatus.PENDING_DISABLE and row.reason == PENDING_DISABLE)
    ]


def _by_account(rows: Sequence[Coverage]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        names[row.account].append(row.instance)
    return names
