"""The time that the rows are written in.

Leases and due times are compared by many machines, so they must be told by one clock. With
PostgreSQL it is the server's, asked now and then and carried on by each process's monotonic clock:
a worker whose own clock is ten minutes off neither takes a live lease nor waits. SQLite is one
machine's store, and its clock is the machine's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sidelight.errors import StoreError

Clock = Callable[[], datetime]
ASK_EVERY = 60.0  # seconds; quartz drifts by some milliseconds meanwhile


def now() -> datetime:
    """The wall clock, aware, in UTC."""
    return datetime.now(UTC)


class ServerClock:
    """A server's time, without a question each time."""

    def __init__(self, ask: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`ask` gives the server's time now, or raises StoreError."""
        self._ask = ask
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: tuple[float, datetime] | None = None

    def __call__(self) -> datetime:
        """Aware. Raises StoreError where the server never answered."""
        with self._lock:
            at = self._monotonic()
            if self._known is None or at - self._known[0] >= ASK_EVERY:
                self._known = self._asked(at)
            since, then = self._known
            return then + timedelta(seconds=self._monotonic() - since)

    def _asked(self, at: float) -> tuple[float, datetime]:
        try:
            told = self._ask()
        except StoreError:
            if self._known is None:
                raise
            return self._known  # what was known goes on being right
        # The answer is of some moment between question and now; half of that at most is wrong.
        return (at + self._monotonic()) / 2, told
