"""The configurations and the organization that a caller may change."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from dispatcher.api.errors import AccessRefusedError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dispatcher.api.call import Call
    from dispatcher.services.configuration import ConfiguredAccounts
    from sidelight.errors import UsageError
    from sidelight.model import EffectiveConfiguration, OrganizationConfiguration


def actor(call: Call) -> str:
    """Return the caller's account; empty for a principal of the whole fleet: the operator."""
    return "" if call.principal.accounts is None else call.account_id


def own_organization(call: Call) -> OrganizationConfiguration | None:
    """Return the organization that the caller's account administers or is a member of.

    A principal of the whole fleet has the only one that is configured.
    """
    configurations = call.services.store.configurations
    organizations = configurations.organizations()
    for organization in organizations:
        if organization.administrator == call.account_id:
            return organization
    own = configurations.account(call.account_id)
    for organization in organizations:
        if own is not None and own.organization == organization.id:
            return organization
    fleet_wide = call.principal.accounts is None
    return organizations[0] if fleet_wide and len(organizations) == 1 else None


def administered(call: Call) -> OrganizationConfiguration:
    """Return the organization that the caller may administer. Raises AccessRefusedError."""
    organization = own_organization(call)
    fleet_wide = call.principal.accounts is None
    if organization is None or (organization.administrator != call.account_id and not fleet_wide):
        raise AccessRefusedError(
            f"account {call.account_id} is not the delegated administrator of an organization"
        )
    return organization


def new_organization_id(call: Call) -> str:
    """Return an id for an organization that is configured by the API, the same each time."""
    digest = hashlib.sha256(call.account_id.encode()).hexdigest()
    return f"o-{digest[:10]}"


def bad_request(error: UsageError) -> ValidationError:
    """Return a user's mistake as the API's error."""
    return ValidationError(str(error))


def only(result: ConfiguredAccounts) -> EffectiveConfiguration:
    """Return the only account of a change. Raises AccessRefusedError if it was refused."""
    if result.failed:
        raise AccessRefusedError(result.failed[0].message)
    return result.accounts[0]


def effective_of(call: Call, account: str) -> EffectiveConfiguration:
    """Return the effective configuration of one account."""
    return call.services.configuration.effective([account])[0]


def own_or_given(call: Call, accounts: Sequence[str]) -> list[str]:
    """Return the accounts of a request, without duplicates; the caller's own where it has none."""
    return list(dict.fromkeys(accounts)) or [call.account_id]
