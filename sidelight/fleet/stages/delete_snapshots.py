"""The last stage: delete the scan's snapshots, and verify that they are gone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sidelight.aws.ec2 import BUSY
from sidelight.errors import CloudError
from sidelight.fleet.own_snapshots import own_snapshots
from sidelight.fleet.stages.final_errors import PENDING
from sidelight.fleet.stages.finish import end
from sidelight.fleet.stages.inspect import snapshots_of
from sidelight.fleet.stages.late_answers import is_young
from sidelight.fleet.stages.stage_runner import BUSY_ATTEMPT, backoff
from sidelight.model import Snapshot, State

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sidelight.aws.ec2 import SnapshotInfo
    from sidelight.fleet.context import Context, SnapshotCalls
    from sidelight.model import Scan, Transition


STILL_PENDING = "EC2 deletes its snapshots when they are completed"
UNLISTED = "EC2 lists no snapshot of it, and may have executed a call without an answer"
# Seconds after the last CreateSnapshots call in which EC2 may not list what it created.
UNLISTED_SECONDS = 60.0
TOO_YOUNG = "EC2 finds no snapshot of it, and may not know them yet"


def delete(context: Context, scan: Scan) -> Transition:
    """DELETING to DONE or FAILED. Raises CloudError where a snapshot remains, LeaseLostError."""
    if scan.source:
        # It never intended to create a snapshot, and existing ones are their owner's.
        for existing in snapshots_of(context, scan):
            context.forget(existing.id)
        return end(context, scan, State.FAILED if scan.failure else State.DONE)
    ec2 = context.ec2(scan.account, scan.region)
    known = {snapshot.id: snapshot for snapshot in context.store.scans.snapshots(scan.id)}
    listed = ec2.snapshots_by_id(sorted(known)) if known else []
    if scan.attempts > 1 or not known:
        # A call whose answer was lost may have created some.
        listed += ec2.snapshots_by_tags(context.tags(scan.id))
    foreign = _remember(context, scan, listed, known)
    for _ in range(2):
        own = [snapshot_id for snapshot_id in known if snapshot_id not in foreign]
        unknown, refused = _delete_each(ec2, own)
        before = len(known)
        # By tag as well: a call whose answer was lost created snapshots without a row.
        by_tag = ec2.snapshots_by_tags(context.tags(scan.id))
        foreign |= _remember(context, scan, by_tag, known)
        if len(known) == before:
            break
    if refused is not None:
        raise refused
    left = _left(ec2, known, by_tag)
    _check_foreign(left, foreign)
    why = _why_not_yet(context, scan, left.values(), known, unknown)
    if why:
        return context.store.scans.postpone(scan, backoff(context, BUSY_ATTEMPT), why=why)
    if left:
        raise CloudError("still there after deletion", where=", ".join(sorted(left)))
    now = context.store.clock()
    receipt = f"DescribeSnapshots by tag and by id: none of ours, {now.isoformat()}"
    context.store.scans.receipted(
        [replace(s, state="deleted", deleted_at=now, receipt=receipt) for s in known.values()]
    )
    for snapshot_id in known:
        context.forget(snapshot_id)
    return end(context, scan, State.FAILED if scan.failure else State.DONE)


def _delete_each(
    ec2: SnapshotCalls, snapshot_ids: Sequence[str]
) -> tuple[list[str], CloudError | None]:
    """Return (snapshots that EC2 did not find, the first refusal). Raises where EC2 is busy.

    A refusal holds up no other snapshot: someone may have locked one, or made an image of it.
    """
    unknown: list[str] = []
    first: CloudError | None = None
    for snapshot_id in snapshot_ids:
        try:
            existed = ec2.delete_snapshot(snapshot_id)
        except CloudError as error:
            if error.code in BUSY:
                raise
            first = first or error
        else:
            unknown += [] if existed else [snapshot_id]
    return unknown, first


def _why_not_yet(
    context: Context,
    scan: Scan,
    left: Collection[SnapshotInfo],
    known: Mapping[str, Snapshot],
    unknown: Sequence[str],
) -> str:
    """Return why EC2 must be called again later; empty where its answer is final.

    `left`: snapshots that are listed after their deletion. The deletion of a pending snapshot takes
    effect when it is completed. `unknown`: snapshots that EC2 did not find; it may not list a
    snapshot yet that was created a moment ago.
    """
    age = (context.store.clock() - scan.entered_at).total_seconds()
    pending = bool(left) and all(info.state == PENDING for info in left)
    if pending and age < context.settings.snapshots.pending_seconds:
        return STILL_PENDING
    if not left and any(is_young(context, known[name]) for name in unknown):
        return TOO_YOUNG
    return UNLISTED if not known and _may_be_unlisted(context, scan) else ""


def _may_be_unlisted(context: Context, scan: Scan) -> bool:
    """Whether a CreateSnapshots call may have created snapshots that EC2 does not list yet.

    No reason but INTERNAL_ERROR leaves that open: EC2 refused, or its call was never sent.
    """
    age = (context.store.clock() - scan.entered_at).total_seconds()
    young = age < min(UNLISTED_SECONDS, context.settings.snapshots.late_seconds)
    return young and scan.failure_code == "INTERNAL_ERROR"


def _remember(
    context: Context, scan: Scan, infos: Collection[SnapshotInfo], known: dict[str, Snapshot]
) -> dict[str, str]:
    """Add the scan's own snapshots to `known` and the store; return why the others are foreign."""
    own, foreign = own_snapshots(context.store, scan, context.deployment, infos)
    now = context.store.clock()
    new = {
        info.id: Snapshot(info.id, scan.id, info.volume, len(known), info.state, now)
        for info in own.values()
        if info.id not in known
    }
    context.store.scans.receipted(list(new.values()))
    known |= new
    return {snapshot.id: snapshot.why for snapshot in foreign}


def _left(
    ec2: SnapshotCalls, known: dict[str, Snapshot], by_tag: Collection[SnapshotInfo]
) -> dict[str, SnapshotInfo]:
    """Return the scan's snapshots that are still listed by tag or id.

    Foreign snapshots with our tags may be among them.
    """
    left = {info.id: info for info in by_tag if info.id in known}
    return left | {info.id: info for info in ec2.snapshots_by_id(sorted(known))}


def _check_foreign(left: Collection[str], foreign: dict[str, str]) -> None:
    """Raise CloudError for the first remaining snapshot that is not provably ours."""
    for snapshot_id in sorted(foreign.keys() & set(left)):
        why = foreign[snapshot_id]
        raise CloudError(f"is not provably ours and was not deleted: {why}", where=snapshot_id)
