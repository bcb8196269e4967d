"""Re-evaluation: notice a new advisory database, and ask workers to match with it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sidelight.errors import BrokerError, SidelightError
from sidelight.fleet.advisory_file import AdvisoryFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.fleet.advisory_file import Opened
    from sidelight.fleet.settings import Settings
    from sidelight.store import Store

log = logging.getLogger(__name__)

# Instances per re-evaluation worker, and the most workers per region.
OF_ONE_WORKER, MOST_ASKED = 2000, 8


class Reevaluator:
    """Re-evaluates findings with a new advisory database. `ask(region)` messages one worker."""

    def __init__(self, store: Store, settings: Settings, ask: Callable[[str], None]) -> None:
        self._store = store
        self._settings = settings
        self._ask = ask
        self._advisories = AdvisoryFile(settings)
        self._noticed: Opened | None = None
        self._refused = ""

    def notice(self) -> bool:
        """Whether the advisory database changed since the last call, and is the newest.

        Also False where the settings name no database: then the workers check when asked.
        """
        if not self._settings.findings.has_advisories:
            return False
        try:
            opened = self._advisories.opened()
        except SidelightError as error:
            if str(error) != self._refused:
                log.warning("advisories: %s", error)
            self._refused = str(error)
            return False
        if opened is self._noticed:
            return False
        newest = self._store.reevaluation.notice(opened)
        if not newest:
            log.warning(
                "%s is older than what the findings are by",
                self._settings.findings.advisories_place,
            )
        self._noticed, self._refused = opened, ""
        return newest

    def ask(self, *, everywhere: bool = False) -> None:
        """Ask workers to continue a pending re-evaluation, in each region that has one.

        One message asks one worker; several workers share a large number of instances.
        `everywhere`: ask one worker of every region to check for a new database.
        """
        for region, count in self._store.reevaluation.regions(pending=not everywhere).items():
            helpers = 1 if everywhere else min(1 + count // OF_ONE_WORKER, MOST_ASKED)
            try:
                for _ in range(helpers):
                    self._ask(region)
            except BrokerError as error:
                log.warning("%s", error)
                return
