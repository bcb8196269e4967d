"""The advisory database as the store is told of it, and the newest file of it."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from sidelight.advisories.database import Database
from sidelight.matching import Matcher, discontinued, unmatched_ecosystems

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from sidelight.model import Finding, Inventory, OperatingSystem
    from workers.settings import Settings


class Opened:
    """One database, and what was found in it so far: `sidelight.store.Advisories`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.sha256 = database.sha256
        self.newest = database.info().newest
        self.package_digest = database.package_digest
        # Many packages' findings are of the same vulnerability.
        self.vulnerability_digest = lru_cache(1 << 16)(database.vulnerability_digest)
        self._matcher = Matcher(database)

    def match(self, inventory: Inventory) -> Sequence[Finding]:
        """Its findings; that a system has come to its end is the store's to say."""
        return self._matcher.match(inventory)

    def discontinued(self, os: OperatingSystem, today: date) -> Sequence[Finding]:
        """That a system gets no updates any more, if it is so on that day."""
        return discontinued(os, today, self.database)


class Unregistered:
    """A function in the place of a database: it has no digests, so that it is always asked."""

    sha256 = ""
    newest = ""

    def __init__(self, match: Callable[[Inventory], Sequence[Finding]]) -> None:
        self.match = match

    def discontinued(self, os: OperatingSystem, today: date) -> Sequence[Finding]:
        """Nothing."""
        del os, today
        return ()

    def package_digest(self, ecosystem: str, name: str) -> str:
        """None."""
        del ecosystem, name
        return ""

    def vulnerability_digest(self, vulnerability: str) -> str:
        """None."""
        del vulnerability
        return ""


class Advisories:
    """The advisory database; when its file is replaced by a newer one, that one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._opened: Opened | None = None
        self._stamp: tuple[int, int] = (0, 0)

    def opened(self) -> Opened:
        """The present one. Raises UsageError, DatabaseError."""
        path = self._settings.advisories_path
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
        except OSError:
            stamp = (0, 0)
        with self._lock:
            if self._opened is None or stamp != self._stamp:
                # The old one is not closed: another thread may be matching by it.
                self._opened, self._stamp = Opened(Database.open(path)), stamp
            return self._opened

    def match(self, inventory: Inventory) -> Sequence[Finding]:
        """Findings by the present database. Raises UsageError, DatabaseError."""
        return self.opened().match(inventory)

    def unmatched(self, inventory: Inventory) -> list[str]:
        """A sentence for each ecosystem of which the database can say nothing."""
        return [
            f"{item.packages} packages of {item.ecosystem}: {item.why}"
            for item in unmatched_ecosystems(inventory, self.opened().database)
        ]
