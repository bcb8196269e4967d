"""The delegated administrator of an organization, and the defaults of accounts that join."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatcher.api.errors import (
    AccessRefusedError,
    ConflictError,
    ResourceNotFoundError,
    ValidationError,
)
from dispatcher.api.operations.callers import (
    administered,
    new_organization_id,
    own_organization,
)
from dispatcher.api.operations.request_values import (
    flag,
    invalid,
    once,
    page_of_items,
    structure,
    text,
)
from dispatcher.services.configuration import MOST_MEMBERS

if TYPE_CHECKING:
    from dispatcher.api.call import ApiRequest, ApiResponse, Call

PAGE: Final = 5
OTHERS: Final = ("ecr", "lambda", "lambdaCode", "codeRepository", "ami")


def enable_delegated_administrator(call: Call, request: ApiRequest) -> ApiResponse:
    """EnableDelegatedAdminAccount: by the operator, as by the management account at AWS."""
    return once(call, "EnableDelegatedAdminAccount", request, lambda: _enable(call, request))


def _enable(call: Call, request: ApiRequest) -> ApiResponse:
    account = text(request, "delegatedAdminAccountId")
    _check_operator(call)
    organizations = call.services.store.configurations.organizations()
    for organization in organizations:
        # Terraform's provider goes on after the words "already enabled", with its own account.
        state = "already enabled" if organization.administrator == account else "enabled instead"
        raise ConflictError(
            f"account {organization.administrator} is {state} as the delegated administrator",
            resource_id=organization.administrator,
            resource_type="AWS::Inspector2::DelegatedAdminAccount",
        )
    call.services.configuration.configure_organization(
        new_organization_id(call), administrator=account
    )
    call.services.store.suppression_rules.reconsider()
    return {"delegatedAdminAccountId": account}


def disable_delegated_administrator(call: Call, request: ApiRequest) -> ApiResponse:
    """DisableDelegatedAdminAccount: members keep what was set for them."""
    account = text(request, "delegatedAdminAccountId")
    _check_operator(call)
    for organization in call.services.store.configurations.organizations():
        if organization.administrator == account:
            call.services.configuration.remove_organization(organization.id)
            call.services.store.suppression_rules.reconsider()
            return {"delegatedAdminAccountId": account}
    raise ResourceNotFoundError(f"account {account} is not a delegated administrator")


def _check_operator(call: Call) -> None:
    if call.principal.accounts is not None:
        raise AccessRefusedError(
            "only a principal of the whole fleet, as the organization's management account, may"
            " choose its delegated administrator"
        )


def get_delegated_administrator(call: Call, request: ApiRequest) -> ApiResponse:
    """GetDelegatedAdminAccount: of the caller's organization."""
    del request
    organization = own_organization(call)
    if organization is None:
        raise ResourceNotFoundError("there is no delegated administrator")
    return {
        "delegatedAdmin": {
            "accountId": organization.administrator,
            "relationshipStatus": "ENABLED",
        }
    }


def list_delegated_administrators(call: Call, request: ApiRequest) -> ApiResponse:
    """ListDelegatedAdminAccounts."""
    organizations = call.services.store.configurations.organizations()
    own = own_organization(call)
    items: list[tuple[str, object]] = [
        (row.administrator, {"accountId": row.administrator, "status": "ENABLED"})
        for row in organizations
        if call.principal.accounts is None or row == own
    ]
    page, more = page_of_items(call, request, items, PAGE)
    return {"delegatedAdminAccounts": page, **more}


def describe_organization(call: Call, request: ApiRequest) -> ApiResponse:
    """DescribeOrganizationConfiguration."""
    del request
    organization = own_organization(call)
    if organization is None and call.principal.accounts is not None:
        raise AccessRefusedError(f"account {call.account_id} is not in an organization")
    members = call.services.configuration.members(organization.id) if organization else []
    return {
        "autoEnable": _auto_enable(ec2=organization is not None and organization.auto_enable),
        "maxAccountLimitReached": len(members) >= MOST_MEMBERS,
    }


def update_organization(call: Call, request: ApiRequest) -> ApiResponse:
    """UpdateOrganizationConfiguration: what is written is read back."""
    wanted = structure(request, "autoEnable")
    others = [name for name in OTHERS if flag(wanted, name)]
    if others:
        raise invalid(f"autoEnable.{others[0]}", "Sidelight scans EC2 only")
    if call.principal.accounts is None and own_organization(call) is None:
        raise ValidationError("enable a delegated administrator first")
    organization = administered(call)
    written = call.services.configuration.configure_organization(
        organization.id, auto_enable=flag(wanted, "ec2")
    )
    return {"autoEnable": _auto_enable(ec2=written.auto_enable)}


def _auto_enable(*, ec2: bool) -> dict[str, bool]:
    return {"ec2": ec2, **dict.fromkeys(OTHERS, False)}


HANDLERS = {
    "EnableDelegatedAdminAccount": enable_delegated_administrator,
    "DisableDelegatedAdminAccount": disable_delegated_administrator,
    "GetDelegatedAdminAccount": get_delegated_administrator,
    "ListDelegatedAdminAccounts": list_delegated_administrators,
    "DescribeOrganizationConfiguration": describe_organization,
    "UpdateOrganizationConfiguration": update_organization,
}
