"""Rate limits of principals: shared by all servers in Redis, else in this process alone."""

from __future__ import annotations

import hashlib
import logging
import math
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Protocol

from dispatcher.api.errors import ThrottlingError
from sidelight.fleet.rate_limit.limiter import FallingBack, rate_for
from sidelight.fleet.rate_limit.slots import SECOND, SLACK, is_few

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.fleet.rate_limit.slots import SharedRate
    from sidelight.fleet.settings import Settings

BUCKETS: Final = 10_000  # principals remembered; the longest unused is dropped, and was full


# Not below the prefix of AWS's rates, which /metrics lists. The braces keep a bucket and its flows
# in one slot of a Redis cluster.
KEY: Final = "sidelight:api:{{{principal}}}"


class PrincipalLimiter(Protocol):
    """Admits a principal's calls."""

    def admit(self, principal: str) -> None:
        """Count a call. Raises ThrottlingError, with the seconds until one is admitted."""


class SharedCallLimiter:
    """Admits `rate` calls a second of each principal on all servers, and `burst` at once.

    A call books a slot of the shared rate and does not wait for it: slots may be booked as far
    ahead as a burst reaches. Where Redis does not answer, each server counts its own calls.
    """

    def __init__(self, shared: SharedRate, rate: float, burst: int) -> None:
        self._shared = shared
        self._rate = rate
        spacing = (1 + is_few(rate) * SLACK / SECOND) / rate  # seconds between slots, as `slots`
        self._ahead = (burst - 0.5) * spacing  # half a call more, for rounding

    def admit(self, principal: str) -> None:
        """Book a slot. Raises ThrottlingError, with the seconds until there is one."""
        # A name may have any characters, a key of Redis's access rules may not.
        name = hashlib.sha256(principal.encode("utf-8", "surrogatepass")).hexdigest()
        slot = self._shared.book(KEY.format(principal=name), self._rate, "", self._ahead)
        if not slot.booked:
            wait = math.ceil(slot.wait - self._ahead)
            raise ThrottlingError("Rate exceeded", retry_after=max(1, wait))


def limiter_of(settings: Settings) -> PrincipalLimiter:
    """Return the limits of the settings: shared where there is a Redis for rate limits."""
    rate, burst = settings.api.calls_per_second, settings.api.burst
    shared = rate_for(settings, logging.INFO, share=1.0)
    if isinstance(shared, FallingBack):
        return SharedCallLimiter(shared, rate, burst)
    return CallLimiter(rate, burst)


class CallLimiter:
    """Admits `rate` calls a second of each principal, and `burst` at once. Safe for threads."""

    def __init__(
        self, rate: float, burst: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def admit(self, principal: str) -> None:
        """Take a token. Raises ThrottlingError, with the seconds until there is one."""
        now = self._monotonic()
        with self._lock:
            tokens, at = self._buckets.pop(principal, (self._burst, now))
            tokens = min(self._burst, tokens + (now - at) * self._rate)
            admitted = tokens >= 1
            self._buckets[principal] = (tokens - 1 if admitted else tokens, now)
            while len(self._buckets) > BUCKETS:
                self._buckets.popitem(last=False)
        if not admitted:
            wait = math.ceil((1 - tokens) / self._rate)
            raise ThrottlingError("Rate exceeded", retry_after=max(1, wait))
