"""Keep the counts that overviews show: new events at each run, the rest as often as it may.

Counting millions of findings takes seconds of the database. Each kind of count runs for PART of the
time at most, so that a larger fleet is counted less often, and its counts say how old they are.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.store import Store

log = logging.getLogger(__name__)

PART: Final = 0.05  # share of the time that one kind of count may run
PLAN_EVERY: Final = 600.0  # seconds, at least, between two computations of the remediation plan


class FleetCounter:
    """Counts a fleet. Safe to interrupt at any point, and to run in two processes."""

    def __init__(self, store: Store, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`monotonic` returns seconds."""
        self._store = store
        self._monotonic = monotonic
        self._next: dict[str, float] = {}

    def run(self, stopped: Callable[[], bool] = lambda: False) -> bool:
        """Count what is due; return False where it was stopped before its end. Raises StoreError.

        Packages of older inventories are added to the index of package names in parts.
        """
        counts = self._store.fleet_counts
        while not stopped() and counts.add_events():
            pass
        while not stopped() and self._store.kept_counts.fold():
            pass
        while not stopped() and self._store.installed_packages.index():
            pass
        for name, every, count in (
            ("findings", 0.0, counts.recount),
            ("costs", 0.0, counts.recount_costs),
            ("plan", PLAN_EVERY, lambda: self._store.remediations.refresh(stopped)),
        ):
            if stopped():
                return False
            self._count(name, every, count)
        return True

    def _count(self, name: str, every: float, count: Callable[[], object]) -> None:
        begun = self._monotonic()
        if begun < self._next.get(name, begun):
            return
        count()
        took = self._monotonic() - begun
        self._next[name] = begun + max(every, took / PART)
        log.debug("counted %s in %.1f s", name, took)
