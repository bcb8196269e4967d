"""The threads of a process write to a SQLite file in turn."""

from __future__ import annotations

import threading
from typing import Self


class TurnError(Exception):
    """Other threads of the process wrote for all of the time that this one may wait."""


class Turns:
    """A lock that no thread takes twice while another waits for it.

    A plain lock would let a thread that writes again and again take it again before a waiting one
    has woken up.
    """

    def __init__(self, seconds: float) -> None:
        """`seconds` is how long a thread waits."""
        self._seconds = seconds
        self._next = threading.Lock()
        self._writing = threading.Lock()

    def __enter__(self) -> Self:
        """Wait for the turn. Raises TurnError."""
        if not self._next.acquire(timeout=self._seconds):
            raise TurnError("database is locked by other threads")
        try:
            # A thread that has just written waits for `next` until this one has its turn.
            if not self._writing.acquire(timeout=self._seconds):
                raise TurnError("database is locked by another thread")
        finally:
            self._next.release()
        return self

    def __exit__(self, *_: object) -> None:
        self._writing.release()
