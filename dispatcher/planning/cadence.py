"""Scan times: each instance is scanned every 24 hours, at its own time of day. PURE.

The time of day is derived from the account and the instance id. This spreads a fleet evenly over
the day, and every dispatcher computes the same time without communication. The time never drifts:
the next time is the last one plus 24 hours, however long a scan waited or took. A new instance is
scanned at once and then at its time of day, so its first interval is shorter.

A missed scan (no dispatcher ran, or another scan was running) is caught up at fixed delays after
the missed time. The delays double. At each delay a fleet's instances arrive as evenly as at their
own times. So after an outage of any length, the dispatcher starts at most N times the usual number
of scans, N being the number of delays, and fewer with every hour.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.model import Instance, Known

DAY = timedelta(hours=24)
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
# A dispatcher with longer ticks than this misses times, and catches up.
WINDOW = timedelta(minutes=2)
CATCH_UP = tuple(timedelta(hours=hours) for hours in (0, 1, 2, 4, 8, 16))
LEAST_APART = timedelta(hours=1)  # a first scan just before its instance's time is enough


def time_of_day(account: str, instance: str) -> timedelta:
    """Return the time since midnight UTC, below 24 hours; evenly spread over instances."""
    digest = hashlib.sha256(f"{account}/{instance}".encode()).digest()
    return DAY * (int.from_bytes(digest[:6], "big") / (1 << 48))


def last_time(now: datetime, of_day: timedelta) -> datetime:
    """Return the latest moment up to now at this time of day."""
    return now - (now - EPOCH - of_day) % DAY


def next_time(account: str, instance: str, now: datetime) -> datetime:
    """Return the instance's next time after now; a scan that is due earlier is a catch-up."""
    return last_time(now, time_of_day(account, instance)) + DAY


def is_due(known: Known, now: datetime) -> bool:
    """Whether a scan starts now: at the instance's time, or at a catch-up delay after it."""
    if known.tried_at is None:
        return True
    due = last_time(now, time_of_day(known.instance.account, known.instance.id))
    if known.tried_at >= due or now - known.tried_at < LEAST_APART:
        return False
    return any(distance <= now - due < distance + WINDOW for distance in CATCH_UP)


class Timetable:
    """The instances of an account-region, ordered by their times of day."""

    def __init__(self, instances: Iterable[Instance]) -> None:
        timed = [(time_of_day(i.account, i.id), i.id, i) for i in instances]
        timed.sort(key=lambda item: item[:2])
        self._times = [item[0] for item in timed]
        self._instances = [item[2] for item in timed]

    def candidates(self, now: datetime) -> list[Instance]:
        """Return the instances that may be due; the others need not be read from the store."""
        candidates_by_id: dict[str, Instance] = {}
        for distance in CATCH_UP:
            last = (now - EPOCH - distance) % DAY
            first = last - WINDOW
            spans = [(first, last)]
            if first < timedelta():
                spans = [(timedelta(), last), (first + DAY, DAY)]
            for begin, end in spans:
                here = slice(bisect_left(self._times, begin), bisect_right(self._times, end))
                candidates_by_id |= {instance.id: instance for instance in self._instances[here]}
        return list(candidates_by_id.values())
