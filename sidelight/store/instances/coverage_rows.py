"""Coverage rows, and the record of each change of an instance's coverage."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select

from sidelight.completeness import COMPLETE_SCAN, PARTIAL_SCAN
from sidelight.model import Coverage, CoverageChange, ScanMode, ScanType
from sidelight.model.coverage_reasons import OF_TARGETS
from sidelight.store.base.dialect import insert, once, parts
from sidelight.store.base.fleet_events import note_coverage_events
from sidelight.store.base.ordered_join import same_instance
from sidelight.store.base.schema import coverage, coverage_changes, inventories

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Select

    from sidelight.store.base.engine import Database

KEY = ("account", "instance", "scan_type")
COVERAGE_COLUMNS = [coverage.c[name] for name in Coverage.__dataclass_fields__]
_CHANGE = [coverage_changes.c[name] for name in CoverageChange.__dataclass_fields__]


class CoverageHistory:
    """The changes of coverage: an entry where status code, reason or scan mode changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, instances: Collection[tuple[str, str]]) -> list[CoverageChange]:
        """Return the changes of these instances (account and id), by instance, oldest first."""
        wanted = set(instances)
        changes: list[CoverageChange] = []
        query = select(*_CHANGE).order_by(
            coverage_changes.c.account, coverage_changes.c.instance, coverage_changes.c.id
        )
        with self._database.read() as connection:
            for part in parts(sorted({instance for _, instance in wanted})):
                rows = connection.execute(query.where(coverage_changes.c.instance.in_(part)))
                changes += [
                    CoverageChange(*row) for row in rows if (row.account, row.instance) in wanted
                ]
        return changes


def read_coverage(
    connection: Connection, scan_type: ScanType | None, account: str = "", region: str = ""
) -> list[Coverage]:
    """Return the coverage of a scan type, or of all, by account, region and instance.

    `scanned_at` of packages is that of the inventory's last evaluation, if it is later, but where
    the row has a `data_at`.
    """
    of_it = same_instance(inventories, coverage)
    query = (
        select(*COVERAGE_COLUMNS, inventories.c.evaluated_at)
        .outerjoin(inventories, of_it & inventories.c.retired_at.is_(None))
        .order_by(coverage.c.account, coverage.c.region, coverage.c.instance, coverage.c.scan_type)
    )
    if scan_type is not None:
        query = query.where(coverage.c.scan_type == scan_type.value)
    if account:
        query = query.where(coverage.c.account == account)
    if region:
        query = query.where(coverage.c.region == region)
    return [
        _evaluated(Coverage(*columns), evaluated_at)
        for *columns, evaluated_at in connection.execute(query)
    ]


def write_coverage(connection: Connection, rows: Sequence[Coverage], now: datetime) -> None:
    """Write instances' coverage, in order.

    A `scanned_at` of None keeps the stored value, and those of the data.
    """
    changes = _note_changes(connection, rows, now)
    # Rows of one statement have the same columns: runs of rows with a time, and of rows without.
    for scanned, run in groupby(rows, key=lambda row: row.scanned_at is not None):
        values = [asdict(row) | {"updated_at": now} for row in run]
        if not scanned:
            for row_values in values:
                for name in ("scanned_at", "data_at", "data_source"):
                    del row_values[name]
        upsert(connection, coverage, KEY, values)
    note_coverage_events(connection, changes)


def reassess(
    connection: Connection, key: tuple[str, str], reason: str, detail: str, now: datetime
) -> None:
    """Write the result of a re-evaluation, where the last scan's result is the coverage.

    `key` is the account and the instance. The entry is locked: what a discovery decides meanwhile
    is written after this.
    """
    account, instance = key
    query = select(*COVERAGE_COLUMNS).where(
        coverage.c.account == account,
        coverage.c.instance == instance,
        coverage.c.scan_type == ScanType.PACKAGE.value,
        coverage.c.status_code == "ACTIVE",
        coverage.c.reason.in_((COMPLETE_SCAN, PARTIAL_SCAN)),
    )
    row = connection.execute(query.with_for_update()).first()
    if row is not None:
        write_coverage(connection, [replace(Coverage(*row), reason=reason, detail=detail)], now)


