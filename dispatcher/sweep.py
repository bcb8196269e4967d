"""The guarantee: no snapshot of ours outlives its scan.

Ours is what carries both of our tags, with this deployment's id; nothing else is ever touched.
The snapshots are listed before the store is asked which scans are live: a scan's row is committed
before its first snapshot exists, so a live scan's snapshot is never taken for an orphan.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidelight.errors import SidelightError
from workers.context import DEPLOYMENT_TAG, SCAN_TAG

if TYPE_CHECKING:
    from sidelight.store import Store
    from workers.context import SnapshotCalls

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep saw, by snapshot id. `orphans` should be empty: it is the metric of leaks."""

    live: tuple[str, ...]
    orphans: tuple[str, ...]
    deleted: tuple[str, ...]
    failed: tuple[str, ...]
    left: tuple[str, ...]  # of `orphans`, what a second look still shows


def sweep(store: Store, ec2: SnapshotCalls, deployment: str, *, dry_run: bool = False) -> Swept:
    """Delete our snapshots that no live scan has, in one account and region.

    Raises CloudError where nothing can be listed, StoreError; one that cannot be deleted is in
    `failed`.
    """
    tags = {SCAN_TAG: None, DEPLOYMENT_TAG: deployment}
    ours = [
        info
        for info in ec2.snapshots_by_tags(tags)
        # Looked at again here: a filter that some endpoint ignores must not delete a stranger's.
        if info.tag(DEPLOYMENT_TAG) == deployment and info.tag(SCAN_TAG)
    ]
    live = store.scans.live_ids({info.tag(SCAN_TAG) for info in ours})
    orphans = [info for info in ours if info.tag(SCAN_TAG) not in live]
    deleted, failed = [], []
    for info in orphans if not dry_run else ():
        try:
            ec2.delete_snapshot(info.id)
        except SidelightError as error:
            log.warning("sweep: %s", error)
            failed.append(info.id)
        else:
            deleted.append(info.id)
            store.scans.note(info.tag(SCAN_TAG), "swept", info.id)
    seen = {info.id for info in ec2.snapshots_by_tags(tags)} if orphans else set()
    return Swept(
        live=tuple(sorted(info.id for info in ours if info.tag(SCAN_TAG) in live)),
        orphans=tuple(sorted(info.id for info in orphans)),
        deleted=tuple(sorted(deleted)),
        failed=tuple(sorted(failed)),
        left=tuple(sorted(info.id for info in orphans if info.id in seen)),
    )
