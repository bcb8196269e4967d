"""What was discovered last in each account-region, for all threads of a dispatcher."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from dispatcher.planning.cadence import Timetable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

    from dispatcher.discovery.accounts import AccountRegion
    from dispatcher.discovery.discoverer import Discovery
    from sidelight.model import ManagedInstance


class LatestDiscoveries:
    """The newest discovery of each account-region, and its instances by their times of day."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # of an entry, by discovery and by later events
        self._newest: dict[AccountRegion, tuple[Discovery, Timetable]] = {}
        self._deciding: dict[AccountRegion, threading.Lock] = {}

    @contextmanager
    def deciding_on(self, account_region: AccountRegion) -> Iterator[None]:
        """Let one thread at a time decide on an account-region, by what was discovered last.

        Else a thread that began before a discovery would write its older coverage after it.
        """
        with self._lock:
            lock = self._deciding.setdefault(account_region, threading.Lock())
        with lock:
            yield

    def account_regions(self) -> list[AccountRegion]:
        """Return the account-regions that were discovered."""
        return list(self._newest)

    def get(self, account_region: AccountRegion) -> Discovery | None:
        """Return an account-region's newest discovery; None if there is none."""
        held = self._newest.get(account_region)
        return None if held is None else held[0]

    def candidates(self, account_region: AccountRegion, now: datetime) -> Discovery | None:
        """Return the discovery with the instances alone that may be due; None without any."""
        held = self._newest.get(account_region)
        found = held[1].candidates(now) if held else []
        return replace(held[0], instances=found) if held and found else None

    def put(self, account_region: AccountRegion, discovery: Discovery) -> None:
        """Keep a discovery."""
        with self._lock:
            self._newest[account_region] = (discovery, Timetable(discovery.instances))

    def put_agents(
        self,
        account_region: AccountRegion,
        managed: Mapping[str, ManagedInstance],
        known: Discovery,
    ) -> Discovery:
        """Keep what Systems Manager lists now; return the discovery with it.

        `known` is what the caller holds, for an account-region that was forgotten since.
        """
        with self._lock:
            discovery, timetable = self._newest.get(account_region) or (
                known,
                Timetable(known.instances),
            )
            discovery = replace(discovery, managed=managed)
            self._newest[account_region] = (discovery, timetable)
        return discovery

    def merge(
        self, account_region: AccountRegion, found: Discovery, ids: Collection[str]
    ) -> Discovery:
        """Keep some instances as they were found now; return `found` with the agents known."""
        with self._lock:
            known, _ = self._newest[account_region]
            found = replace(found, managed=known.managed)
            merged = _merged(known, found, ids)
            self._newest[account_region] = (merged, Timetable(merged.instances))
        return found

    def drop(self, account_region: AccountRegion) -> None:
        """Forget an account-region that cannot be discovered any more."""
        self._newest.pop(account_region, None)

    def keep_accounts(self, accounts: Collection[str]) -> None:
        """Forget what was discovered in other accounts than these."""
        self._newest = {
            account_region: held
            for account_region, held in self._newest.items()
            if account_region.account in accounts
        }

    def forget(self) -> None:
        """Forget all."""
        with self._lock:
            self._newest = {}


def _merged(known: Discovery, found: Discovery, ids: Collection[str]) -> Discovery:
    """Return a discovery in which these instances are as they were found now."""
    others = [instance for instance in known.instances if instance.id not in ids]
    return replace(
        known,
        instances=[*others, *found.instances],
        excluded_keys=known.excluded_keys | found.excluded_keys,
        unreadable_keys=known.unreadable_keys | found.unreadable_keys,
        unshareable_keys=known.unshareable_keys | found.unshareable_keys,
    )
