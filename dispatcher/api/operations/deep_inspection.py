"""Deep inspection of an account, of an organization, and of its members."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dispatcher.api.errors import AccessRefusedError
from dispatcher.api.operations.callers import (
    actor,
    administered,
    bad_request,
    effective_of,
    only,
    own_or_given,
)
from dispatcher.api.operations.request_values import flag, structures, text, texts
from dispatcher.planning.configuration_rules import ConfigurationChange
from sidelight.errors import UsageError

if TYPE_CHECKING:
    from dispatcher.api.call import ApiRequest, ApiResponse, Call
    from sidelight.model import EffectiveConfiguration

ACTIVATED, DEACTIVATED = "ACTIVATED", "DEACTIVATED"


def get_deep_inspection(call: Call, request: ApiRequest) -> ApiResponse:
    """GetEc2DeepInspectionConfiguration."""
    del request
    held = effective_of(call, call.account_id)
    own = call.services.store.configurations.account(call.account_id)
    paths = list(own.package_paths) if own else []
    others = [path for path in held.package_paths if path not in paths]
    return {"packagePaths": paths, "orgPackagePaths": others, "status": _status(held)}


def update_deep_inspection(call: Call, request: ApiRequest) -> ApiResponse:
    """UpdateEc2DeepInspectionConfiguration: a member cannot switch it off."""
    active = flag(request, "activateDeepInspection")
    if active is False and _is_member(call):
        raise AccessRefusedError(
            f"member account {call.account_id} is not authorized to deactivate deep inspection"
        )
    paths = tuple(texts(request, "packagePaths")) if "packagePaths" in request else None
    change = ConfigurationChange(deep_inspection=active, package_paths=paths)
    # Paths in addition to the organization's are an account's own affair.
    try:
        only(call.services.configuration.configure([call.account_id], change, actor=actor(call)))
    except UsageError as error:
        raise bad_request(error) from error
    return get_deep_inspection(call, {})


def _is_member(call: Call) -> bool:
    if call.principal.accounts is None:
        return False
    configurations = call.services.store.configurations
    own = configurations.account(call.account_id)
    return own is not None and any(
        own.organization == row.id and row.administrator != call.account_id
        for row in configurations.organizations()
    )


def update_organization_deep_inspection(call: Call, request: ApiRequest) -> ApiResponse:
    """UpdateOrgEc2DeepInspectionConfiguration."""
    paths = tuple(texts(request, "orgPackagePaths"))
    organization = administered(call)
    try:
        call.services.configuration.configure_organization(organization.id, package_paths=paths)
    except UsageError as error:
        raise bad_request(error) from error
    return {}


def batch_get_members_deep_inspection(call: Call, request: ApiRequest) -> ApiResponse:
    """BatchGetMemberEc2DeepInspectionStatus."""
    administered(call)
    visible = call.visible_accounts()
    wanted = own_or_given(call, texts(request, "accountIds"))
    known = [account for account in wanted if visible is None or account in visible]
    held = call.services.configuration.effective(known)
    return {
        "accountIds": [{"accountId": one.account, "status": _status(one)} for one in held],
        "failedAccountIds": [
            {"accountId": account, "errorMessage": "is not a member of the organization"}
            for account in wanted
            if account not in known
        ],
    }


def batch_update_members_deep_inspection(call: Call, request: ApiRequest) -> ApiResponse:
    """BatchUpdateMemberEc2DeepInspectionStatus."""
    administered(call)
    done: list[dict[str, object]] = []
    failed: list[dict[str, object]] = []
    for item in structures(request, "accountIds"):
        change = ConfigurationChange(deep_inspection=flag(item, "activateDeepInspection"))
        account = text(item, "accountId")
        result = call.services.configuration.configure([account], change, actor=actor(call))
        done += [{"accountId": one.account, "status": _status(one)} for one in result.accounts]
        failed += [{"accountId": f.account, "errorMessage": f.message} for f in result.failed]
    return {"accountIds": done, "failedAccountIds": failed}


def _status(held: EffectiveConfiguration) -> str:
    return ACTIVATED if held.deep_inspection else DEACTIVATED


HANDLERS = {
    "GetEc2DeepInspectionConfiguration": get_deep_inspection,
    "UpdateEc2DeepInspectionConfiguration": update_deep_inspection,
    "UpdateOrgEc2DeepInspectionConfiguration": update_organization_deep_inspection,
    "BatchGetMemberEc2DeepInspectionStatus": batch_get_members_deep_inspection,
    "BatchUpdateMemberEc2DeepInspectionStatus": batch_update_members_deep_inspection,
}
