"""Whether snapshots were left behind: what the sweeps found, and where none has looked lately."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidelight.store import measures

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sidelight.store import Store


@dataclass(frozen=True, slots=True)
class SweepProof:
    """Snapshots that are left, and foreign ones with our tags, as the last sweeps found them.

    `swept` of `known` account-regions were swept in the last 24 hours; an account whose Regions
    could not be listed is one of them. `oldest` is the time of the oldest of these sweeps, `newest`
    that of the newest of all.
    """

    left: int
    foreign: int
    swept: int
    known: int
    oldest: datetime | None
    newest: datetime | None

    @property
    def is_whole(self) -> bool:
        """Whether each known account-region was swept in the last 24 hours."""
        return 0 < self.known <= self.swept


def sweep_proof(
    store: Store, now: datetime, accounts: Collection[str] | None = None, region: str = ""
) -> SweepProof:
    """Return the sweeps of these accounts, or of all, and of a Region, or of all.

    Account-regions are those that were counted last, and those that were ever swept. Raises
    StoreError.
    """
    sweeps = [
        item
        for item in store.sweeps.all()
        if (accounts is None or item.account in accounts) and region in ("", item.region)
    ]
    fresh = [item for item in sweeps if now - item.swept_at < measures.FRESH]
    known = {(item.account, item.region) for item in sweeps}
    known |= store.fleet_overview.account_regions(accounts, region=region)
    return SweepProof(
        left=sum(item.remaining for item in sweeps),
        foreign=sum(item.foreign_snapshots for item in sweeps),
        swept=len(fresh),
        known=len(known),
        oldest=min((item.swept_at for item in fresh), default=None),
        newest=max((item.swept_at for item in sweeps), default=None),
    )
