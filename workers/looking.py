"""One look for many: the snapshots that are waited for in an account and region, by one describe.

A message says "look at this scan's place". What is due there is claimed under one lease; a worker
that is killed here costs a wait, and what its look saw is seen again. One snapshot's trouble is
its scan's alone: EC2 leaves out an id that is gone, and a scan whose look failed is looked at by
itself the next time.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sidelight.errors import SidelightError
from sidelight.store import State
from sidelight.store.stages import turn
from workers.holding import Next, failed_if_held, upcoming
from workers.steps import await_snapshots, seen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.store import Scan
    from workers.context import Context

log = logging.getLogger(__name__)

AT_ONCE = 200  # scans of one look; their snapshots are described by 200 a call


def look(context: Context, scan_id: str) -> list[tuple[str, Next]]:
    """Look at the place of this scan; what is to be published, by scan.

    Raises StoreError where the store cannot be reached, and SystemExit, which gives all back.
    """
    store, every = context.store, context.settings.poll_seconds
    named = store.scans.get(scan_id)
    if named.state is State.SNAPSHOTS_PENDING and named.attempts:
        following = await_snapshots(context, scan_id)
        return [] if following is None else [(scan_id, following)]
    found: list[tuple[str, Next]] = []
    lease = context.settings.lease_seconds
    waiting = store.looks.claim_waiting(named.account, named.region, lease, AT_ONCE)
    if waiting:
        with turn(store.clock()) as begun:
            _look(context, waiting)
            nexts = {scan.id: upcoming(context, scan, begun) for scan in waiting}
        found += [(one, following) for one, following in nexts.items() if following is not None]
    full = len(waiting) == AT_ONCE
    due = store.looks.schedule(named, 0.0 if full else every)
    if due is not None:
        delay = max(0.0, (due - store.clock()).total_seconds())
        found.append((scan_id, Next(State.SNAPSHOTS_PENDING, named.region, named.priority, delay)))
    return found


def _look(context: Context, waiting: Sequence[Scan]) -> None:
    """Describe the snapshots of all these, and settle each."""
    settled, store = [], context.store
    try:
        known = store.looks.snapshots([scan.id for scan in waiting])
        ids = [snapshot.id for snapshots in known.values() for snapshot in snapshots]
        ec2 = context.ec2(waiting[0].account, waiting[0].region)
        infos = {info.id: info for info in ec2.snapshots_by_id(ids)}
        for scan in waiting:
            shown = [infos[one.id] for one in known[scan.id] if one.id in infos]
            try:
                settled.append(seen(context, scan, known[scan.id], shown))
            except SidelightError as error:
                failed_if_held(context, scan, error)
        store.looks.settle(settled)
    except SystemExit:
        # This worker is told to end: all are given back now, not when their lease ends.
        for scan in waiting:
            _give_back(context, scan)
        raise
    except Exception as error:
        if not isinstance(error, SidelightError):
            log.exception("look at %s/%s", waiting[0].account, waiting[0].region)
        for scan in waiting:
            failed_if_held(context, scan, error)


def _give_back(context: Context, scan: Scan) -> None:
    try:
        context.store.scans.postpone(scan, 0.0)
    except SidelightError as lost:
        log.warning("scan %s: %s", scan.id, lost)
