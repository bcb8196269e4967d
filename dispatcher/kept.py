"""What takes long to tell, told as it last was."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from sidelight.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

T = TypeVar("T")

AT_ONCE = 0.5  # seconds: what takes no longer is computed for whoever asks
PART = 0.05  # of the time that the rest may take


@dataclass(frozen=True, slots=True)
class Told(Generic[T]):
    """A value, and how many seconds ago it was true."""

    value: T
    age: float


@dataclass(frozen=True, slots=True)
class _Last(Generic[T]):
    value: T
    begun: float
    took: float


class Kept(Generic[T]):
    """The last value of what takes long, made anew beside whoever asks, for a PART of the time.

    What is fast is not kept at all: it is computed at each call. Safe for several threads.
    """

    def __init__(
        self,
        compute: Callable[[], T],
        monotonic: Callable[[], float] = time.monotonic,
        start: Callable[[Callable[[], None]], object] = lambda run: threading.Thread(
            target=run, daemon=True
        ).start(),
    ) -> None:
        """`monotonic` tells seconds; `start` lets a function run on its own."""
        self._compute = compute
        self._monotonic = monotonic
        self._start = start
        self._lock = threading.Lock()
        self._first = threading.Lock()
        self._last: _Last[T] | None = None
        self._running = False

    def __call__(self) -> Told[T]:
        """The value. Raises what computing it raises, but not where an older one is at hand."""
        last = self._last
        if last is None:
            with self._first:  # one computes, the others wait for it
                last = self._last or self._renew()
        elif last.took <= AT_ONCE:
            last = self._renew()
        elif self._is_due(last):
            self._start(self._renew_beside)
        return Told(last.value, max(0.0, self._monotonic() - last.begun - last.took))

    def _is_due(self, last: _Last[T]) -> bool:
        """Whether this caller is the one to start it."""
        with self._lock:
            if self._running or self._monotonic() - last.begun < last.took / PART:
                return False
            self._running = True
            return True

    def _renew(self) -> _Last[T]:
        begun = self._monotonic()
        value = self._compute()
        self._last = _Last(value, begun, self._monotonic() - begun)
        return self._last

    def _renew_beside(self) -> None:
        try:
            self._renew()
        except StoreError as error:
            log.warning("what is kept grows old: %s", error)
        finally:
            self._running = False
