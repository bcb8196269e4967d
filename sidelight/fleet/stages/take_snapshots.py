"""The stages of a scan, one plain function each: context and scan id in, next message out.

Each stage is idempotent: it may run twice, at any moment, on any worker, and skips completed work.
Each acts and commits in an order in which a crash between the two loses only time.
"""

from __future__ import annotations

import logging
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from sidelight.aws.ec2 import PENDING_LIMIT
from sidelight.errors import CloudError, LeaseLostError
from sidelight.fleet import evaluation
from sidelight.fleet.dollar_budget import AFTER_SPENT
from sidelight.fleet.own_snapshots import own_snapshots
from sidelight.fleet.pending_snapshots import pending_cap
from sidelight.fleet.snapshot_ownership import description
from sidelight.fleet.stages.delete_snapshots import delete
from sidelight.fleet.stages.final_errors import COMPLETED, NO_EBS_VOLUME, GiveUpError, check_states
from sidelight.fleet.stages.inspect import read, snapshots_of
from sidelight.fleet.stages.late_answers import is_young
from sidelight.fleet.stages.source_stages import begin_with_source, read_existing
from sidelight.fleet.stages.stage_runner import BUSY_ATTEMPT, backoff, held
from sidelight.model import WAITING, Snapshot, State, Transition
from sidelight.store import PollResult, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sidelight.aws.ec2 import SnapshotInfo
    from sidelight.fleet.context import Context
    from sidelight.fleet.stages.stage_runner import Next
    from sidelight.model import Instance, Scan
    from sidelight.store import QuotaExceeded

__all__ = [
    "AFTER_SPENT", "STEPS", "await_snapshots", "delete_snapshots", "evaluate", "inspect",
    "reevaluate", "take_snapshots",
]  # fmt: skip

log = logging.getLogger(__name__)

ONE_AT_A_TIME = frozenset({"st1", "sc1"})  # volume types with one snapshot at a time in EC2
REEVALUATE_SECONDS = 30.0  # a longer run would delay the scans that wait in the same queue
FIRST_LOOK = 1.0  # seconds after CreateSnapshots
LONGEST_LOOK = 30.0  # seconds between two polls of a snapshot
_NUMBER = re.compile("[0-9]+")  # a reason is the same whatever its numbers are
# Retries a second, per account-region, of scans that wait for snapshot quota: twice the
# CreateSnapshots rate.
ASKING = 8.0


def take_snapshots(context: Context, scan_id: str) -> Next | None:
    """Write the intent, call CreateSnapshots, then store the snapshot ids.

    CreateSnapshots takes no client token. A second worker (SNAPSHOTTING) does not know whether the
    first worker's call was executed: it lists snapshots by the scan's tag before it calls again.
    The lease and the backoff lie in between, so EC2 has had time to list the created snapshots.
    """
    return held(context, scan_id, (State.NEW, State.SNAPSHOTTING), _take)


def await_snapshots(context: Context, scan_id: str) -> Next | None:
    """Poll once: READING if all snapshots are completed, else again later, holding no worker.

    It polls this scan alone; the queue's workers poll a whole account-region at once
    (`sidelight.fleet.stages.poll_snapshots`).
    """
    return held(context, scan_id, (State.SNAPSHOTS_PENDING,), _await)


def inspect(context: Context, scan_id: str) -> Next | None:
    """Read the snapshots; write inventory, cost and next state in one transaction."""
    following = held(context, scan_id, (State.READING,), _inspect)
    read = following is not None and following.state is not State.READING
    if read and context.settings.reading.block_cache:
        # No stage reads them again. The deleting worker may run on another machine, so drop them
        # here.
        for snapshot in snapshots_of(context, context.store.scans.get(scan_id)):
            context.forget(snapshot.id)
    return following


def evaluate(context: Context, scan_id: str) -> Next | None:
    """Match the stored inventory; write findings and next state in one transaction."""
    return held(context, scan_id, (State.EVALUATING,), _evaluate)


def reevaluate(context: Context) -> bool:
    """Run a pending re-evaluation for REEVALUATE_SECONDS; return whether work remains."""
    advisories = context.advisories()
    if advisories.sha256 and not context.store.reevaluation.notice(advisories):
        log.warning("this advisory database is older than the one that findings are by")
    until = time.monotonic() + REEVALUATE_SECONDS
    while True:
        part = evaluation.reevaluate(context.store, advisories)
        if not part.left:
            context.store.suppression_rules.judge()
            return False
        if time.monotonic() > until or not (part.packages or part.instances):
            return bool(part.packages or part.instances)


