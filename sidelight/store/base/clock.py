"""The clock for the times in the rows.

Many machines compare leases and due times, so these must come from one clock. With PostgreSQL it is
the server's: each process asks for it periodically and continues it with its monotonic clock. So a
worker whose own clock is ten minutes off neither takes a live lease nor waits. SQLite is the store
of one machine, and its clock is the machine's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sidelight.errors import StoreError

Clock = Callable[[], datetime]
ASK_EVERY = 60.0  # seconds; quartz drifts by some milliseconds in this time


def now() -> datetime:
    """The wall clock, aware, in UTC."""
    return datetime.now(UTC)


class ServerClock:
    """A server's time, without a query for each reading."""

    def __init__(self, ask: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`ask` returns the server's present time, or raises StoreError."""
        self._ask = ask
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: tuple[float, datetime] | None = None

    def __call__(self) -> datetime:
        """Return the time, aware. Raises StoreError if the server has never answered."""
        with self._lock:
            at = self._monotonic()
            if self._known is None or at - self._known[0] >= ASK_EVERY:
                self._known = self._server_time(at)
            since, then = self._known
            return then + timedelta(seconds=self._monotonic() - since)

    def _server_time(self, at: float) -> tuple[float, datetime]:
        try:
            server_time = self._ask()
        except StoreError:
            if self._known is None:
                raise
            return self._known  # the last known time remains valid
        # The answer is from between the query and now; the error is at most half of that time.
        return (at + self._monotonic()) / 2, server_time
