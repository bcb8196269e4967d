"""One instance, at once, in this process: a scan's whole life without a broker.

The stages and the store are the fleet's. On a fleet's store the scan is this process's from its
row to its end, and no worker's. When the process is killed, it is any worker's once its lease has
ended, or the same command's, given again: it goes on with the same snapshots, and deletes them. A
scan of the instance that is under way elsewhere is waited for: its outcome is this one's.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from dispatcher.control import Control
from dispatcher.eligibility import Configuration
from sidelight.errors import CloudError, UsageError
from sidelight.model import ReadStats
from sidelight.store import TERMINAL, Keeper, Scan, State
from workers import steps
from workers.holding import Next, held
from workers.settings import Settings
from workers.wiring import make_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.model import Inventory
    from sidelight.store import Store
    from workers.context import Context

log = logging.getLogger(__name__)

LONGEST_WAIT = 2.0  # seconds; a person waits for this scan


class InProcess(Control):
    """A Control whose messages stay here."""

    def __init__(self, settings: Settings, *, store: Store | None = None) -> None:
        """Open the store. Raises UsageError, StoreError."""
        # The budgets are the fleet's all the same, where there is one.
        fleets = settings.broker_url if settings.broker_url != Settings().broker_url else ""
        budgets = settings.budgets_url or fleets
        settings = replace(settings, broker_url="memory://", budgets_url=budgets)
        super().__init__(settings, store=store)
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
        control.keeper = Keeper.new(settings.lease_seconds)
        context = replace(context, keeper=control.keeper)
        ended = _walk(context, control.keeper, _started(control, instance, region), sleep)
        if ended.state is not State.DONE:
            raise CloudError(ended.failure or ended.last_error, where=instance)
        cost = control.store.costs.of([ended.id]).get(ended.id)
        stats = ReadStats()
        if cost is not None:
            stats = ReadStats(
                get_calls=cost.get_calls,
                list_calls=cost.list_calls,
                distinct_blocks=cost.blocks,
                bytes=cost.bytes,
                usd=cost.usd,
            )
        return control.store.findings.inventory(ended.account, instance), stats
    finally:
        control.close()


def _started(control: InProcess, instance: str, region: str | None) -> str:
    """The id of a new scan, or of the one that is under way."""
    (place,) = control.places((), (region,) if region else ())
    scans = control.start_scans(place, Configuration(), on_demand=True, only=[instance])
    # Between our look and our row another may have begun one.
    live = [scan.id for scan in scans] or [
        known.live_scan
        for known in control.store.fleet.known(account=place.account, region=place.region)
        if known.instance.id == instance and known.live_scan
    ]
    if not live:
        rows = control.store.fleet.coverage()
        told = next((row for row in rows if row.instance == instance), None)
        why = f"cannot be scanned: {told.reason} {told.detail}".rstrip() if told else "is not known"
        raise UsageError(why, where=f"{instance} in {place.account}/{place.region}")
    if not control.messages:
        log.warning("%s: a scan of it is under way: its outcome is this one's", instance)
    return live[-1]


def _walk(context: Context, keeper: Keeper, scan_id: str, sleep: Callable[[float], None]) -> Scan:
    """Every stage in its turn, to the end; what another has is waited for."""
    scans = context.store.scans
    try:
        while (present := scans.get(scan_id)).state not in TERMINAL:
            following = run_stage(context, scan_id, present.state)
            delay = steps.FIRST_LOOK if following is None else following.delay
            if delay:
                sleep(min(delay, LONGEST_WAIT))
                scans.keep(scan_id, keeper)
    finally:
        # At Ctrl-C a fleet's worker goes on where we are, if there is a fleet.
        scans.let_go(scan_id, keeper)
    return present


def run_stage(context: Context, scan_id: str, state: State) -> Next | None:
    """The stage of a scan that is in this state, as a worker runs it. Raises StoreError."""
    if state is State.EVALUATING and not context.settings.advisories:
        # Nothing to match with, and that is no reason to close what is known.
        return held(context, scan_id, (State.EVALUATING,), _skip)
    return steps.STEPS[state](context, scan_id)


def _skip(context: Context, scan: Scan) -> None:
    context.store.scans.advance(scan, State.DELETING)