def delete_snapshots(context: Context, scan_id: str) -> Next | None:
    """Delete the scan's snapshots, after success and failure, and verify that they are gone."""
    return held(context, scan_id, (State.DELETING,), delete)


STEPS: dict[State, Callable[[Context, str], Next | None]] = {
    State.NEW: take_snapshots,
    State.SNAPSHOTTING: take_snapshots,
    State.SNAPSHOTS_PENDING: await_snapshots,
    State.READING: inspect,
    State.EVALUATING: evaluate,
    State.DELETING: delete_snapshots,
}


def _take(context: Context, scan: Scan) -> Transition:
    if scan.source:
        return begin_with_source(context, scan)
    ec2 = context.ec2(scan.account, scan.region)
    instance = _instance(context, scan)
    snapshots: Sequence[SnapshotInfo] = ()
    first = scan.state is State.NEW
    if first:
        context.money().check(scan.account)
        full = _intend(context, scan, instance)
        if full is not None:
            return _set_aside(context, scan, full)
        scan = replace(scan, state=State.SNAPSHOTTING)
    else:
        listed = ec2.snapshots_by_tags(context.tags(scan.id))
        own, _ = own_snapshots(context.store, scan, context.deployment, listed)
        snapshots = _one_call(list(own.values()))
        _check_listed(context, scan, instance, snapshots)
    if not snapshots:
        created = _create(context, scan, first=first)
        if isinstance(created, Transition):
            return created
        snapshots = created
    if not snapshots:
        _check_no_volume(context, scan)
        raise GiveUpError("has no EBS volume", where=scan.instance, code=NO_EBS_VOLUME)
    order = {volume.id: place for place, volume in enumerate(instance.volumes)}
    now = context.store.clock()
    rows = [
        Snapshot(info.id, scan.id, info.volume, order.get(info.volume, len(order)), info.state, now)
        for info in snapshots
    ]
    soon = 0.0 if all_done(snapshots) else FIRST_LOOK
    every = context.settings.snapshots.poll_seconds
    return context.store.snapshot_polls.pend(scan, rows, first=soon, every=every)


def _intend(context: Context, scan: Scan, instance: Instance) -> QuotaExceeded | None:
    """Write the intent; return QuotaExceeded if the snapshot quota is used up, else None."""
    settings = context.settings
    limits = {
        volume.id: 1 if volume.type in ONE_AT_A_TIME else settings.snapshots.per_volume
        for volume in instance.volumes
    }
    pending = pending_cap(context, scan)
    return context.store.scans.intend(scan, limits, settings.snapshots.in_flight, pending)


def _create(context: Context, scan: Scan, *, first: bool) -> Sequence[SnapshotInfo] | Transition:
    """Call CreateSnapshots; return a Transition if AWS's quota of pending snapshots refuses it.

    The scan is then set aside. It is not at fault, so this is not an attempt, and it waits without
    a bound. All scans of the account-region wait with it, and one at a time asks AWS again.
    `first`: no call of this scan can have created a snapshot yet, so its quota is given back.
    """
    limits, where = context.store.account_limits, (scan.account, scan.region)
    if not first and (until := limits.admit(*where)) is not None:
        return _set_aside(context, scan, refused(scan, until))
    probing = limits.of(*where).refused_wait > 0
    ec2 = context.ec2(*where)
    text = description(scan.id, scan.instance, context.deployment, scan.lease)
    try:
        snapshots = ec2.create_snapshots(scan.instance, context.tags(scan.id), text)
    except CloudError as error:
        if error.code != PENDING_LIMIT:
            raise
        until = limits.refused(*where, probe=probing)
        return _set_aside(context, scan, refused(scan, until), withdraw=first)
    if probing:
        limits.passed(*where)
    return snapshots


def _set_aside(
    context: Context, scan: Scan, full: QuotaExceeded, *, withdraw: bool = False
) -> Transition:
    """Let a scan wait for snapshot quota; record it in its status and, once, in its coverage."""
    delay = _until_room(context, full)
    if _NUMBER.sub("", scan.last_error) != _NUMBER.sub("", f"{WAITING}: {full.why}"):
        log.info("scan %s waits: %s", scan.id, full.why)
        context.store.instances.explain(scan.account, scan.instance, f"{WAITING}: {full.why}")
    if withdraw:
        return context.store.scans.withdraw(scan, delay, full.why)
    return context.store.scans.postpone(scan, delay, paced=True, why=full.why)


