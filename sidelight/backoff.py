"""Waits before another try: doubling, capped, and partly random so that callers spread."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_DOUBLED = 16


def doubled(first: float, attempt: int, longest: float) -> float:
    """Seconds: `first` for attempt 0, twice that for the next, at most `longest`."""
    return min(longest, first * 2.0 ** min(attempt, MOST_DOUBLED))


def delay(
    first: float,
    attempt: int,
    longest: float,
    *,
    fixed: float = 0.0,
    jitter: Callable[[], float] = random.random,
) -> float:
    """Seconds to wait: that, of which a part is random.

    `fixed` is the part from 0 to 1 that is not; `jitter()` is from 0 to 1.
    """
    return doubled(first, attempt, longest) * (fixed + (1 - fixed) * jitter())
