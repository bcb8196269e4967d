"""The members of an organization, for its delegated administrator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatcher.api.errors import (
    AccessRefusedError,
    ApiError,
    ResourceNotFoundError,
    ServiceQuotaExceededError,
    ValidationError,
)
from dispatcher.api.operations.callers import administered, bad_request
from dispatcher.api.operations.request_values import flag, page_of_items, text
from dispatcher.services.configuration import RefusedError
from dispatcher.services.organization_members import DENIED, FULL, OrganizationMembers
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
    try:
        _members(call).associate(organization, account, call.principal)
    except RefusedError as error:
        raise _refusal(error) from error
    except UsageError as error:
        raise bad_request(error) from error
    return {"accountId": account}


def disassociate_member(call: Call, request: ApiRequest) -> ApiResponse:
    """DisassociateMember: it keeps what was set for it, and is no longer visible."""
    account = text(request, "accountId")
    organization = administered(call)
    try:
        _members(call).disassociate(organization, account)
    except RefusedError as error:
        raise _refusal(error) from error
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


def _members(call: Call) -> OrganizationMembers:
    return OrganizationMembers(call.services.store, call.services.configuration)


def _refusal(error: RefusedError) -> ApiError:
    """Return a refusal as one of Inspector's errors."""
    if error.code == DENIED:
        return AccessRefusedError(error.what)
    if error.code == FULL:
        return ServiceQuotaExceededError(error.what, resource_id=error.where)
    return ValidationError(error.what)


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
