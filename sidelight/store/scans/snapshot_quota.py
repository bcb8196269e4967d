"""Caps on snapshots: in progress per volume; pending and existing per account-region.

AWS allows few pending snapshots at once in an account-region, for all of the account's tools. That
cap decides how fast a fleet is scanned. The cap on existing snapshots keeps creation from
outrunning the readers.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, bindparam, func, or_, select, text

from sidelight.model import LIVE, Scan, State
from sidelight.store.base.ordered_join import Unindexed, is_in_region
from sidelight.store.base.schema import intents, scans, snapshots
from sidelight.store.scans.account_limits import closed_until
from sidelight.store.scans.live_scans import IS_LIVE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import ColumnElement, FromClause, Select

# States in which a scan's snapshots may be pending.
MAKING = (State.SNAPSHOTTING, State.SNAPSHOTS_PENDING)


@dataclass(frozen=True, slots=True)
class QuotaExceeded:
    """The reason why a quota is exceeded, and the number of scans at least as urgent that wait.

    `until`: no snapshot can be created before this time.
    """

    why: str
    waiting: int = 0
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Caps:
    """The most snapshots of Sidelight in an account-region.

    `existing` at once, 0 for no limit; `pending` at once, None for no limit.
    """

    existing: int = 0
    pending: int | None = None


def no_room(
    connection: Connection, scan: Scan, volumes: Mapping[str, int], caps: Caps, now: datetime
) -> QuotaExceeded | None:
    """Return why no snapshot of these volumes can be started now; None if it can.

    `volumes` as in `Scans.intend`. The answer holds until the end of the transaction.
    """
    if connection.dialect.name == "postgresql":
        # Two scans must not both take the last free snapshot. SQLite has only one writer.
        lock_id = zlib.crc32(f"{scan.account}/{scan.region}".encode())
        connection.execute(text("SELECT pg_advisory_xact_lock(:place)"), {"place": lock_id})
    full = _too_many(connection, scan, len(volumes), caps) or _busy_volume(connection, volumes)
    if full is not None:
        return full
    # This check is last: a scan that passes it may be the single probe.
    until = closed_until(connection, scan.account, scan.region, now)
    return None if until is None else refused(scan, until, _waiting(connection, scan))


def refused(scan: Scan, until: datetime, waiting: int = 0) -> QuotaExceeded:
    """Return the reason for AWS's limit on pending snapshots in the scan's account-region."""
    why = (
        f"AWS lets no more snapshots be pending in {scan.account}/{scan.region}: its limit is "
        "shared with the account's other tools (PendingSnapshotLimitExceeded)"
    )
    return QuotaExceeded(why, waiting, until)


def _too_many(connection: Connection, scan: Scan, wanted: int, caps: Caps) -> QuotaExceeded | None:
    """Return why Sidelight's own caps do not allow `wanted` more snapshots; None if they do."""
    where = f"{scan.account}/{scan.region}"
    if caps.existing > 0:
        existing = _count(connection, scan, _counting_live())
        # A machine with more volumes than the cap is scanned while no other scan has snapshots.
        if existing and existing + wanted > caps.existing:
            why = f"{existing} snapshots of {caps.existing} exist in {where}"
            return QuotaExceeded(why, _waiting(connection, scan))
    if caps.pending is not None:
        pending = _count(connection, scan, _counting_pending())
        if caps.pending <= 0 or (pending and pending + wanted > caps.pending):
            why = f"{where} has as many pending snapshots as Sidelight takes of AWS's limit"
            return QuotaExceeded(f"{why} (SIDELIGHT_SNAPSHOTS_PENDING)", _waiting(connection, scan))
    return None


def _busy_volume(connection: Connection, volumes: Mapping[str, int]) -> QuotaExceeded | None:
    """Return which volume has as many snapshots in progress as allowed; None if none has."""
    for volume, count in connection.execute(_counting_volumes(), {"volumes": list(volumes)}):
        if 0 < volumes[volume] <= count:
            return QuotaExceeded(f"{count} snapshots of {volume} are under way")
    return None


@cache
def _counting_volumes() -> Select[Any]:
    is_one = intents.c.volume.in_(bindparam("volumes", expanding=True))
    return (
        select(intents.c.volume, func.count())
        .select_from(_held())
        .where(is_one, scans.c.state.in_(MAKING))
        .group_by(intents.c.volume)
    )


def _held() -> FromClause:
    return intents.join(scans, scans.c.id == intents.c.scan)


def _pending() -> ColumnElement[bool]:
    """Match intents whose snapshot may be pending; in DELETING until it completes or is gone."""
    still_pending = (
        select(snapshots.c.id)
        .where(
            snapshots.c.scan == scans.c.id,
            snapshots.c.volume == intents.c.volume,
            snapshots.c.state == "pending",
            snapshots.c.deleted_at.is_(None),
        )
        .exists()
    )
    return or_(
        scans.c.state.in_(MAKING), and_(scans.c.state == State.DELETING.value, still_pending)
    )


def _count(connection: Connection, scan: Scan, query: Select[Any]) -> int:
    of_scan = {"in_account": scan.account, "in_region": scan.region}
    return int(connection.execute(query, of_scan).scalar_one())


@cache
def _counting_live() -> Select[Any]:
    return _counting(scans.c.state.in_(LIVE))


@cache
def _counting_pending() -> Select[Any]:
    return _counting(_pending())


def _counting(which: ColumnElement[bool]) -> Select[Any]:
    # IS_LIVE, which `which` implies, is an index's: SQLite would read the account's ended scans.
    return select(func.count()).select_from(_held()).where(IS_LIVE, is_in_region(scans), which)


def _waiting(connection: Connection, scan: Scan) -> int:
    """Count the scans of its account-region without a snapshot that are at least as urgent."""
    query = select(func.count()).where(
        IS_LIVE,
        Unindexed(scans.c.state) == State.NEW.value,
        scans.c.account == scan.account,
        scans.c.region == scan.region,
        scans.c.priority <= scan.priority,
    )
    return int(connection.execute(query).scalar_one())
