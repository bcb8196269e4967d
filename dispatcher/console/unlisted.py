"""What pages say of accounts and Regions that discovery could not list: nothing there is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dispatcher.services.unreached_accounts import counted_targets, unreached_accounts
from sidelight.store import measures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dispatcher.console.page import PageRequest
    from dispatcher.services.unreached_accounts import UnreachedAccount
    from sidelight.store import DiscoveryFailure

MOST: Final = 200  # that a page shows


@dataclass(frozen=True, slots=True)
class Unlisted:
    """The accounts and Regions of a scope that could not be listed: the first, and how many.

    `failure` is why the accounts of the whole fleet could not, None where they could.
    """

    items: Sequence[UnreachedAccount]
    count: int
    failure: DiscoveryFailure | None

    @property
    def more(self) -> int:
        """Those that are not among the items."""
        return self.count - len(self.items)


def unlisted(request: PageRequest) -> Unlisted:
    """Return what could not be listed in the scope."""
    found = unreached_accounts(request.store, request.scope.accounts, request.scope.region)
    return Unlisted(found[:MOST], len(found), request.store.unreached_targets.failure())


def unlisted_note(request: PageRequest) -> str:
    """Return a sentence, by the kept counts; empty where everything was listed."""
    kept = request.store.fleet_overview.sums(
        (measures.UNREACHED,), request.scope.accounts, region=request.scope.region
    )
    number = int(kept[measures.UNREACHED].total)
    if not number:
        return ""
    return f"{counted_targets(number)} could not be listed: their instances are not here."
