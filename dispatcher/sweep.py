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
    from collections.abc import Mapping

    from sidelight.aws.ec2 import SnapshotInfo
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

    What a scan deleted itself, between the look at EC2 and the look at the store, is no orphan:
    only what is still there is counted. Raises CloudError where nothing can be listed, StoreError;
    one that cannot be deleted is in `failed`.
    """
    tags = {SCAN_TAG: None, DEPLOYMENT_TAG: deployment}
    ours = [
        info
        for info in ec2.snapshots_by_tags(tags)
        # Looked at again here: a filter that some endpoint ignores must not delete a stranger's.
        if info.tag(DEPLOYMENT_TAG) == deployment and info.tag(SCAN_TAG)
    ]
    live = store.scans.live_ids({info.tag(SCAN_TAG) for info in ours})
    suspects = {info.id: info for info in ours if info.tag(SCAN_TAG) not in live}
    deleted, failed = ([], []) if dry_run else _delete(store, ec2, suspects)
    orphans = sorted(suspects if dry_run else [*deleted, *failed])
    seen = {info.id for info in ec2.snapshots_by_tags(tags)} if orphans else set()
    return Swept(
        live=tuple(sorted(info.id for info in ours if info.tag(SCAN_TAG) in live)),
        orphans=tuple(orphans),
        deleted=tuple(sorted(deleted)),
        failed=tuple(sorted(failed)),
        left=tuple(name for name in orphans if name in seen),
    )


def record(store: Store, account: str, region: str, swept: Swept) -> None:
    """Write what a sweep found, for the metric. Raises StoreError."""
    store.sweeps.record(account, region, orphans=len(swept.orphans), remaining=len(swept.failed))


def _delete(
    store: Store, ec2: SnapshotCalls, suspects: Mapping[str, SnapshotInfo]
) -> tuple[list[str], list[str]]:
    """(Those that were there and are deleted, those that could not be)."""
    deleted: list[str] = []
    failed: list[str] = []
    for name, info in suspects.items():
        try:
            there = ec2.delete_snapshot(name)
        except SidelightError as error:
            log.warning("sweep: %s", error)
            failed.append(name)
            continue
        if there:
            deleted.append(name)
            store.scans.note(info.tag(SCAN_TAG), "swept", name)
    return deleted, failed
