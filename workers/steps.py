"""The stages of a scan, one plain function each: a context and a scan's id in, what is next out.

Each may run twice, at any moment, on any worker: what it finds done it leaves done. The order in
which it acts and commits is chosen so that a crash between the two loses nothing but time.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sidelight.errors import CloudError
from sidelight.store import Snapshot, State
from sidelight.store.looks import Settled
from workers.ending import end
from workers.holding import BUSY_ATTEMPT, GiveUpError, backoff, held, key_or
from workers.reading import read

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sidelight.aws.ec2 import SnapshotInfo
    from sidelight.model import Instance
    from sidelight.store import Scan
    from sidelight.store.room import Full
    from workers.context import Context
    from workers.holding import Next

log = logging.getLogger(__name__)

PENDING, COMPLETED = "pending", "completed"
ONE_AT_A_TIME = frozenset({"st1", "sc1"})  # volumes that EC2 makes one snapshot of at a time
REEVALUATE_SECONDS = 30.0  # then scans that wait in the same queue have their turn
FIRST_LOOK = 1.0  # seconds after CreateSnapshots
ASKING = 8.0  # scans of a place that ask again for room, a second: twice the calls that there are
AFTER_SPENT = 900.0  # seconds until a scan looks again whether there is money for it


def take_snapshots(context: Context, scan_id: str) -> Next | None:
    """The intent first, then CreateSnapshots, then the ids.

    CreateSnapshots takes no client token. A worker that comes second (SNAPSHOTTING) does not know
    whether the first one's call was done: it looks for the scan's tag before it calls again. The
    lease and the backoff lie in between, so EC2's listing has had the time to show what was made.
    """
    return held(context, scan_id, (State.NEW, State.SNAPSHOTTING), _take)


def await_snapshots(context: Context, scan_id: str) -> Next | None:
    """One describe. All completed: on to READING; pending: again later, holding no worker.

    Of this scan alone: the queue's workers look at a whole place at once (`workers.looking`).
    """
    return held(context, scan_id, (State.SNAPSHOTS_PENDING,), _await)


def inspect(context: Context, scan_id: str) -> Next | None:
    """Read the snapshots; the inventory, its cost and the next state in one transaction."""
    following = held(context, scan_id, (State.READING,), _inspect)
    read = following is not None and following.state is not State.READING
    if read and context.settings.block_cache:
        # Nobody reads them again. Not left to who deletes them: that may be another machine.
        for snapshot in context.store.scans.snapshots(scan_id):
            context.forget(snapshot.id)
    return following


def evaluate(context: Context, scan_id: str) -> Next | None:
    """Match the stored inventory; findings and the next state in one transaction."""
    return held(context, scan_id, (State.EVALUATING,), _evaluate)


def reevaluate(context: Context) -> bool:
    """Work on a re-evaluation for a while, where there is one; whether something is left to do."""
    advisories = context.advisories()
    reevaluation = context.store.reevaluation
    if advisories.sha256 and not reevaluation.notice(advisories):
        log.warning("this advisory database is older than the one that findings are by")
    until = time.monotonic() + REEVALUATE_SECONDS
    while True:
        part = reevaluation.step(advisories)
        if not part.left:
            context.store.rules.judge()
            return False
        if time.monotonic() > until or not (part.packages or part.instances):
            return bool(part.packages or part.instances)


def delete_snapshots(context: Context, scan_id: str) -> Next | None:
    """Delete what the scan made, after success and after failure, and see that it is gone."""
    return held(context, scan_id, (State.DELETING,), _delete)


STEPS: dict[State, Callable[[Context, str], Next | None]] = {
    State.NEW: take_snapshots,
    State.SNAPSHOTTING: take_snapshots,
    State.SNAPSHOTS_PENDING: await_snapshots,
    State.READING: inspect,
    State.EVALUATING: evaluate,
    State.DELETING: delete_snapshots,
}


def _take(context: Context, scan: Scan) -> None:
    ec2 = context.ec2(scan.account, scan.region)
    instance = _instance(context, scan)
    made: Sequence[SnapshotInfo] = ()
    if scan.state is State.NEW:
        if _is_spent(context, scan):
            context.store.scans.postpone(scan, AFTER_SPENT, paced=True)
            return
        full = _intend(context, scan, instance)
        if full is not None:
            context.store.scans.postpone(scan, _until_room(context, full), paced=True)
            return
        scan = replace(scan, state=State.SNAPSHOTTING)
    else:
        made = _one_call(ec2.snapshots_by_tags(context.tags(scan.id)))
        _check_listed(context, scan, instance, made)
    if not made:
        # The lease's token in the description tells the snapshots of one call from another's.
        description = f"Sidelight scan {scan.id} of {scan.instance}, {scan.lease}"
        made = ec2.create_snapshots(scan.instance, context.tags(scan.id), description)
    if not made:
        raise GiveUpError("has no volume to snapshot", where=scan.instance)
    order = {volume.id: place for place, volume in enumerate(instance.volumes)}
    now = context.store.clock()
    rows = [
        Snapshot(info.id, scan.id, info.volume, order.get(info.volume, len(order)), info.state, now)
        for info in made
    ]
    first = 0.0 if all_done(made) else FIRST_LOOK
    context.store.looks.pend(scan, rows, first=first, every=context.settings.poll_seconds)


def _intend(context: Context, scan: Scan, instance: Instance) -> Full | None:
    """Write the intent; why there is no room for its snapshots now, None where there is."""
    settings = context.settings
    limits = {
        volume.id: 1 if volume.type in ONE_AT_A_TIME else settings.snapshots_per_volume
        for volume in instance.volumes
    }
    full = context.store.scans.intend(scan, limits, settings.snapshots_in_flight)
    if full is not None:
        log.info("scan %s waits: %s", scan.id, full.why)
    return full


def _until_room(context: Context, full: Full) -> float:
    """Seconds. However many wait, so many a second ask again: more than can begin."""
    among_all = full.waiting / ASKING * (0.5 + 0.5 * context.jitter())
    return max(backoff(context, BUSY_ATTEMPT), among_all)


def _is_spent(context: Context, scan: Scan) -> bool:
    """Whether the account's dollars of the last day are used up: before anything is paid for."""
    most = context.settings.usd_per_day
    day = timedelta(days=1)
    since = context.store.clock() - day
    return most > 0 and context.store.costs.spent(scan.account, since) >= most


