"""When networks are evaluated: every 12 hours, after a first discovery, and after a change."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from dispatcher.discovery.configured import effective
from sidelight.errors import BrokerError
from sidelight.model import AccountStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from dispatcher.discovery.accounts import AccountRegion
    from sidelight.fleet.settings import Settings
    from sidelight.store import Store

log = logging.getLogger(__name__)

# Seconds until an evaluation after a change: a deployment changes many rules in a burst.
SETTLE_SECONDS = 15.0
BETWEEN_LOOKS = 0.5  # seconds
MOST_SHOWN = 5  # ids of changed objects in a log line


class NetworkScheduler:
    """Sends the messages of due evaluations. `ask(account, region)` messages one worker."""

    def __init__(self, store: Store, settings: Settings, ask: Callable[[str, str], None]) -> None:
        self._store = store
        self._ask = ask
        self.enabled = settings.networks.interval > 0

    def keep(self, account_regions: Iterable[AccountRegion]) -> None:
        """Evaluate these account-regions from now on, and no disabled account any more."""
        if not self.enabled:
            return
        named = {
            (account_region.account, account_region.region) for account_region in account_regions
        }
        known = self._store.network_evaluations.times()
        accounts = {account for account, _ in (*named, *known)}
        rules = effective(self._store, accounts)
        disabled = {
            account for account in accounts if rules[account].status is not AccountStatus.ENABLED
        }
        self._store.network_evaluations.remove(disabled)
        self._store.network_evaluations.keep([p for p in named if p[0] not in disabled])

    def request(self, account_regions: Iterable[AccountRegion]) -> int:
        """Make these account-regions due now; return how many are evaluated at all."""
        if not self.enabled:
            return 0
        named = [
            (account_region.account, account_region.region) for account_region in account_regions
        ]
        return self._store.network_evaluations.request(named)

    def tick(self) -> int:
        """Send the messages that are due; return how many. An unreachable broker loses nothing."""
        if not self.enabled:
            return 0
        sent = []
        try:
            for account, region in self._store.network_evaluations.due():
                self._ask(account, region)
                sent.append((account, region))
        except BrokerError as error:
            log.warning("%s", error)
        self._store.network_evaluations.published(sent)
        return len(sent)

    def wait(
        self,
        account_regions: Iterable[AccountRegion],
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Iterator[int]:
        """Yield the number of due evaluations of these account-regions until there are none.

        One that failed is due again later: it is not waited for.
        """
        named = {
            (account_region.account, account_region.region) for account_region in account_regions
        }
        accounts = {account for account, _ in named}
        while self.enabled:
            self.tick()
            now = self._store.clock()
            times = self._store.network_evaluations.times(accounts)
            pending = sum(
                account_region in times and times[account_region].due_at <= now
                for account_region in named
            )
            if not pending:
                return
            yield pending
            sleep(BETWEEN_LOOKS)


def network_changed(store: Store, account: str, region: str, ids: Collection[str] = ()) -> bool:
    """Evaluate an account-region's network soon, because objects of these ids changed.

    For the receiver of change events: the VPCs of the `ids`, and those that they are joined with,
    are evaluated; without ids, or with one that is not there, the whole network. Changes of a burst
    are one evaluation, SETTLE_SECONDS after the first. False where the account-region is not
    evaluated at all. Raises StoreError.
    """
    evaluations = store.network_evaluations
    is_known = evaluations.request([(account, region)], SETTLE_SECONDS, ids) > 0
    if is_known:
        shown = ", ".join(sorted(ids)[:MOST_SHOWN])
        log.info("%s/%s: network changed: %s", account, region, shown)
    return is_known
