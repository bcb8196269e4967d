"""Sweep account-regions: delete our snapshots without a live scan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dispatcher.discovery.accounts import AccountRegion, UnreachableTarget, in_all
from dispatcher.sweep import Adoptable, Swept, adopt, adoptable, record, sweep
from sidelight.fleet.snapshot_ownership import Territory

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sidelight.aws.ec2 import Ec2
    from sidelight.store import Store


class Sweeper:
    """The sweep of one deployment. `ec2` returns the client of an account-region."""

    def __init__(self, store: Store, ec2: Callable[[AccountRegion], Ec2], deployment: str) -> None:
        self._store = store
        self._ec2 = ec2
        self._deployment = deployment

    def sweep(self, place: AccountRegion, *, dry_run: bool = False) -> Swept:
        """Delete orphans in one account-region, and count them. Raises CloudError, StoreError."""
        swept = sweep(self._store, self._ec2(place), self._territory(place), dry_run=dry_run)
        if not dry_run:
            record(self._store, place.account, place.region, swept)
        return swept

    def sweep_everywhere(
        self,
        places: Sequence[AccountRegion | UnreachableTarget],
        *,
        dry_run: bool = False,
        stopped: Callable[[], bool] = lambda: False,
    ) -> tuple[list[tuple[AccountRegion, Swept]], list[UnreachableTarget]]:
        """Sweep these account-regions; return (results, unreachable). Raises StoreError."""
        return in_all(places, lambda place: self.sweep(place, dry_run=dry_run), stopped)

    def adoptable_everywhere(
        self, places: Sequence[AccountRegion | UnreachableTarget]
    ) -> tuple[list[tuple[AccountRegion, list[Adoptable]]], list[UnreachableTarget]]:
        """Return adoptable snapshots of all these account-regions, and the unreachable targets."""

        def look(place: AccountRegion) -> list[Adoptable]:
            return adoptable(self._store, self._ec2(place), self._territory(place))

        return in_all(places, look)

    def adopt(self, place: AccountRegion, ids: Collection[str]) -> tuple[list[str], list[str]]:
        """Delete these snapshots, as `sweep.adopt`. Raises CloudError, StoreError."""
        return adopt(self._store, self._ec2(place), self._territory(place), ids)

    def _territory(self, place: AccountRegion) -> Territory:
        return Territory(place.account, place.region, self._deployment)
