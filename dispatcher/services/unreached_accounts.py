"""Accounts and Regions that could not be listed, with what to do: for command line, API, console.

Nothing is known of their machines, so nothing there was scanned, whatever else looks well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dispatcher.planning.remedies import target_remedy

if TYPE_CHECKING:
    from collections.abc import Collection

    from sidelight.store import Store, UnreachedTarget


@dataclass(frozen=True, slots=True)
class UnreachedAccount:
    """An account, or one of its Regions, that could not be listed, and what to do about it."""

    target: UnreachedTarget
    remedy: str

    @property
    def what(self) -> str:
        """Return its name: the account, with the Region where it is one."""
        target = self.target
        return f"{target.account}/{target.region}" if target.region else target.account


def unreached_accounts(
    store: Store, accounts: Collection[str] | None = None, region: str = ""
) -> list[UnreachedAccount]:
    """Return those of these accounts, or of all, and of a Region, or of all. Raises StoreError."""
    return [
        UnreachedAccount(target, target_remedy(target.reason, target.scan_mode))
        for target in store.unreached_targets.all(accounts, region)
    ]


def unreached_by_account(
    store: Store, accounts: Collection[str] | None = None, region: str = ""
) -> dict[str, list[UnreachedAccount]]:
    """Return these by account: the whole account first, then its Regions. Raises StoreError."""
    found: dict[str, list[UnreachedAccount]] = {}
    for item in unreached_accounts(store, accounts, region):
        found.setdefault(item.target.account, []).append(item)
    return found


def counted_targets(count: int) -> str:
    """Return `1 account or Region` or `3 accounts or Regions`."""
    return "1 account or Region" if count == 1 else f"{count:,} accounts or Regions"
