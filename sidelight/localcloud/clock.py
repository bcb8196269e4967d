"""The local cloud's own time, which tests move by hand."""

from __future__ import annotations

import threading
import time


class Clock:
    """Seconds since the epoch. `advance` moves it on, so that nothing need wait for an expiry."""

    def __init__(self) -> None:
        self._offset = 0.0
        self._lock = threading.Lock()

    def now(self) -> float:
        """The wall clock plus all advances."""
        return time.time() + self._offset

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`."""
        with self._lock:
            self._offset += seconds