def entries_before(connection: Connection, account: str, names: Sequence[str]) -> list[Coverage]:
    """Return the entries of instances of a denied account or Region as they were before, locked.

    Those that were never scanned are left out.
    """
    query = select(*COVERAGE_COLUMNS).where(
        coverage.c.account == account,
        coverage.c.instance.in_(names),
        coverage.c.scan_type == ScanType.PACKAGE.value,
        coverage.c.status_code == "INACTIVE",
        coverage.c.reason.in_(OF_TARGETS),
    )
    entries = [Coverage(*row) for row in connection.execute(query.with_for_update())]
    scans = (
        select(*_CHANGE)
        .where(
            coverage_changes.c.account == account,
            coverage_changes.c.instance.in_([entry.instance for entry in entries]),
            coverage_changes.c.scan_type == ScanType.PACKAGE.value,
            coverage_changes.c.reason.in_((COMPLETE_SCAN, PARTIAL_SCAN)),
            coverage_changes.c.scan_mode == ScanMode.AGENTLESS.value,
        )
        .order_by(coverage_changes.c.id)
    )
    last = {row.instance: CoverageChange(*row) for row in connection.execute(scans)}
    return [
        replace(
            entry,
            status_code=last[entry.instance].status_code,
            reason=last[entry.instance].reason,
            detail=last[entry.instance].detail,
            scanned_at=None,
        )
        for entry in entries
        if entry.instance in last
    ]


def upsert(
    connection: Connection, table: Any, keys: tuple[str, ...], rows: list[dict[str, Any]]
) -> None:
    """Insert rows of the same columns, or update existing rows."""
    connection.execute(_upserting(connection, table, keys, tuple(rows[0])), rows)


def _evaluated(row: Coverage, evaluated_at: datetime | None) -> Coverage:
    """Return a row with the time of the evaluation of its inventory, if that is later.

    A row of older data keeps the time of the data.
    """
    is_of_packages = row.scan_type == ScanType.PACKAGE.value
    if evaluated_at is None or row.scanned_at is None or not is_of_packages or row.data_at:
        return row
    return replace(row, scanned_at=max(row.scanned_at, evaluated_at))


def _note_changes(
    connection: Connection, rows: Sequence[Coverage], now: datetime
) -> list[CoverageChange]:
    """Record and return the changes of status code, reason or scan mode."""
    present: dict[tuple[str, ...], tuple[str, ...]] = {}
    accounts = sorted({row.account for row in rows})
    for part in parts(sorted({row.instance for row in rows})):
        values = {"ids": part, "accounts": accounts}
        for row_key in connection.execute(_states(), values):
            present[tuple(row_key)[:3]] = tuple(row_key)[3:]
    changes = []
    for row in rows:
        key = (row.account, row.instance, row.scan_type)
        state = (row.status_code, row.reason, row.scan_mode)
        if present.get(key) != state:
            present[key] = state
            change = CoverageChange(
                row.account, row.region, row.instance, row.scan_type, now, *state, row.detail
            )
            changes.append(change)
    if changes:
        connection.execute(coverage_changes.insert(), [asdict(change) for change in changes])
    return changes


@cache
def _states() -> Select[Any]:
    columns = [coverage.c[name] for name in (*KEY, "status_code", "reason", "scan_mode")]
    return select(*columns).where(
        coverage.c.instance.in_(bindparam("ids", expanding=True)),
        coverage.c.account.in_(bindparam("accounts", expanding=True)),
    )


@once
def _upserting(
    connection: Connection, table: Any, keys: tuple[str, ...], columns: tuple[str, ...]
) -> Any:
    adding = insert(connection, table)
    changed = {name: adding.excluded[name] for name in columns if name not in keys}
    return adding.on_conflict_do_update(index_elements=keys, set_=changed)
