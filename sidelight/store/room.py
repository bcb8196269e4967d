"""How many snapshots may be under way: of a volume, and of ours in an account and region."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, select, text

from sidelight.store.rows import LIVE, Scan, State
from sidelight.store.schema import intents, scans

if TYPE_CHECKING:
    from collections.abc import Mapping

# States in which a scan's snapshots may be pending.
MAKING = (State.SNAPSHOTTING, State.SNAPSHOTS_PENDING)


@dataclass(frozen=True, slots=True)
class Full:
    """Why there is no room, and how many scans that are as urgent wait for the same."""

    why: str
    waiting: int = 0


def no_room(
    connection: Connection, scan: Scan, volumes: Mapping[str, int], most: int
) -> Full | None:
    """Why no snapshot of these volumes can be begun now; None where it can.

    `volumes` and `most` as in `Scans.intend`. It is so to the end of the transaction.
    """
    if connection.dialect.name == "postgresql":
        # Two scans must not both see the last room. In SQLite there is one writer.
        place = zlib.crc32(f"{scan.account}/{scan.region}".encode())
        connection.execute(text("SELECT pg_advisory_xact_lock(:place)"), {"place": place})
    held = intents.join(scans, scans.c.id == intents.c.scan)
    if most > 0:
        query = (
            select(func.count())
            .select_from(held)
            .where(
                scans.c.state.in_(LIVE),
                scans.c.account == scan.account,
                scans.c.region == scan.region,
            )
        )
        there = connection.execute(query).scalar_one()
        # A machine with more volumes than there is room at all has its turn when it is alone.
        if there and there + len(volumes) > most:
            why = f"{there} snapshots of {most} exist in {scan.account}/{scan.region}"
            return Full(why, _waiting(connection, scan))
    making = (
        select(intents.c.volume, func.count())
        .select_from(held)
        .where(intents.c.volume.in_(list(volumes)), scans.c.state.in_(MAKING))
        .group_by(intents.c.volume)
    )
    for volume, count in connection.execute(making):
        if 0 < volumes[volume] <= count:
            return Full(f"{count} snapshots of {volume} are under way")
    return None


def _waiting(connection: Connection, scan: Scan) -> int:
    """The scans of its place that have no snapshot yet, the less urgent ones left out."""
    query = select(func.count()).where(
        scans.c.state == State.NEW.value,
        scans.c.account == scan.account,
        scans.c.region == scan.region,
        scans.c.priority <= scan.priority,
    )
    return int(connection.execute(query).scalar_one())
