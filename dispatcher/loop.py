"""The dispatcher loop: discover instances every hour, start due scans at every tick.

Discovery, the agent-based method and updates of the advisory database run at fixed times
(`dispatcher.planning.schedules`), each on a thread of its own, so that none waits for another.

Each instance is scanned again at its own time of day (`dispatcher.planning.cadence`). A tick also
publishes lost messages again. A dispatcher that takes over discovers at once, because only
discovery shows which instances are due.

Several dispatchers may run; a lease in the store selects the active one, and the others are
standbys. The lease only saves work; correctness does not depend on it. Two active dispatchers
create no scan twice, because a constraint of the store allows an instance one live scan. A
dispatcher may be killed at any moment; the next one continues from the store.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from dispatcher.advisory_updater import AdvisoryUpdater
from dispatcher.changes import instance_states, network_changes
from dispatcher.changes.event_receiver import EventReceiver
from dispatcher.changes.instance_states import InstanceStateHandler
from dispatcher.changes.network_changes import NetworkChangeHandler
from dispatcher.enqueue import tick
from dispatcher.events.delivery import EventDelivery
from dispatcher.events.targets import shown, targets_of
from dispatcher.fleet_counter import FleetCounter
from dispatcher.network_scheduler import network_changed
from dispatcher.periodic import PeriodicWork
from dispatcher.planning import cadence
from dispatcher.planning.schedules import schedule_of
from sidelight.errors import OutdatedCodeError, SidelightError, StoreError
from sidelight.report.logs import is_debugging

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime
    from pathlib import Path

    from dispatcher.changes.event_receiver import EventHandler
    from dispatcher.discovery.accounts import AccountRegion, ScanScope, UnreachableTarget
    from dispatcher.planning.eligibility import Configuration
    from dispatcher.services.fleet_service import FleetService
    from sidelight.documents.fleet import HealthDocument

log = logging.getLogger(__name__)

REEVALUATION_ASKED_EVERY = timedelta(seconds=60)
DISPATCHER, ROUND, AGENTS, COUNTS = "dispatcher", "round", "agents", "counts"
ADVISORIES = "advisories"


@dataclass(frozen=True, slots=True)
class Intervals:
    """Seconds: between discoveries, agents' rounds, counts, and ticks; lease, retries.

    `update_retry` is until the advisory database's update is tried again.
    """

    round: float = 3600.0
    agents: float = 1800.0
    counts: float = 60.0
    tick: float = 10.0
    lease: float = 60.0
    retry: float = 60.0
    update_retry: float = 900.0


class DispatcherLoop:
    """The main loop of one dispatcher process."""

    def __init__(
        self,
        control: FleetService,
        wanted: ScanScope,
        configuration: Configuration,
        *,
        pace: Intervals | None = None,
        health: Path | None = None,
    ) -> None:
        """`health` is a file that each tick writes: an old file shows that the loop hangs.

        Raises UsageError for targets of events that are not unique.
        """
        self._control = control
        self._wanted = wanted
        self._configuration = configuration
        self._pace = pace or Intervals()
        self._health = health
        self._me = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._stop = threading.Event()
        self._targets = targets_of(control.settings.findings.publish)
        self._is_followed = False
        self._delivery = EventDelivery(
            lambda target: control.publish_events(target, self._stop.is_set)
        )
        self._reporter: threading.Thread | None = None
        self._discovered = False
        self._rounds = self._periodic(ROUND, self._pace.round, self._round)
        self._agents: PeriodicWork | None = None
        if control.agent_scans is not None:
            self._agents = self._periodic(AGENTS, self._pace.agents, self._agent_round)
        counter = FleetCounter(control.store)
        self._counts = self._periodic(
            COUNTS, self._pace.counts, lambda: counter.run(self._stop.is_set)
        )
        self._updates: PeriodicWork | None = None
        if hours := control.settings.updates.hours:
            updater = AdvisoryUpdater(control.settings)
            self._updates = self._periodic(
                ADVISORIES, hours * 3600,
                lambda: updater.run(self._stop.is_set, self._stop.wait), self._pace.update_retry,
            )  # fmt: skip
        self._receiver: EventReceiver | None = None
        if control.event_queue is not None:
            self._receiver = EventReceiver(
                control.event_queue, self._handlers(), control.scans.is_discovered
            )
        self._receiving: threading.Thread | None = None
        self._active = False
        self._held_at: datetime | None = None
        self._asked_at: datetime | None = None
        self._error = ""

    def stop(self) -> None:
        """Make `run` return soon. Safe to call from a signal handler."""
        self._stop.set()

    def run(self, wait: Callable[[float], object] | None = None) -> None:
        """Run until `stop`. A failure is logged, written to the health file, and retried.

        Raises OutdatedCodeError once a newer version's tables do not work with this one: no retry
        helps, and a dispatcher of that version has to take over.
        """
        wait = wait or self._stop.wait
        try:
            while not self._stop.is_set():
                self._active = self._beat()
                self._write_health(active=self._active)
                wait(self._pace.tick)
        finally:
            for work in self._works():
                work.join()
            self._delivery.join()
            for thread in (self._receiving, self._reporter):
                if thread is not None:
                    thread.join()
            try:
                self._control.store.leases.release(DISPATCHER, self._me)
            except SidelightError as error:
                log.warning("the dispatcher's lease is not ended and expires: %s", error)

    def _beat(self) -> bool:
        """Run one tick if we hold the lease: publish due messages, start a round if it is due.

        False where another dispatcher holds the lease, and after a failure.
        """
        store = self._control.store
        try:
            for work in self._works():
                work.renew()
            if not store.leases.hold(DISPATCHER, self._me, self._pace.lease):
                self._forget()
                return False
            now = store.clock()
            if self._held_at is None or now - self._held_at > timedelta(seconds=self._pace.lease):
                self._forget()
            self._held_at = now
            self._control.scans.start_due(self._configuration)
            tick(store, self._control.queue.publish)
            self._reevaluate()
            self._publish_new_events()
            self._write_new_reports()
            # Only discovery shows which instances are due: a dispatcher that takes over begins
            # with it.
            self._rounds.beat(at_once=not self._discovered)
            if self._discovered:
                self._counts.beat()
            if self._agents is not None and self._discovered:
                self._agents.beat()
            if self._updates is not None:
                self._updates.beat()
            self._receive_events()
        except OutdatedCodeError as error:
            self._error = str(error)
            self._stop.set()
            self._write_health(active=False)
            raise
        except SidelightError as error:
            self._error = str(error)
            log.error("dispatcher: %s", error, exc_info=is_debugging())  # noqa: TRY400 - as below
            return False
        return True

    def _forget(self) -> None:
        """Forget the discovery, which got old while this process did not hold the lease.

        It may not have noticed: it was suspended, or cut off from the store.
        """
        self._is_followed = False
        if not self._rounds.is_running:
            self._discovered = False
            self._control.scans.forget()

    def _reevaluate(self) -> None:
        """Request re-evaluation at once for a new advisory database, then at intervals.

        The request is repeated while instances are pending: the worker that took it may have died.
        """
        now = self._control.store.clock()
        is_new = self._control.reevaluator.notice()
        if is_new or self._asked_at is None or now - self._asked_at >= REEVALUATION_ASKED_EVERY:
            self._asked_at = now
            self._control.reevaluator.ask()

    def _publish_new_events(self) -> None:
        """Publish events on threads of their own: a re-evaluation may produce very many."""
        if not self._is_followed:
            self._control.store.outbox.follow({name: shown(name) for name in self._targets})
            self._is_followed = True
        self._delivery.beat(self._targets)

    def _write_new_reports(self) -> None:
        """Write requested reports on a thread of its own: one of a fleet takes minutes."""
        if self._reporter is None or not self._reporter.is_alive():
            self._reporter = threading.Thread(
                target=self._write_reports, name="reports", daemon=True
            )
            self._reporter.start()

    def _write_reports(self) -> None:
        try:
            self._control.reports.run(self._stop.is_set)
        except SidelightError as error:
            # The store has the reports: the next tick goes on with them.
            self._error = str(error)
            log.warning("reports: %s", error)

    def _handlers(self) -> dict[tuple[str, str], EventHandler]:
        """Return the handlers of events in accounts, by source and detail-type."""

        def look(
            account_region: AccountRegion, ids: Collection[str], ended: Collection[str]
        ) -> list[str]:
            return self._control.scans.look(account_region, ids, ended, self._configuration)

        def changed(account_region: AccountRegion, ids: Collection[str]) -> None:
            network_changed(self._control.store, account_region.account, account_region.region, ids)

        handlers: dict[tuple[str, str], EventHandler] = {
            instance_states.KIND: InstanceStateHandler(look)
        }
        if self._control.networks.enabled:
            handler = NetworkChangeHandler(changed)
            handlers |= dict.fromkeys(network_changes.KINDS, handler)
        return handlers

    def _receive_events(self) -> None:
        """Receive events on a thread of its own, which waits for them, from the discovery on."""
        busy = self._receiving is not None and self._receiving.is_alive()
        receiver = self._receiver
        if receiver is None or busy or not self._discovered or self._rounds.is_running:
            return
        self._receiving = threading.Thread(
            target=lambda: receiver.run(
                lambda: self._stop.is_set() or not self._active, self._stop.wait
            ),
            name="changes",
            daemon=True,
        )
        self._active = True
        self._receiving.start()

    def _works(self) -> list[PeriodicWork]:
        optional = (self._agents, self._updates)
        return [self._rounds, self._counts, *(work for work in optional if work is not None)]

    def _periodic(
        self, name: str, seconds: float, run: Callable[[], bool], retry: float | None = None
    ) -> PeriodicWork:
        schedule = schedule_of(self._control.deployment, name, timedelta(seconds=seconds))
        return PeriodicWork(
            self._control.store, name, self._me, schedule, run,
            lease=self._pace.lease, retry=self._pace.retry if retry is None else retry,
        )  # fmt: skip

    def _round(self) -> bool:
        """Discover, plan, enqueue and sweep all account-regions; apply rules and retention."""
        control = self._control
        account_regions = self._listed()
        if self._wanted.organization:
            control.join_members(account_regions)
        for account in control.disabler.pending():
            control.disabler.run(account)
        started = control.scans.start_everywhere(
            account_regions,
            self._configuration,
            on_demand=False,
            is_due=cadence.is_due,
            stopped=self._stop.is_set,
        )
        self._discovered = True
        control.networks.keep(started.reached)
        # Also account-regions whose discovery failed: a snapshot there costs the same.
        swept, unswept = control.sweeper.sweep_everywhere(
            account_regions, stopped=self._stop.is_set
        )
        if self._stop.is_set():
            return False
        control.reevaluator.ask(everywhere=True)
        control.store.exposures.lapse()
        control.store.suppression_rules.judge()
        control.store.retention.run()
        self._error = ""
        closed = {(target.account, target.region) for target in (*started.unreachable, *unswept)}
        log.info(
            "round: %d account-regions, %d live scans, %d unreachable, %d orphans",
            len(started.reached), len(started.scans), len(closed),
            sum(len(result.orphans) for _, result in swept),
        )  # fmt: skip
        return True

    def _listed(self) -> list[AccountRegion | UnreachableTarget]:
        """Look the account-regions up; where not even that works, the store says why.

        Accounts that are not the organization's any more are no longer reported as not listed.
        """
        unreached = self._control.store.unreached_targets
        try:
            targets = self._control.look_up(self._wanted)
        except StoreError:
            raise
        except SidelightError as error:
            unreached.note_failure(str(error))
            raise
        unreached.clear_failure()
        if self._wanted.organization or self._wanted.units:
            unreached.keep_accounts({target.account for target in targets})
        return targets

    def _agent_round(self) -> bool:
        """Run the agent-based method in the account-regions that were discovered."""
        control = self._control
        if control.agent_scans is None:
            return True
        control.agent_scans.run(
            control.scans.discovered(),
            self._stop.is_set,
            lambda place, managed: control.scans.agents_changed(
                place, managed, self._configuration
            ),
        )
        return not self._stop.is_set()

    def _write_health(self, *, active: bool) -> None:
        if self._health is None:
            return
        now = self._control.store.clock().isoformat()
        errors = [self._error, self._delivery.error, *(work.error for work in self._works())]
        if self._receiver is not None:
            errors.append(self._receiver.error)
        document: HealthDocument = {
            "at": now, "active": active, "holder": self._me,
            "error": "; ".join(filter(None, errors)),
        }  # fmt: skip
        draft = self._health.with_name(f"{self._health.name}.{os.getpid()}")
        try:
            draft.write_text(json.dumps(document) + "\n")
            draft.replace(self._health)
        except OSError as error:
            log.warning("%s: %s", self._health, error)
