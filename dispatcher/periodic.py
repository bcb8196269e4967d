"""Work of the active dispatcher at fixed times, on a thread of its own.

The time at which it last began is in the store, so that a dispatcher that takes over neither skips
nor repeats it. A lease of its own, renewed while the thread works, keeps a second dispatcher from
the same work, should both hold themselves active for a moment.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from sidelight.errors import SidelightError
from sidelight.report.logs import is_debugging

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from dispatcher.planning.schedules import Schedule
    from sidelight.store import Store

log = logging.getLogger(__name__)


@dataclass(slots=True)
class PeriodicWork:
    """Work by its name, which is also that of its lease.

    `holder` names this process. `run` does the work; a SidelightError, or False where it was
    stopped before its end, lets it run again after `retry` seconds. `lease` is in seconds.
    """

    store: Store
    name: str
    holder: str
    schedule: Schedule
    run: Callable[[], bool]
    lease: float = 60.0
    retry: float = 60.0
    error: str = ""
    thread: threading.Thread | None = field(default=None, init=False)
    _failed_at: datetime | None = field(default=None, init=False)

    @property
    def is_running(self) -> bool:
        """Whether the thread works."""
        return self.thread is not None and self.thread.is_alive()

    def renew(self) -> None:
        """Keep the lease while the thread works. Raises StoreError."""
        if self.is_running:
            self.store.leases.hold(self.name, self.holder, self.lease)

    def beat(self, *, at_once: bool = False) -> None:
        """Begin the work if it is due, or `at_once`, and nothing else does it. Raises StoreError.

        After a failure it waits for `retry` seconds in any case.
        """
        now = self.store.clock()
        if self.is_running or self._waits(now):
            return
        if not at_once and not self.schedule.is_due(self.store.leases.done_at(self.name), now):
            return
        if not self.store.leases.hold(self.name, self.holder, self.lease):
            return
        self.thread = threading.Thread(target=self._work, args=(now,), name=self.name, daemon=True)
        self.thread.start()

    def join(self) -> None:
        """Wait for the thread, if there is one."""
        if self.thread is not None:
            self.thread.join()

    def _waits(self, now: datetime) -> bool:
        retry = timedelta(seconds=self.retry)
        return self._failed_at is not None and now - self._failed_at < retry

    def _work(self, begun: datetime) -> None:
        self._failed_at = begun  # also where the thread dies of an error that nobody expected
        try:
            is_done = self.run()
            if is_done:
                self.store.leases.done(self.name, begun)
                self._failed_at, self.error = None, ""
            self.store.leases.release(self.name, self.holder)
        except SidelightError as error:
            self.error = str(error)
            # Denied, throttled or unreachable: the text states it, a traceback adds nothing.
            log.error("%s: %s", self.name, error, exc_info=is_debugging())  # noqa: TRY400
