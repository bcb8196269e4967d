"""Fixed times for periodic work: they neither drift nor depend on which process works. PURE.

The times are multiples of the interval, moved by an offset that the deployment's id gives: two
deployments do not ask AWS at the same moment. Work that ran late, or long, changes no later time.
Work whose time passed while it ran, or while no dispatcher did, runs once, not once for each time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Times at `offset` and every `interval` after it."""

    interval: timedelta
    offset: timedelta = timedelta()

    def latest(self, now: datetime) -> datetime:
        """Return the last of these times up to now."""
        return now - (now - _EPOCH - self.offset) % self.interval

    def is_due(self, begun: datetime | None, now: datetime) -> bool:
        """Whether the work of the latest time has not begun; `begun` is when it last began."""
        return begun is None or begun < self.latest(now)


def schedule_of(deployment: str, name: str, interval: timedelta) -> Schedule:
    """Return the schedule of a deployment's work of this name."""
    digest = hashlib.sha256(f"{deployment}/{name}".encode()).digest()
    return Schedule(interval, interval * (int.from_bytes(digest[:6], "big") / (1 << 48)))
