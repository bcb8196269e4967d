"""The dispatcher loop: discover instances every hour, start due scans at every tick.

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

from dispatcher.enqueue import tick
from dispatcher.planning import cadence
from sidelight.errors import SidelightError
from sidelight.report.logs import is_debugging

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from dispatcher.discovery.accounts import ScanScope
    from dispatcher.planning.eligibility import Configuration
    from dispatcher.services.fleet_service import FleetService
    from sidelight.documents.fleet import HealthDocument

log = logging.getLogger(__name__)

REEVALUATION_ASKED_EVERY = timedelta(seconds=60)
DISPATCHER, ROUND = "dispatcher", "round"


@dataclass(frozen=True, slots=True)
class Intervals:
    """Seconds: between discoveries, between ticks, length of the lease, wait after a failure."""

    round: float = 3600.0
    tick: float = 10.0
    lease: float = 60.0
    retry: float = 60.0


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
        """`health` is a file that each tick writes: an old file shows that the loop hangs."""
        self._control = control
        self._wanted = wanted
        self._configuration = configuration
        self._pace = pace or Intervals()
        self._health = health
        self._me = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._stop = threading.Event()
        self._rounds: threading.Thread | None = None
        self._publisher: threading.Thread | None = None
        self._discovered = False
        self._failed_at: datetime | None = None
        self._asked_at: datetime | None = None
        self._error = ""

    def stop(self) -> None:
        """Make `run` return soon. Safe to call from a signal handler."""
        self._stop.set()

    def run(self, wait: Callable[[float], object] | None = None) -> None:
        """Run until `stop`. A failure is logged, written to the health file, and retried."""
        wait = wait or self._stop.wait
        try:
            while not self._stop.is_set():
                active = self._beat()
                self._write_health(active=active)
                wait(self._pace.tick)
        finally:
            for thread in (self._rounds, self._publisher):
                if thread is not None:
                    thread.join()
            try:
                self._control.store.leases.release(DISPATCHER, self._me)
            except SidelightError as error:
                log.warning("the dispatcher's lease is left to end by itself: %s", error)

    def _beat(self) -> bool:
        """Run one tick if we hold the lease: publish due messages, start a round if it is due.

        False where another dispatcher holds the lease, and after a failure.
        """
        store = self._control.store
        try:
            if not store.leases.hold(DISPATCHER, self._me, self._pace.lease):
                return False
            self._control.scans.start_due(self._configuration)
            tick(store, self._control.queue.publish)
            self._reevaluate()
            self._publish_new_events()
            if self._round_is_due():
                # On a thread of its own: discovery of an organization takes minutes.
                self._rounds = threading.Thread(target=self._round, name="round", daemon=True)
                self._rounds.start()
        except SidelightError as error:
            self._error = str(error)
            log.error("dispatcher: %s", error, exc_info=is_debugging())  # noqa: TRY400 - as below
            return False
        return True

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
        """Publish events on a thread of its own: a re-evaluation may produce very many."""
        busy = self._publisher is not None and self._publisher.is_alive()
        if self._control.settings.findings.publish and not busy:
            self._publisher = threading.Thread(
                target=self._publish_events, name="events", daemon=True
            )
            self._publisher.start()

    def _publish_events(self) -> None:
        try:
            self._control.publish_events(self._stop.is_set)
        except SidelightError as error:
            # The store has the position of the last event sent: the next tick continues there.
            self._error = str(error)
            log.warning("events: %s", error)

    def _round_is_due(self) -> bool:
        if self._rounds is not None and self._rounds.is_alive():
            return False
        store = self._control.store
        last = store.leases.done_at(ROUND)
        now = store.clock()
        if self._failed_at is not None and now - self._failed_at < timedelta(
            seconds=self._pace.retry
        ):
            return False
        if last is None or not self._discovered:
            return True
        return now - last >= timedelta(seconds=self._pace.round)

    def _round(self) -> None:
        """Discover, plan, enqueue and sweep all account-regions; apply rules and retention."""
        control = self._control
        try:
            account_regions = control.look_up(self._wanted)
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
            # Also account-regions whose discovery failed: a snapshot there costs the same.
            swept, unswept = control.sweeper.sweep_everywhere(
                account_regions, stopped=self._stop.is_set
            )
            if control.agent_scans is not None:
                control.agent_scans.run(started.reached, self._stop.is_set)
            if self._stop.is_set():
                return
            control.reevaluator.ask(everywhere=True)
            control.store.suppression_rules.judge()
            control.store.retention.run()
            control.store.leases.done(ROUND)
        except SidelightError as error:
            self._failed_at = control.store.clock()
            self._error = str(error)
            # Denied, throttled or unreachable: the text states it, a traceback adds nothing.
            log.error("round: %s", error, exc_info=is_debugging())  # noqa: TRY400
            return
        self._failed_at, self._error = None, ""
        closed = {(target.account, target.region) for target in (*started.unreachable, *unswept)}
        log.info(
            "round: %d places, %d live scans, %d places closed, %d orphans",
            len(started.reached), len(started.scans), len(closed),
            sum(len(result.orphans) for _, result in swept),
        )  # fmt: skip

    def _write_health(self, *, active: bool) -> None:
        if self._health is None:
            return
        now = self._control.store.clock().isoformat()
        document: HealthDocument = {
            "at": now, "active": active, "holder": self._me, "error": self._error,
        }  # fmt: skip
        draft = self._health.with_name(f"{self._health.name}.{os.getpid()}")
        try:
            draft.write_text(json.dumps(document) + "\n")
            draft.replace(self._health)
        except OSError as error:
            log.warning("%s: %s", self._health, error)
