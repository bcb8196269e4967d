"""The sources of scans that create no snapshots: existing snapshots, or the stored inventory."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from sidelight.model import Event, ExistingSnapshot, ScanSource, SourceKind, State, Transition
from sidelight.store.base.dialect import parts
from sidelight.store.base.schema import scan_sources
from sidelight.store.scans.transitions import note, release

if TYPE_CHECKING:
    from collections.abc import Collection

    from sidelight.model import Scan
    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database

UNREADABLE = "existing snapshots not used"  # an event of the scan


class ScanSources:
    """Reads the sources, and moves their scans past the stages that they do not need."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def of(self, ids: Collection[str]) -> dict[str, ScanSource]:
        """Return the sources of these scans by scan id; scans without one are left out."""
        found: dict[str, ScanSource] = {}
        with self._database.read() as connection:
            for part in parts(sorted(ids)):
                query = select(scan_sources).where(scan_sources.c.scan.in_(part))
                found |= {row.scan: _source_of(row) for row in connection.execute(query)}
        return found

    def begin(self, scan: Scan, to: State) -> Transition:
        """NEW to READING or EVALUATING: no snapshot is created. Raises LeaseLostError."""
        now = self._clock()
        with self._database.write() as connection:
            return release(connection, scan, now, now, to)

    def drop(self, scan: Scan, why: str) -> Transition:
        """Move the scan back to NEW without a source: it creates its own snapshots.

        `why` is written to its events. Raises LeaseLostError.
        """
        now = self._clock()
        with self._database.write() as connection:
            connection.execute(scan_sources.delete().where(scan_sources.c.scan == scan.id))
            note(connection, Event(scan.id, now, UNREADABLE, why))
            return release(connection, scan, now, now, State.NEW, source="", last_error="")


def row_of(scan_id: str, source: ScanSource) -> dict[str, Any]:
    """Return the row of a scan's source."""
    snapshots = [
        {
            "id": one.id,
            "volume": one.volume,
            "position": one.position,
            "started_at": one.started_at.isoformat(),
        }
        for one in source.snapshots
    ]
    return {
        "scan": scan_id,
        "kind": source.kind.value,
        "data_at": source.data_at,
        "snapshots": json.dumps(snapshots),
    }


def _source_of(row: Any) -> ScanSource:
    snapshots = [
        ExistingSnapshot(**item | {"started_at": datetime.fromisoformat(item["started_at"])})
        for item in json.loads(row.snapshots)
    ]
    return ScanSource(
        SourceKind(row.kind),
        row.data_at,
        tuple(sorted(snapshots, key=lambda one: (one.position, one.id))),
    )
