"""The guarantee: no snapshot of ours outlives its scan, and no snapshot of others is touched.

The sweep lists the snapshots with our tags. It deletes those that
`sidelight.fleet.snapshot_ownership` proves to belong to an ended scan of this store. A snapshot
with our tags that is not ours is reported as foreign. A stored snapshot whose deletion was never
observed is also listed by its id, so that a change of its tags cannot hide it: it is reported
until it is deleted.
The sweep lists the snapshots before it reads the live scans from the store. A scan's row is
committed before its first snapshot exists, so a live scan's snapshot is never taken for an orphan.

A lost store leaves snapshots that no row proves to be ours. `adopt` deletes those that a person
names, if their tags, description and owner are as we write them.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sidelight.errors import SidelightError
from sidelight.fleet.own_snapshots import note
from sidelight.fleet.snapshot_ownership import (
    COPIED_VOLUME,
    DEPLOYMENT_TAG,
    SCAN_TAG,
    Foreign,
    may_be_scan,
    parted,
    scan_of,
    why_unmarked,
)
from sidelight.model import Snapshot

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sidelight.aws.ec2 import SnapshotInfo
    from sidelight.fleet.context import SnapshotCalls
    from sidelight.fleet.snapshot_ownership import Territory
    from sidelight.model import Origin
    from sidelight.store import Store

log = logging.getLogger(__name__)
LOGGED = 20  # foreign snapshots logged per sweep; anyone may tag any number of snapshots


@dataclass(frozen=True, slots=True)
class Swept:
    """The result of a sweep, by snapshot id. `orphans` counts leaks and should be empty."""

    live: tuple[str, ...]
    orphans: tuple[str, ...]
    deleted: tuple[str, ...]
    failed: tuple[str, ...]
    left: tuple[str, ...]  # of `orphans`, those that are still listed after the deletion
    # They carry our tags or a scan created them, are not provably ours, and were not touched.
    foreign: tuple[Foreign, ...] = ()


@dataclass(frozen=True, slots=True)
class Adoptable:
    """A snapshot without a scan's row that EC2's own record shows to be of this deployment."""

    id: str
    volume: str
    started: str  # ISO 8601
    size_gib: int
    description: str


def sweep(
    store: Store, ec2: SnapshotCalls, territory: Territory, *, dry_run: bool = False
) -> Swept:
    """Delete our snapshots without a live scan in one account-region.

    A snapshot that its scan deleted after EC2 listed it and before the store was read is not an
    orphan: only snapshots that still exist are counted. A snapshot that cannot be deleted is in
    `failed`. Raises CloudError where nothing can be listed, StoreError.
    """
    listed = _listed(ec2, territory)
    undeleted = store.origins.undeleted(territory.account, territory.region)
    present = (
        {info.id: info for info in ec2.snapshots_by_id(sorted(undeleted))} if undeleted else {}
    )
    listed |= {name: info for name, info in present.items() if name in undeleted}
    origins = _origins(store, listed.values())
    own, others = parted(listed, territory, origins)
    foreign = [replace(other, made_by=undeleted.get(other.id, "")) for other in others]
    suspects = {name: info for name, info in own.items() if not origins[scan_of(info)].live}
    deleted, failed = ([], []) if dry_run else _delete(store, ec2, suspects)
    orphans = sorted(suspects if dry_run else [*deleted, *failed])
    seen = _listed(ec2, territory) if orphans else {}
    if not dry_run:
        gone = f"DescribeSnapshots by id: not listed, {store.clock().isoformat()}"
        store.scans.seen_gone(undeleted.keys() - present.keys(), gone)
        _report(store, listed, origins, foreign)
    return Swept(
        live=tuple(sorted(own.keys() - suspects.keys())),
        orphans=tuple(orphans),
        deleted=tuple(sorted(deleted)),
        failed=tuple(sorted(failed)),
        left=tuple(name for name in orphans if name in seen),
        foreign=tuple(foreign),
    )


def record(store: Store, account: str, region: str, swept: Swept) -> None:
    """Write the counts of a sweep for the metric. Raises StoreError."""
    store.sweeps.record(
        account,
        region,
        orphans=len(swept.orphans),
        remaining=len(swept.failed),
        foreign=len(swept.foreign),
    )


def adoptable(store: Store, ec2: SnapshotCalls, territory: Territory) -> list[Adoptable]:
    """List the snapshots that `adopt` may delete on request though no row proves them ours.

    Tags, description and owner are as this deployment writes them, no live scan owns the snapshot,
    and it is not a copy. Raises CloudError, StoreError.
    """
    return [
        Adoptable(
            info.id,
            info.volume,
            info.started_at.isoformat() if info.started_at else "",
            info.size_gib,
            info.description,
        )
        for info in _adoptable(store, ec2, territory).values()
    ]


def adopt(
    store: Store, ec2: SnapshotCalls, territory: Territory, ids: Collection[str]
) -> tuple[list[str], list[str]]:
    """Delete those of these ids that are adoptable now; return (deleted, refused or failed).

    Raises CloudError where nothing can be listed, StoreError.
    """
    offered = _adoptable(store, ec2, territory)
    chosen = {name: offered[name] for name in ids if name in offered}
    deleted, failed = _delete(store, ec2, chosen)
    refused = [name for name in ids if name not in offered]
    return sorted(deleted), sorted({*failed, *refused})


def _adoptable(store: Store, ec2: SnapshotCalls, territory: Territory) -> dict[str, SnapshotInfo]:
    listed = _listed(ec2, territory)
    origins = _origins(store, listed.values())
    own, _ = parted(listed, territory, origins)
    candidates = {}
    for name, info in sorted(listed.items()):
        origin = origins.get(scan_of(info))
        live = origin is not None and origin.live
        if name in own or live or info.volume == COPIED_VOLUME or why_unmarked(info, territory):
            continue
        candidates[name] = info
    return candidates


def _listed(ec2: SnapshotCalls, territory: Territory) -> dict[str, SnapshotInfo]:
    """List snapshots with our tags, by id; an endpoint may ignore filters, so tags are checked."""
    infos = ec2.snapshots_by_tags({SCAN_TAG: None, DEPLOYMENT_TAG: territory.deployment})
    own_tags = (SCAN_TAG, DEPLOYMENT_TAG)
    return {i.id: i for i in infos if {key for key, _ in i.tags}.issuperset(own_tags)}


def _origins(store: Store, infos: Iterable[SnapshotInfo]) -> dict[str, Origin]:
    named = {scan_of(info) for info in infos}
    return store.origins.of([name for name in named if may_be_scan(name)])


def _delete(
    store: Store, ec2: SnapshotCalls, suspects: Mapping[str, SnapshotInfo]
) -> tuple[list[str], list[str]]:
    """Return (snapshots that existed and are deleted, snapshots whose deletion failed)."""
    deleted: list[str] = []
    failed: list[str] = []
    for name, info in suspects.items():
        try:
            existed = ec2.delete_snapshot(name)
        except SidelightError as error:
            log.warning("sweep: %s", error)
            failed.append(name)
            _remember(store, info)
            continue
        if existed:
            deleted.append(name)
            store.scans.note_once(scan_of(info), "swept", name)
    return deleted, failed


def _remember(store: Store, info: SnapshotInfo) -> None:
    """Keep the row that proves an orphan ours until it is deleted; no-op without a scan's row."""
    scan_id = scan_of(info)
    if scan_id in store.origins.of([scan_id]):
        row = Snapshot(info.id, scan_id, info.volume, 0, info.state, store.clock())
        store.scans.receipted([row])


def _report(
    store: Store,
    listed: Mapping[str, SnapshotInfo],
    origins: Mapping[str, Origin],
    foreign: Collection[Foreign],
) -> None:
    """Log foreign snapshots, and note each in the history of the scan whose id it carries."""
    for snapshot in list(foreign)[:LOGGED]:
        scan_id = snapshot.made_by or scan_of(listed[snapshot.id])
        if snapshot.made_by or scan_id in origins:
            note(store, scan_id, [snapshot])
        else:
            log.warning(
                "sweep: %s carries our tags and is left alone: %s", snapshot.id, snapshot.why
            )
    if len(foreign) > LOGGED:
        log.warning("sweep: %d foreign snapshots carry our tags", len(foreign))
