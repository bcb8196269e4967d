"""Scan one instance at once in this process: all stages of a scan, without a broker.

The stages and the store are the fleet's. In a fleet's store, this process holds the scan from its
creation to its end, and no worker can claim it. If the process is killed, any worker can claim the
scan once its lease has ended. So can the same command when it runs again: it continues with the
same snapshots, and deletes them. If another scan of the instance is running, this process waits
for it and returns its result.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from dispatcher.planning.eligibility import Configuration
from dispatcher.planning.selection import of_instances
from dispatcher.services.account_disabling import AccountDisabler
from dispatcher.services.fleet_service import FleetService
from sidelight.errors import CloudError, UsageError
from sidelight.fleet.bootstrap import make_context
from sidelight.fleet.settings import Settings
from sidelight.fleet.stages import take_snapshots
from sidelight.fleet.stages.stage_runner import Next, held
from sidelight.model import TERMINAL, Keeper, ReadStats, Scan, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from dispatcher.discovery.agents import AgentResources
    from sidelight.fleet.context import Context
    from sidelight.model import Inventory, Transition
    from sidelight.store import Store

log = logging.getLogger(__name__)

LONGEST_WAIT = 2.0  # seconds; a person waits for this scan


class LocalQueue:
    """A queue that keeps its messages in this process."""

    def __init__(self) -> None:
        self.messages: deque[tuple[str, Next]] = deque()
        self.reevaluations: list[str] = []

    def publish(self, scan_id: str, following: Next) -> None:
        """Keep one message."""
        self.messages.append((scan_id, following))

    def publish_reevaluation(self, region: str) -> None:
        """Keep the region."""
        self.reevaluations.append(region)

    def publish_network(self, account: str, region: str) -> None:
        """Drop it: a scan of one instance evaluates no network."""

    def check(self) -> bool:
        """Return True: this queue takes every message."""
        return True

    def close(self) -> None:
        """Do nothing: there is no connection to close."""


def in_process(
    settings: Settings,
    *,
    store: Store | None = None,
    queue: LocalQueue | None = None,
    keeper: Keeper | None = None,
    agents: AgentResources | None = None,
) -> FleetService:
    """Return the control plane without a broker. Raises UsageError, StoreError."""
    # The rate limits are still shared with the fleet, if there is one.
    fleets = settings.broker.url if settings.broker.url != Settings().broker.url else ""
    budgets = settings.rates.url or fleets
    settings = settings.replaced(broker_url="memory://", budgets_url=budgets)
    return FleetService(
        settings, store=store, queue=queue or LocalQueue(), keeper=keeper, agents=agents
    )


def disabler_in_process(fleet: FleetService) -> AccountDisabler:
    """Return the disabler that deletes scans' snapshots itself, without waiting for workers."""
    context = make_context(fleet.settings, store=fleet.store)
    return AccountDisabler(
        fleet.store,
        fleet.sweeper,
        fleet.resources,
        delete=lambda scan_id: run_stage(context, scan_id, State.DELETING),
    )


def inspect_instance(
    instance: str,
    settings: Settings,
    *,
    region: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
    show: Callable[[Scan], None] = lambda _: None,
) -> tuple[Inventory, ReadStats]:
    """Snapshot an instance, read it, delete the snapshots; return its inventory and the cost.

    `show` gets the scan before each stage and each wait, for a line of progress.
    With an advisory database in the settings, its findings are stored too. Raises UsageError for
    an instance that cannot be scanned (with the reason), CloudError where the scan failed.
    """
    keeper = Keeper.new(settings.workers.lease_seconds)
    queue = LocalQueue()
    fleet = in_process(settings, queue=queue, keeper=keeper)
    try:
        context = replace(make_context(fleet.settings, store=fleet.store), keeper=keeper)
        scan_id = _started(fleet, instance, region)
        if not queue.messages:
            log.warning("%s: another scan of it is under way; waiting for its result", instance)
        ended = _walk(context, keeper, scan_id, sleep, show)
        if ended.state is not State.DONE:
            raise CloudError(ended.failure or ended.last_error, where=instance)
        cost = fleet.store.costs.of([ended.id]).get(ended.id, ReadStats())
        # The command measures its own times, those of the stages too.
        stats = replace(ReadStats.total([cost]), seconds=0.0, cpu_seconds=0.0)
        return fleet.store.findings.inventory(ended.account, instance), stats
    finally:
        fleet.close()


def _started(fleet: FleetService, instance: str, region: str | None) -> str:
    """Return the id of a new scan, or of the running one."""
    (account_region,) = fleet.places((), (region,) if region else ())
    scans = fleet.scans.start_scans(
        account_region, Configuration(), on_demand=True, only=of_instances([instance])
    )
    # Between our read of the store and our insert, another process may have created a scan.
    live = [scan.id for scan in scans] or [
        known.live_scan
        for known in fleet.store.instances.known(
            account=account_region.account, region=account_region.region
        )
        if known.instance.id == instance and known.live_scan
    ]
    if not live:
        rows = fleet.store.instances.coverage()
        row = next((row for row in rows if row.instance == instance), None)
        why = f"cannot be scanned: {row.reason} {row.detail}".rstrip() if row else "is not known"
        raise UsageError(why, where=f"{instance} in {account_region}")
    return live[-1]


def _walk(
    context: Context,
    keeper: Keeper,
    scan_id: str,
    sleep: Callable[[float], None],
    show: Callable[[Scan], None] = lambda _: None,
) -> Scan:
    """Run every stage to the scan's end; wait while another process holds the scan."""
    scans = context.store.scans
    try:
        while (present := scans.get(scan_id)).state not in TERMINAL:
            show(present)
            following = run_stage(context, scan_id, present.state)
            delay = take_snapshots.FIRST_LOOK if following is None else following.delay
            if delay:
                sleep(min(delay, LONGEST_WAIT))
                scans.keep(scan_id, keeper)
    finally:
        # After Ctrl-C a fleet's worker continues the scan, if there is a fleet.
        scans.let_go(scan_id, keeper)
    return present


def run_stage(context: Context, scan_id: str, state: State) -> Next | None:
    """Run the stage for a scan in this state, as a worker does. Raises StoreError."""
    if state is State.EVALUATING and not context.settings.findings.has_advisories:
        # Without an advisory database nothing is matched, and known findings stay open.
        return held(context, scan_id, (State.EVALUATING,), _skip)
    return take_snapshots.STEPS[state](context, scan_id)


def _skip(context: Context, scan: Scan) -> Transition:
    return context.store.scans.advance(scan, State.DELETING)
