"""Serve the last computed value of a slow query while a newer one is computed."""

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

AT_ONCE = 0.5  # seconds: a faster computation runs at each call
PART = 0.05  # share of the time that a slower computation may run


@dataclass(frozen=True, slots=True)
class CachedValue(Generic[T]):
    """A cached value and its age in seconds."""

    value: T
    age: float


@dataclass(frozen=True, slots=True)
class _Last(Generic[T]):
    value: T
    begun: float
    took: float


class RefreshingValue(Generic[T]):
    """The last value of a slow computation, refreshed on a thread for PART of the time at most.

    A fast value is not cached: it is computed at each call. Safe for several threads.
    """

    def __init__(
        self,
        compute: Callable[[], T],
        monotonic: Callable[[], float] = time.monotonic,
        start: Callable[[Callable[[], None]], object] = lambda run: threading.Thread(
            target=run, daemon=True
        ).start(),
    ) -> None:
        """`monotonic` returns seconds; `start` runs a function in the background."""
        self._compute = compute
        self._monotonic = monotonic
        self._start = start
        self._lock = threading.Lock()
        self._first = threading.Lock()
        self._last: _Last[T] | None = None
        self._running = False

    def __call__(self) -> CachedValue[T]:
        """Return the value. Raises what `compute` raises, unless an older value is served."""
        last = self._last
        if last is None:
            with self._first:  # one thread computes, the others wait for it
                last = self._last or self._renew()
        elif last.took <= AT_ONCE:
            last = self._renew()
        elif self._is_due(last):
            self._start(self._renew_beside)
        return CachedValue(last.value, max(0.0, self._monotonic() - last.begun - last.took))

    def _is_due(self, last: _Last[T]) -> bool:
        """Whether this caller has to start the refresh."""
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
