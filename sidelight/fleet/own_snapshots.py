"""Select a scan's own snapshots from EC2's listing, by the store's record; ignore the others."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sidelight.errors import AccessDeniedError, SnapshotNotFoundError
from sidelight.fleet.snapshot_ownership import Foreign, Territory, parted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.aws.ec2 import SnapshotInfo
    from sidelight.fleet.context import SnapshotCalls
    from sidelight.model import Scan
    from sidelight.store import Store

log = logging.getLogger(__name__)
FOREIGN = "foreign snapshot"  # an event of the scan whose id it carries
NOTED = 20


def territory(scan: Scan, deployment: str) -> Territory:
    """Return the account, region and deployment of a scan's snapshots."""
    return Territory(scan.account, scan.region, deployment)


def own_snapshots(
    store: Store, scan: Scan, deployment: str, infos: Iterable[SnapshotInfo]
) -> tuple[dict[str, SnapshotInfo], list[Foreign]]:
    """Return (the scan's own snapshots, by id; the foreign ones, noted as the scan's events)."""
    listed = {info.id: info for info in infos}
    if not listed:
        return {}, []
    # The record of this scan alone: a snapshot with another scan's id is not this scan's.
    origins = store.origins.of([scan.id])
    own, foreign = parted(listed, territory(scan, deployment), origins)
    note(store, scan.id, foreign)
    return own, foreign


def require_own(
    store: Store, ec2: SnapshotCalls, scan: Scan, deployment: str, snapshot_id: str
) -> None:
    """Check a snapshot before it is changed: AccessDeniedError if it is not the scan's own.

    Raises SnapshotNotFoundError where EC2 does not list it, CloudError, StoreError.
    """
    listed = [info for info in ec2.snapshots_by_id([snapshot_id]) if info.id == snapshot_id]
    if not listed:
        raise SnapshotNotFoundError("is not listed", where=snapshot_id)
    _, foreign = own_snapshots(store, scan, deployment, listed)
    if foreign:
        raise AccessDeniedError(f"is not this scan's own: {foreign[0].why}", where=snapshot_id)


def note(store: Store, scan_id: str, foreign: Iterable[Foreign]) -> None:
    """Log each snapshot, and write it once into the history of the scan whose id it carries.

    Only the first NOTED ones: anyone may tag any number of snapshots.
    """
    for snapshot in list(foreign)[:NOTED]:
        log.warning(
            "scan %s: %s carries our tags and is left alone: %s", scan_id, snapshot.id, snapshot.why
        )
        store.scans.note_once(scan_id, FOREIGN, f"{snapshot.id}: {snapshot.why}")
