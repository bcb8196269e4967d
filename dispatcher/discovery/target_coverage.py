"""Coverage of whole accounts and Regions: why one cannot be reached."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dispatcher.discovery.accounts import UnreachableTarget, all_of
from sidelight.model import ScanMode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dispatcher.discovery.accounts import AccountRegion
    from sidelight.model import Coverage
    from sidelight.store import Store


class TargetCoverage:
    """Writes the coverage of account-regions, and of known instances where it is theirs too."""

    def __init__(self, store: Store, *, agents: bool) -> None:
        """`agents`: the agent-based method runs in this deployment."""
        self._store = store
        self._agents = agents

    def cover(self, reached: Sequence[AccountRegion], closed: Sequence[UnreachableTarget]) -> None:
        """Record why each account or region is unreachable; clear it once it is reachable."""
        for account in sorted({account_region.account for account_region in reached}):
            regions = [
                account_region.region
                for account_region in reached
                if account_region.account == account
            ]
            # What the agent-based method lacks there is its own to clear.
            mode = ScanMode.AGENTLESS if self._agents else None
            self._store.instances.uncover(account, ["*", *map(all_of, regions)], mode)
        for target in closed:
            # A denial is a fact about every known instance; a passing failure changes none.
            rows = self._of_known(target) if target.denied else []
            self._store.instances.cover([target.coverage(), *rows])

    def cover_suspended(self, targets: Sequence[AccountRegion | UnreachableTarget]) -> None:
        """Write that nothing scans suspended accounts, for themselves and known instances."""
        for target in targets:
            if isinstance(target, UnreachableTarget) and target.suspended:
                self._store.instances.cover([target.coverage(), *self._of_known(target)])

    def _of_known(self, target: UnreachableTarget) -> list[Coverage]:
        """Return the target's coverage for each of its known instances."""
        known = self._store.instances.known(account=target.account, region=target.region)
        general = target.coverage()
        return [
            replace(general, region=row.instance.region, instance=row.instance.id,
                    name=row.instance.name)
            for row in known
        ]  # fmt: skip
