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

    def sweep(self, account_region: AccountRegion, *, dry_run: bool = False) -> Swept:
        """Delete orphans in one account-region, and count them. Raises CloudError, StoreError."""
        swept = sweep(
            self._store, self._ec2(account_region), self._territory(account_region), dry_run=dry_run
        )
        if not dry_run:
            record(self._store, account_region.account, account_region.region, swept)
        return swept

    def sweep_everywhere(
        self,
        account_regions: Sequence[AccountRegion | UnreachableTarget],
        *,
        dry_run: bool = False,
        stopped: Callable[[], bool] = lambda: False,
    ) -> tuple[list[tuple[AccountRegion, Swept]], list[UnreachableTarget]]:
        """Sweep these account-regions; return (results, unreachable). Raises StoreError."""
        return in_all(account_regions, lambda place: self.sweep(place, dry_run=dry_run), stopped)

    def adoptable_everywhere(
        self, account_regions: Sequence[AccountRegion | UnreachableTarget]
    ) -> tuple[list[tuple[AccountRegion, list[Adoptable]]], list[UnreachableTarget]]:
        """Return adoptable snapshots of all these account-regions, and the unreachable targets."""

        def look(account_region: AccountRegion) -> list[Adoptable]:
            return adoptable(
                self._store, self._ec2(account_region), self._territory(account_region)
            )

        return in_all(account_regions, look)

    def adopt(
        self, account_region: AccountRegion, ids: Collection[str]
    ) -> tuple[list[str], list[str]]:
        """Delete these snapshots, as `sweep.adopt`. Raises CloudError, StoreError."""
        return adopt(self._store, self._ec2(account_region), self._territory(account_region), ids)

    def _territory(self, account_region: AccountRegion) -> Territory:
        return Territory(account_region.account, account_region.region, self._deployment)
