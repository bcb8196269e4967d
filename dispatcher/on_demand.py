"""One instance, at once, in this process: a scan's whole life without a broker.

The stages and the store are the fleet's, so that a process that is killed leaves what every killed
worker leaves: a row and a tag, by which `sidelight fleet sweep` finds its snapshots.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from dispatcher.control import Control
from dispatcher.eligibility import Configuration
from sidelight.errors import CloudError, UsageError
from sidelight.model import ReadStats
from sidelight.store import TERMINAL, Scan, State
from workers import steps
from workers.holding import Next, held
from workers.wiring import make_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.model import Inventory
    from sidelight.store import Store
    from workers.context import Context
    from workers.settings import Settings

LONGEST_WAIT = 2.0  # seconds; a person waits for this scan


class InProcess(Control):
    """A Control whose messages stay here."""

    def __init__(self, settings: Settings, *, store: Store | None = None) -> None:
        """Open the store. Raises UsageError, StoreError."""
        super().__init__(replace(settings, broker_url="memory://"), store=store)
        self.messages: deque[tuple[str, Next]] = deque()

    def publish(self, scan_id: str, following: Next) -> None:
        """Keep one message."""
        self.messages.append((scan_id, following))


def inspect_instance(
    instance: str,
    settings: Settings,
    *,
    region: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Inventory, ReadStats]:
    """Snapshot an instance, read it, delete the snapshots; what it has, and what that cost.

    With an advisory database in the settings its findings are stored, too. Raises UsageError for
    an instance that cannot be scanned (with the reason), CloudError where the scan failed.
    """
    control = InProcess(settings)
    try:
        context = make_context(control.settings, store=control.store)
        scan = _started(control, instance, region)
        _walk(control, context, sleep)
        (ended,) = control.store.scans.select([scan.id])
        if ended.state is not State.DONE:
            raise CloudError(ended.failure or ended.last_error, where=instance)
        cost = control.store.costs.of([scan.id]).get(scan.id)
        stats = ReadStats()
        if cost is not None:
            stats = ReadStats(
                get_calls=cost.get_calls,
                list_calls=cost.list_calls,
                distinct_blocks=cost.blocks,
                bytes=cost.bytes,
                usd=cost.usd,
            )
        return control.store.findings.inventory(scan.account, instance), stats
    finally:
        control.close()


def _started(control: InProcess, instance: str, region: str | None) -> Scan:
    (place,) = control.places((), (region,) if region else ())
    scans = control.start_scans(place, Configuration(), on_demand=True, only=[instance])
    if not scans:
        known = control.store.fleet.coverage()
        told = next((row for row in known if row.instance == instance), None)
        why = f"cannot be scanned: {told.reason} {told.detail}".rstrip() if told else "is not known"
        raise UsageError(why, where=f"{instance} in {place.account}/{place.region}")
    if not control.messages:
        raise UsageError("is being scanned by a worker of the fleet", where=instance)
    return scans[-1]


def _walk(control: InProcess, context: Context, sleep: Callable[[float], None]) -> None:
    """Every stage in its turn, to the end."""
    while control.messages:
        scan_id, following = control.messages.popleft()
        if following.delay:
            sleep(min(following.delay, LONGEST_WAIT))
        upcoming = run_stage(context, scan_id, following.state)
        if upcoming is not None:
            control.messages.append((scan_id, upcoming))
            continue
        present = control.store.scans.get(scan_id)
        if present.state not in TERMINAL:
            # A fleet's worker has it, or will look at it: we come back to where it is by then.
            again = Next(present.state, present.region, present.priority, steps.FIRST_LOOK)
            control.messages.append((scan_id, again))


def run_stage(context: Context, scan_id: str, state: State) -> Next | None:
    """The stage of a scan that is in this state, as a worker runs it. Raises StoreError."""
    if state is State.EVALUATING and not context.settings.advisories:
        # Nothing to match with, and that is no reason to close what is known.
        return held(context, scan_id, (State.EVALUATING,), _skip)
    stage = {
        State.NEW: steps.take_snapshots,
        State.SNAPSHOTTING: steps.take_snapshots,
        State.SNAPSHOTS_PENDING: steps.await_snapshots,
        State.READING: steps.inspect,
        State.EVALUATING: steps.evaluate,
        State.DELETING: steps.delete_snapshots,
    }[state]
    return stage(context, scan_id)


def _skip(context: Context, scan: Scan) -> None:
    context.store.scans.advance(scan, State.DELETING)
