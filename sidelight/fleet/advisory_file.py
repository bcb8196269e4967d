"""The advisory database as the store registers it, reopened when a newer file replaces it."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from sidelight.advisories import ecosystems
from sidelight.advisories.database.reader import AdvisoryDatabase
from sidelight.inventory.ssm.known_sources import of_lists
from sidelight.matching import Matcher, discontinued, unmatched_ecosystems

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from sidelight.fleet.settings import Settings
    from sidelight.inventory.ssm.known_sources import KnownSources
    from sidelight.matching import Unmatched
    from sidelight.model import Finding, Inventory, OperatingSystem


_RELEASES = 16  # releases whose lists of binaries are kept in memory
# Names of findings about updates of Windows (advisories/judge/windows_updates.py).
_UPDATES = ("KB", "Windows-")


class Opened:
    """One open database with a cache of digests: `evaluation.AdvisoryMatcher`."""

    def __init__(self, database: AdvisoryDatabase) -> None:
        self.database = database
        self.sha256 = database.sha256
        self.newest = database.info().newest
        self.package_digest = database.package_digest
        # Findings of many packages share a vulnerability.
        self._vulnerability_digest = lru_cache(1 << 16)(database.vulnerability_digest)
        self.ecosystems = frozenset(database.ecosystems)
        self._matcher = Matcher(database)
        self._sources = lru_cache(_RELEASES)(self._listed_sources)

    def match(self, inventory: Inventory) -> Sequence[Finding]:
        """Return its findings; the store adds those of discontinued operating systems."""
        return self._matcher.match(inventory)

    def vulnerability_digest(self, vulnerability: str) -> str:
        """Return a digest of a vulnerability's facts.

        An update of Windows has many vulnerabilities: any other database may change its facts.
        """
        if vulnerability.startswith(_UPDATES):
            return self.sha256
        return self._vulnerability_digest(vulnerability)

    def known_sources(self, os: OperatingSystem) -> KnownSources | None:
        """Return the sources of a release's binaries by its feeds. Raises DatabaseError."""
        return self._sources(ecosystems.of_machine(os))

    def _listed_sources(self, ecosystem: str) -> KnownSources | None:
        lists = self.database.binary_sources(ecosystem)
        if lists is None:
            return None
        certain = lists.certain()
        return of_lists(certain, lists.sources.keys() - certain.keys())

    def unmatched(self, inventory: Inventory) -> Sequence[Unmatched]:
        """Return the packages that the database does not cover."""
        return unmatched_ecosystems(inventory, self.database)

    def discontinued(self, os: OperatingSystem, today: date) -> Sequence[Finding]:
        """Return the finding of a system that gets no updates any more on that day, if any."""
        return discontinued(os, today, self.database)


class Unregistered:
    """A function instead of a database: without digests, so every inventory is matched again."""

    sha256 = ""
    newest = ""
    ecosystems: frozenset[str] = frozenset()

    def __init__(self, match: Callable[[Inventory], Sequence[Finding]]) -> None:
        self.match = match

    def discontinued(self, os: OperatingSystem, today: date) -> Sequence[Finding]:
        """Return no findings: a function knows no support dates."""
        del os, today
        return ()

    def unmatched(self, inventory: Inventory) -> Sequence[Unmatched]:
        """Return no packages: a function names no ecosystems."""
        del inventory
        return ()

    def known_sources(self, os: OperatingSystem) -> None:
        """Return no sources: a function has no feeds."""
        del os

    def package_digest(self, ecosystem: str, name: str) -> str:
        """Return the empty digest."""
        del ecosystem, name
        return ""

    def vulnerability_digest(self, vulnerability: str) -> str:
        """Return the empty digest."""
        del vulnerability
        return ""


class AdvisoryFile:
    """The advisory database; it opens the file again after the file was replaced."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._opened: Opened | None = None
        self._stamp: tuple[int, int] = (0, 0)

    def opened(self) -> Opened:
        """Return the current database. Raises UsageError, DatabaseError."""
        path = self._settings.findings.advisories_path
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
        except OSError:
            stamp = (0, 0)
        with self._lock:
            if self._opened is None or stamp != self._stamp:
                # Do not close the old database: another thread may be matching with it.
                self._opened, self._stamp = Opened(AdvisoryDatabase.open(path)), stamp
            return self._opened

    def match(self, inventory: Inventory) -> Sequence[Finding]:
        """Return findings by the current database. Raises UsageError, DatabaseError."""
        return self.opened().match(inventory)

    def unmatched(self, inventory: Inventory) -> Sequence[Unmatched]:
        """Return packages that the database does not cover. Raises UsageError, DatabaseError."""
        return self.opened().unmatched(inventory)
