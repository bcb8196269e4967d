"""Poll all pending snapshots of an account-region with one DescribeSnapshots call.

A message names a scan and requests a snapshot poll of its account-region. The worker claims all
due scans there under one lease. A worker that is killed here costs one wait, and the next poll
reads the same states again. A failing snapshot affects its own scan only: EC2 omits a deleted id,
and a scan whose poll failed is polled alone the next time.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sidelight.errors import SidelightError
from sidelight.fleet.stages.stage_runner import Next, failed_if_held, stage_reported, upcoming
from sidelight.fleet.stages.take_snapshots import await_snapshots, seen
from sidelight.model import State
from sidelight.store import turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.fleet.context import Context
    from sidelight.model import Scan, Transition

log = logging.getLogger(__name__)

AT_ONCE = 200  # scans in one snapshot poll; a call describes 200 of their snapshots


def poll(context: Context, scan_id: str) -> list[tuple[str, Next]]:
    """Poll the account-region of this scan; return the next messages by scan id.

    Raises StoreError where the store cannot be reached. SystemExit is raised again after all
    claimed scans are given back.
    """
    store, every = context.store, context.settings.snapshots.poll_seconds
    polled = store.scans.get(scan_id)
    if polled.state is State.SNAPSHOTS_PENDING and polled.attempts:
        following = await_snapshots(context, scan_id)
        return [] if following is None else [(scan_id, following)]
    messages: list[tuple[str, Next]] = []
    lease = context.settings.workers.lease_seconds
    waiting = store.snapshot_polls.claim_waiting(polled.account, polled.region, lease, AT_ONCE)
    if waiting:
        with turn(store.clock()):
            transitions = _poll_once(context, waiting)
        nexts = {scan.id: upcoming(context, scan, transitions.get(scan.id)) for scan in waiting}
        messages += [(name, after) for name, after in nexts.items() if after is not None]
    full = len(waiting) == AT_ONCE
    due = store.snapshot_polls.schedule(polled, 0.0 if full else every)
    if due is not None:
        delay = max(0.0, (due - store.clock()).total_seconds())
        messages.append(
            (scan_id, Next(State.SNAPSHOTS_PENDING, polled.region, polled.priority, delay))
        )
    return messages


def _poll_once(context: Context, waiting: Sequence[Scan]) -> dict[str, Transition | None]:
    """Describe the snapshots of all these scans, and store each scan's result.

    Returns the transitions by scan id; a scan whose lease was lost has none.
    """
    results, store = [], context.store
    transitions: dict[str, Transition | None] = {}
    try:
        known = store.snapshot_polls.snapshots([scan.id for scan in waiting])
        ids = [snapshot.id for snapshots in known.values() for snapshot in snapshots]
        ec2 = context.ec2(waiting[0].account, waiting[0].region)
        infos = {info.id: info for info in ec2.snapshots_by_id(ids)}
        for scan in waiting:
            shown = [infos[row.id] for row in known[scan.id] if row.id in infos]
            with stage_reported(scan):
                try:
                    results.append(seen(context, scan, known[scan.id], shown))
                except SidelightError as error:
                    transitions[scan.id] = failed_if_held(context, scan, error)
        transitions |= store.snapshot_polls.settle(results)
    except SystemExit:
        # This worker is being stopped: give all scans back now, not when their lease ends.
        for scan in waiting:
            _give_back(context, scan)
        raise
    except Exception as error:
        if not isinstance(error, SidelightError):
            log.exception("look at %s/%s", waiting[0].account, waiting[0].region)
        for scan in waiting:
            if scan.id not in transitions:
                transitions[scan.id] = failed_if_held(context, scan, error)
    return transitions


def _give_back(context: Context, scan: Scan) -> None:
    try:
        context.store.scans.postpone(scan, 0.0)
    except SidelightError as lost:
        log.warning("scan %s: %s", scan.id, lost)
