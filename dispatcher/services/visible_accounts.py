"""Whose data a principal may see: API and console ask the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidelight.model import Principal
    from sidelight.store import Store


def members(store: Store, account: str) -> frozenset[str]:
    """Return the members that an account administers; empty if it administers none."""
    configurations = store.configurations
    own = {
        organization.id
        for organization in configurations.organizations()
        if organization.administrator == account
    }
    if not own:
        return frozenset()
    return frozenset(row.account for row in configurations.accounts() if row.organization in own)


def visible_accounts(store: Store, principal: Principal) -> frozenset[str] | None:
    """Return the accounts whose data a principal may see; None is every account.

    These are its own, those of its scope, and the members that its account administers.
    """
    if principal.accounts is None:
        return None
    return principal.accounts | members(store, principal.account_id) | {principal.account_id}