def _until_room(context: Context, full: QuotaExceeded) -> float:
    """Return seconds until the retry, so that ASKING scans a second retry, however many wait.

    That is more than can begin in a second.
    """
    among_all = full.waiting / ASKING * (0.5 + 0.5 * context.jitter())
    delay = max(backoff(context, BUSY_ATTEMPT), among_all)
    if full.until is None:
        return delay
    return delay + max(0.0, (full.until - context.store.clock()).total_seconds())


def _check_no_volume(context: Context, scan: Scan) -> None:
    """Raise where EC2 named no snapshot although the instance has volumes: it may have made some.

    The next attempt finds them by their tags.
    """
    status = context.ec2(scan.account, scan.region).instance_status(scan.instance)
    if status is not None and status.volumes:
        names = ", ".join(sorted(status.volumes))
        raise CloudError(f"CreateSnapshots named no snapshot of {names}", where=scan.instance)


def _one_call(infos: Sequence[SnapshotInfo]) -> list[SnapshotInfo]:
    """Return the snapshots of the earliest call: only those of one call are of one moment.

    Takes the first snapshot of each volume: anyone may create another with our description.
    """
    calls: dict[str, dict[str, SnapshotInfo]] = {}
    for info in sorted(infos, key=lambda info: (str(info.started_at or ""), info.id)):
        calls.setdefault(info.description, {}).setdefault(info.volume, info)
    return list(next(iter(calls.values()), {}).values())


def _check_listed(
    context: Context, scan: Scan, instance: Instance, listed: Sequence[SnapshotInfo]
) -> None:
    """Raise where EC2 does not list all of a call's snapshots; the last attempt accepts that.

    EC2's listing may show them one after the other. A volume detached in between has none.
    """
    unlisted = {volume.id for volume in instance.volumes} - {info.volume for info in listed}
    if listed and unlisted and scan.attempts < context.settings.retries.attempts:
        names = ", ".join(sorted(unlisted))
        raise CloudError(f"no snapshot of {names} is listed with the others", where=scan.id)


def _await(context: Context, scan: Scan) -> Transition:
    ec2 = context.ec2(scan.account, scan.region)
    known = context.store.scans.snapshots(scan.id)
    infos = ec2.snapshots_by_id([snapshot.id for snapshot in known])
    result = seen(context, scan, known, infos)
    transition = context.store.snapshot_polls.settle([result], alone=True).get(scan.id)
    if transition is None:
        raise LeaseLostError("not held any more after its poll", where=scan.id)
    return transition


def seen(
    context: Context, scan: Scan, known: Sequence[Snapshot], infos: Sequence[SnapshotInfo]
) -> PollResult:
    """Return the result of a poll of a scan's snapshots. Raises GiveUpError.

    `infos`: the snapshots of `known` that EC2 listed; it omits a deleted one without an error.
    """
    age = (context.store.clock() - scan.entered_at).total_seconds()
    check_states(infos)
    listed = {info.id for info in infos}
    missing = [snapshot for snapshot in known if snapshot.id not in listed]
    if not missing and all_done(infos):
        return PollResult(scan, completed=True)
    # EC2 may not list a new snapshot yet: a missing one counts as pending for a while.
    if gone := [snapshot.id for snapshot in missing if not is_young(context, snapshot)]:
        raise GiveUpError("EC2 lists it no more", where=", ".join(sorted(gone)))
    if age > context.settings.snapshots.pending_seconds:
        names = ", ".join(sorted(snapshot.id for snapshot in known))
        raise GiveUpError(f"not completed after {age:.0f} s", where=names)
    # Poll less often as a snapshot ages: at most 20 % of its age is added as delay. The delay is
    # capped: AWS allows few pending snapshots, and an unnoticed completed one uses up our quota.
    delay = max(context.settings.snapshots.poll_seconds, min(LONGEST_LOOK, age / 5))
    return PollResult(scan, completed=False, delay=delay)


def all_done(infos: Sequence[SnapshotInfo]) -> bool:
    """Whether there is at least one snapshot and all are completed."""
    return bool(infos) and all(info.state == COMPLETED for info in infos)


def _inspect(context: Context, scan: Scan) -> Transition:
    instance = _instance(context, scan)
    if scan.source:
        return read_existing(context, scan, instance)
    return read(context, scan, instance)


def _evaluate(context: Context, scan: Scan) -> Transition:
    advisories = context.advisories()
    context.store.reevaluation.notice(advisories)
    return evaluation.evaluate(context.store, scan, advisories).transition


def _instance(context: Context, scan: Scan) -> Instance:
    instance = context.store.instances.instance(scan.account, scan.instance)
    if instance is None:
        raise GiveUpError("is not known", where=scan.instance, code="RESOURCE_TERMINATED")
    return instance