def _one_call(found: Sequence[SnapshotInfo]) -> list[SnapshotInfo]:
    """The snapshots of the earliest call: only those of one call are of one moment."""
    calls: dict[str, list[SnapshotInfo]] = {}
    for info in sorted(found, key=lambda info: (str(info.started_at or ""), info.id)):
        calls.setdefault(info.description, []).append(info)
    return next(iter(calls.values()), [])


def _check_listed(
    context: Context, scan: Scan, instance: Instance, made: Sequence[SnapshotInfo]
) -> None:
    """Raise where some of a call's snapshots are not listed; the last attempt takes those that are.

    EC2's listing may show them one after the other. A volume detached meanwhile has none.
    """
    unlisted = {volume.id for volume in instance.volumes} - {info.volume for info in made}
    if made and unlisted and scan.attempts < context.settings.attempts:
        told = ", ".join(sorted(unlisted))
        raise CloudError(f"no snapshot of {told} is listed beside the others", where=scan.id)


def _await(context: Context, scan: Scan) -> None:
    ec2 = context.ec2(scan.account, scan.region)
    known = context.store.scans.snapshots(scan.id)
    infos = ec2.snapshots_by_id([snapshot.id for snapshot in known])
    context.store.looks.settle([seen(context, scan, known, infos)], alone=True)


def seen(
    context: Context, scan: Scan, known: Sequence[Snapshot], infos: Sequence[SnapshotInfo]
) -> Settled:
    """What a look at a scan's snapshots means. Raises GiveUpError.

    `infos` are those of `known` that EC2 showed: it raises nothing for one that is gone.
    """
    age = (context.store.clock() - scan.entered_at).total_seconds()
    for info in infos:
        if info.state not in (PENDING, COMPLETED):
            raise GiveUpError(
                f"is in state {info.state}: {info.message}",
                where=info.id,
                code=key_or("INTERNAL_ERROR", info.message),
            )
    # A new snapshot may not be in EC2's listing yet: absent is as pending, for a while.
    if len(infos) == len(known) and all_done(infos):
        return Settled(scan, completed=True)
    if age > context.settings.snapshot_seconds:
        missing = ", ".join(sorted(snapshot.id for snapshot in known))
        raise GiveUpError(f"not completed after {age:.0f} s", where=missing)
    # The longer it has taken, the rarer the looks: a fifth of its time may be lost, no more.
    return Settled(scan, completed=False, delay=max(context.settings.poll_seconds, age / 5))


def all_done(infos: Sequence[SnapshotInfo]) -> bool:
    """Whether there are some and all are completed."""
    return bool(infos) and all(info.state == COMPLETED for info in infos)


def _inspect(context: Context, scan: Scan) -> None:
    read(context, scan, _instance(context, scan))


def _evaluate(context: Context, scan: Scan) -> None:
    advisories = context.advisories()
    context.store.reevaluation.notice(advisories)
    context.store.findings.evaluate(scan, advisories)


def _delete(context: Context, scan: Scan) -> None:
    ec2 = context.ec2(scan.account, scan.region)
    tags = context.tags(scan.id)
    known = {snapshot.id: snapshot for snapshot in context.store.scans.snapshots(scan.id)}
    if scan.attempts > 1 or not known:
        _find_more(context, scan, ec2.snapshots_by_tags(tags), known)
    for _ in range(2):
        for snapshot_id in known:
            ec2.delete_snapshot(snapshot_id)
        # By tag as well: a call whose answer was lost made snapshots that no row knows.
        by_tag = ec2.snapshots_by_tags(tags)
        if not _find_more(context, scan, by_tag, known):
            break
    left = {info.id for info in by_tag}
    left |= {info.id for info in ec2.snapshots_by_id(sorted(known))}
    if left:
        raise CloudError("still there after deletion", where=", ".join(sorted(left)))
    now = context.store.clock()
    none = f"DescribeSnapshots by tag and by id: none, {now.isoformat()}"
    context.store.scans.receipted(
        [replace(s, state="deleted", deleted_at=now, receipt=none) for s in known.values()]
    )
    for snapshot_id in known:
        context.forget(snapshot_id)
    end(context, scan, State.FAILED if scan.failure else State.DONE)


def _find_more(
    context: Context, scan: Scan, infos: Sequence[SnapshotInfo], known: dict[str, Snapshot]
) -> bool:
    """Remember snapshots of the scan that were not known; whether there were any."""
    now = context.store.clock()
    new = {
        info.id: Snapshot(info.id, scan.id, info.volume, len(known), info.state, now)
        for info in infos
        if info.id not in known
    }
    context.store.scans.receipted(list(new.values()))
    known |= new
    return bool(new)


def _instance(context: Context, scan: Scan) -> Instance:
    instance = context.store.fleet.instance(scan.account, scan.instance)
    if instance is None:
        raise GiveUpError("is not known", where=scan.instance, code="RESOURCE_TERMINATED")
    return instance
