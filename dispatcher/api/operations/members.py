"""The members of an organization, for its delegated administrator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatcher.api.errors import (
    AccessRefusedError,
    ResourceNotFoundError,
    ServiceQuotaExceededError,
    ValidationError,
)
from dispatcher.api.operations.callers import administered, bad_request
from dispatcher.api.operations.request_values import flag, page_of_items, text
from dispatcher.services.configuration import MOST_MEMBERS
from sidelight.errors import UsageError

if TYPE_CHECKING:
    from dispatcher.api.call import ApiRequest, ApiResponse, Call
    from sidelight.model import AccountConfiguration, OrganizationConfiguration

PAGE: Final = 50


def associate_member(call: Call, request: ApiRequest) -> ApiResponse:
    """AssociateMember: an account of the organization, or any for a principal of the fleet.

    An administrator would see the account's findings, so it cannot choose any account.
    """
    account = text(request, "accountId")
    organization = administered(call)
    own = call.services.store.configurations.account(account)
    is_known = own is not None and organization.id in (own.organization, own.left_organization)
    scope = call.principal.accounts
    if scope is not None and not is_known and account not in scope:
        raise AccessRefusedError(f"account {account} is not in the organization")
    if own is not None and own.organization not in ("", organization.id):
        raise ValidationError(f"account {account} is a member of another organization")
    service = call.services.configuration
    members = service.members(organization.id)
    if account not in members and len(members) >= MOST_MEMBERS:
        raise ServiceQuotaExceededError(
            f"an administrator has at most {MOST_MEMBERS} members", resource_id=account
        )
    try:
        service.associate(organization, account)
    except UsageError as error:
        raise bad_request(error) from error
    return {"accountId": account}


def disassociate_member(call: Call, request: ApiRequest) -> ApiResponse:
    """DisassociateMember: it keeps what was set for it, and is no longer visible."""
    account = text(request, "accountId")
    organization = administered(call)
    if account == organization.administrator:
        raise ValidationError("the delegated administrator is not its own member")
    if not call.services.configuration.disassociate(organization, account):
        # Terraform's provider knows by these words that there is nothing to do.
        raise ValidationError(
            f"account {account} cannot be disassociated from account {organization.administrator},"
            " since it is not yet associated to it"
        )
    return {"accountId": account}


def get_member(call: Call, request: ApiRequest) -> ApiResponse:
    """GetMember."""
    account = text(request, "accountId")
    try:
        organization = administered(call)
    except AccessRefusedError as error:
        # Terraform's provider knows by these words that the association is gone.
        raise AccessRefusedError(
            f"Invoking account does not have access to get member account: {error.what}"
        ) from error
    own = call.services.store.configurations.account(account)
    if own is None or organization.id not in (own.organization, own.left_organization):
        raise ResourceNotFoundError(f"account {account} is not a member")
    return {"member": _member(own, organization)}


def list_members(call: Call, request: ApiRequest) -> ApiResponse:
    """ListMembers: with `onlyAssociated` false also those that were disassociated."""
    organization = administered(call)
    everyone = flag(request, "onlyAssociated") is False
    items: list[tuple[str, object]] = [
        (row.account, _member(row, organization))
        for row in call.services.store.configurations.accounts()
        if row.account != organization.administrator
        and (
            row.organization == organization.id
            or (everyone and row.left_organization == organization.id)
        )
    ]
    page, more = page_of_items(call, request, items, PAGE)
    return {"members": page, **more}


def _member(
    own: AccountConfiguration, organization: OrganizationConfiguration
) -> dict[str, object]:
    # Of the association: whether the account is scanned is BatchGetAccountStatus's.
    return {
        "accountId": own.account,
        "delegatedAdminAccountId": organization.administrator,
        "relationshipStatus": "ENABLED" if own.organization == organization.id else "REMOVED",
        "updatedAt": own.updated_at,
    }


HANDLERS = {
    "AssociateMember": associate_member,
    "DisassociateMember": disassociate_member,
    "GetMember": get_member,
    "ListMembers": list_members,
}
