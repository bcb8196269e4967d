"""The source packages of dpkg's binaries, by the disks of the fleet's machines, and by feeds."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidelight.inventory.ssm.known_sources import KnownSources, of_packages
from sidelight.inventory.ssm.platforms import system_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.fleet.evaluation import AdvisoryMatcher
    from sidelight.inventory.ssm.platforms import Platform
    from sidelight.store import Store

LASTS: Final = 3600.0  # seconds for which a release's map is kept
_BY_DPKG: Final = frozenset(("debian", "ubuntu", "raspbian"))


class StoredSources:
    """Maps by release, from the store. Safe for several threads: one loads a map for all."""

    def __init__(self, store: Store, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], tuple[float, KnownSources]] = {}

    def of(self, platform: Platform) -> KnownSources | None:
        """Return the sources for a platform; None for one without dpkg. Raises StoreError."""
        system = system_of(platform)
        if system.id not in _BY_DPKG:
            return None
        key = system.id, system.version_id
        with self._lock:
            until, known = self._known.get(key, (0.0, KnownSources()))
            if self._monotonic() >= until:
                known = of_packages(self._store.agent_inventories.packages_of_disks(*key))
                self._known[key] = self._monotonic() + LASTS, known
            return known


@dataclass(frozen=True, slots=True)
class ReleaseSources:
    """The sources of a release's binaries: by the fleet's disks, else by an advisory database.

    A `collector.SourceOrigins`.
    """

    stored: StoredSources
    advisories: AdvisoryMatcher

    def of(self, platform: Platform) -> KnownSources | None:
        """Return the sources for a platform; None for one without dpkg.

        Raises StoreError, DatabaseError.
        """
        by_disks = self.stored.of(platform)
        if by_disks is None:
            return None
        by_feeds = self.advisories.known_sources(system_of(platform))
        return by_disks if by_feeds is None else by_feeds.with_better(by_disks)
