"""The source packages of dpkg's binaries, by what the disks of the fleet's machines showed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from sidelight.inventory.ssm.known_sources import KnownSources, of_packages
from sidelight.inventory.ssm.platforms import system_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.inventory.ssm.platforms import Platform
    from sidelight.store import Store

LASTS: Final = 3600.0  # seconds for which a release's map is kept
_BY_DPKG: Final = frozenset(("debian", "ubuntu", "raspbian"))


class StoredSources:
    """Maps by release, from the store. Not safe for several threads."""

    def __init__(self, store: Store, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._monotonic = monotonic
        self._known: dict[tuple[str, str], tuple[float, KnownSources]] = {}

    def of(self, platform: Platform) -> KnownSources | None:
        """Return the sources for a platform; None for one without dpkg. Raises StoreError."""
        system = system_of(platform)
        if system.id not in _BY_DPKG:
            return None
        key = system.id, system.version_id
        until, known = self._known.get(key, (0.0, KnownSources()))
        if self._monotonic() >= until:
            known = of_packages(self._store.agent_inventories.packages_of_disks(*key))
            self._known[key] = self._monotonic() + LASTS, known
        return known
