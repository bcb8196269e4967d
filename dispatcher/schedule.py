"""The dispatcher as a process: every hour it looks for instances, and always for lost messages.

Of several dispatchers one works, by a lease in the store; the others stand by. That is for thrift
alone: two that work at once make no scan twice, since an instance has one live scan by the store's
own constraint. A dispatcher may be killed at any moment; the next goes on from the store.
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
from sidelight.errors import SidelightError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from dispatcher.control import Control
    from dispatcher.eligibility import Configuration
    from dispatcher.places import Wanted

log = logging.getLogger(__name__)

REEVALUATION_ASKED_EVERY = timedelta(seconds=60)
DISPATCHER, ROUND = "dispatcher", "round"


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: between looks for new instances, between ticks, of the lease; after a failure."""

    round: float = 3600.0
    tick: float = 10.0
    lease: float = 60.0
    retry: float = 60.0


class Schedule:
    """A dispatcher's life."""

    def __init__(
        self,
        control: Control,
        wanted: Wanted,
        configuration: Configuration,
        *,
        pace: Pace | None = None,
        health: Path | None = None,
    ) -> None:
        """`health` is a file that is written at each tick: one that grows old tells of a hang."""
        self._control = control
        self._wanted = wanted
        self._configuration = configuration
        self._pace = pace or Pace()
        self._health = health
        self._me = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._stop = threading.Event()
        self._rounds: threading.Thread | None = None
        self._publisher: threading.Thread | None = None
        self._failed_at: datetime | None = None
        self._asked_at: datetime | None = None
        self._error = ""

    def stop(self) -> None:
        """End `run` soon. Safe in a signal's handler."""
        self._stop.set()

    def run(self, wait: Callable[[float], object] | None = None) -> None:
        """Until `stop`. What fails is logged, shown in the health file, and tried again."""
        wait = wait or self._stop.wait
        try:
            while not self._stop.is_set():
                active = self._beat()
                self._tell(active=active)
                wait(self._pace.tick)
        finally:
            for thread in (self._rounds, self._publisher):
                if thread is not None:
                    thread.join()
            try:
                self._control.store.singletons.release(DISPATCHER, self._me)
            except SidelightError as error:
                log.warning("the dispatcher's lease is left to end by itself: %s", error)

    def _beat(self) -> bool:
        """Whether we hold the lease; then publish what is due, and begin a round if it is time."""
        store = self._control.store
        try:
            if not store.singletons.hold(DISPATCHER, self._me, self._pace.lease):
                return False
            tick(store, self._control.publish)
            self._reevaluate()
            self._tell_events()
            if self._round_is_due():
                # Beside the ticks: to look at an organization takes minutes.
                self._rounds = threading.Thread(target=self._round, name="round", daemon=True)
                self._rounds.start()
        except SidelightError as error:
            self._error = str(error)
            log.exception("dispatcher")
            return False
        return True

    def _reevaluate(self) -> None:
        """At once for a new database; then now and then, while something is left.

        A worker that took it may have died.
        """
        now = self._control.store.clock()
        fresh = self._control.notice_advisories()
        if fresh or self._asked_at is None or now - self._asked_at >= REEVALUATION_ASKED_EVERY:
            self._asked_at = now
            self._control.reevaluate()

    def _tell_events(self) -> None:
        """Beside the ticks: a re-evaluation may have a great deal to tell."""
        busy = self._publisher is not None and self._publisher.is_alive()
        if self._control.settings.publish and not busy:
            self._publisher = threading.Thread(
                target=self._publish_events, name="events", daemon=True
            )
            self._publisher.start()

    def _publish_events(self) -> None:
        try:
            self._control.publish_events(self._stop.is_set)
        except SidelightError as error:
            # Where it stopped is in the store: it is tried again at the next tick.
            self._error = str(error)
            log.warning("events: %s", error)

    def _round_is_due(self) -> bool:
        if self._rounds is not None and self._rounds.is_alive():
            return False
        store = self._control.store
        last = store.singletons.done_at(ROUND)
        now = store.clock()
        if self._failed_at is not None and now - self._failed_at < timedelta(
            seconds=self._pace.retry
        ):
            return False
        return last is None or now - last >= timedelta(seconds=self._pace.round)

    def _round(self) -> None:
        """Discover, plan, enqueue and sweep everywhere; judge and tidy findings."""
        control = self._control
        try:
            places = control.look_up(self._wanted)
            started = control.start_everywhere(
                places, self._configuration, on_demand=False, stopped=self._stop.is_set
            )
            # Also where no instance could be looked at: a snapshot there costs the same.
            swept, unswept = control.sweep_everywhere(places, stopped=self._stop.is_set)
            if self._stop.is_set():
                return
            control.reevaluate(everywhere=True)
            control.store.rules.judge()
            control.store.tidying.run()
            control.store.singletons.done(ROUND)
        except SidelightError as error:
            self._failed_at = control.store.clock()
            self._error = str(error)
            log.exception("round")
            return
        self._failed_at, self._error = None, ""
        closed = {(one.account, one.region) for one in (*started.unreachable, *unswept)}
        log.info(
            "round: %d places, %d live scans, %d places closed, %d orphans",
            len(started.reached), len(started.scans), len(closed),
            sum(len(one.orphans) for _, one in swept),
        )  # fmt: skip

    def _tell(self, *, active: bool) -> None:
        if self._health is None:
            return
        now = self._control.store.clock().isoformat()
        document = {"at": now, "active": active, "holder": self._me, "error": self._error}
        draft = self._health.with_name(f"{self._health.name}.{os.getpid()}")
        try:
            draft.write_text(json.dumps(document) + "\n")
            draft.replace(self._health)
        except OSError as error:
            log.warning("%s: %s", self._health, error)
