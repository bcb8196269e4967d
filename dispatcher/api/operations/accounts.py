"""Enable, Disable, BatchGetAccountStatus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatcher.api.errors import AccessRefusedError, ValidationError
from dispatcher.api.operations.callers import actor, bad_request, own_or_given
from dispatcher.api.operations.request_values import invalid, once, texts
from dispatcher.planning.configuration_rules import ConfigurationChange
from dispatcher.services.unreached_accounts import unreached_accounts
from sidelight.errors import UsageError
from sidelight.model import AccountStatus, ScanMode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dispatcher.api.call import ApiRequest, ApiResponse, Call
    from dispatcher.services.configuration import ConfiguredAccounts, FailedAccount
    from dispatcher.services.unreached_accounts import UnreachedAccount
    from sidelight.model import EffectiveConfiguration

EC2: Final = "EC2"
OTHER_RESOURCES: Final = ("ecr", "lambda", "lambdaCode", "codeRepository", "ami")
_STATUS: Final = {
    AccountStatus.ENABLED: "ENABLED",
    AccountStatus.PENDING_DISABLE: "DISABLING",
    AccountStatus.DISABLED: "DISABLED",
}
# The model requires a code and a text of every state, also where nothing is wrong.
_WORDS: Final = {
    "ENABLED": ("ALREADY_ENABLED", "scanning is enabled"),
    "DISABLING": ("DISABLE_IN_PROGRESS", "what was created is being removed"),
    "DISABLED": ("RESOURCE_NOT_FOUND", "scanning is disabled"),
}
_CODES: Final = {"ACCESS_DENIED": "ACCESS_DENIED", "REGION_NOT_ENABLED": "ACCESS_DENIED"}
_UNKNOWN: Final = "the account is not visible to the caller"


def enable(call: Call, request: ApiRequest) -> ApiResponse:
    """Enable: resource type EC2 alone. Repeated with its clientToken, it answers the same."""
    return once(call, "Enable", request, lambda: _enable(call, request))


def _enable(call: Call, request: ApiRequest) -> ApiResponse:
    types = texts(request, "resourceTypes")
    others = sorted(set(types) - {EC2})
    if others:
        raise invalid("resourceTypes", f"Sidelight scans EC2 only, and not {', '.join(others)}")
    accounts = own_or_given(call, texts(request, "accountIds"))
    if call.account_id in accounts and len(accounts) > 1 and call.members():
        raise ValidationError(
            "a request enables either the delegated administrator's account or its members"
        )
    try:
        result = call.services.configuration.enable(
            accounts, ConfigurationChange(), actor=actor(call)
        )
    except UsageError as error:
        raise bad_request(error) from error
    return _answer(result)


def disable(call: Call, request: ApiRequest) -> ApiResponse:
    """Disable: the dispatcher removes the created resources, then the account is disabled."""
    accounts = own_or_given(call, texts(request, "accountIds"))
    service = call.services.configuration
    types = texts(request, "resourceTypes")
    if types and EC2 not in types:
        visible = call.visible_accounts()
        shown = [account for account in accounts if visible is None or account in visible]
        return {"accounts": [_account(held) for held in service.effective(shown)],
                "failedAccounts": []}  # fmt: skip
    stay = service.administrators_with_members(accounts)
    try:
        result = service.begin_disable(
            [account for account in accounts if account not in stay], actor=actor(call)
        )
    except UsageError as error:
        raise bad_request(error) from error
    refused = [item for item in result.failed if item.account == call.account_id]
    if refused and len(accounts) == 1:
        raise AccessRefusedError(refused[0].message[:1].upper() + refused[0].message[1:])
    answer = dict(_answer(result))
    failed = [
        {
            "accountId": account,
            "errorCode": "DISASSOCIATE_ALL_MEMBERS",
            "errorMessage": "disassociate the members of the organization first",
        }
        for account in stay
    ]
    answer["failedAccounts"] = [*_failures(result.failed), *failed]
    return answer


def batch_get_account_status(call: Call, request: ApiRequest) -> ApiResponse:
    """BatchGetAccountStatus."""
    visible = call.visible_accounts()
    wanted = own_or_given(call, texts(request, "accountIds"))
    known = [account for account in wanted if visible is None or account in visible]
    unreached = {
        item.target.account: item
        for item in unreached_accounts(call.services.store, known)
        if item.target.scan_mode != ScanMode.AGENT_BASED
    }
    states = [
        _state(held, unreached.get(held.account))
        for held in call.services.configuration.effective(known)
    ]
    failed = [
        {"accountId": account, "errorCode": "ACCESS_DENIED", "errorMessage": _UNKNOWN}
        for account in wanted
        if account not in known
    ]
    return {"accounts": states, "failedAccounts": failed}


def _answer(result: ConfiguredAccounts) -> dict[str, object]:
    return {
        "accounts": [_account(held) for held in result.accounts],
        "failedAccounts": _failures(result.failed),
    }


def _failures(failed: Sequence[FailedAccount]) -> list[dict[str, object]]:
    return [
        {"accountId": item.account, "errorCode": item.code, "errorMessage": item.message}
        for item in failed
    ]


def status_of(held: EffectiveConfiguration) -> str:
    """Return an account's Status."""
    return _STATUS[held.status]


def _account(held: EffectiveConfiguration) -> dict[str, object]:
    status = status_of(held)
    others = dict.fromkeys(OTHER_RESOURCES, "DISABLED")
    return {
        "accountId": held.account,
        "status": status,
        "resourceStatus": {"ec2": status, **others},
    }


def _state(held: EffectiveConfiguration, unreached: UnreachedAccount | None) -> dict[str, object]:
    def state(status: str) -> dict[str, str]:
        code, message = _WORDS[status]
        if unreached is not None and status == "ENABLED":
            # Enabled, and yet nothing is scanned.
            code, message = _CODES.get(unreached.target.reason, "INTERNAL_ERROR"), _why(unreached)
        return {"status": status, "errorCode": code, "errorMessage": message}

    status = status_of(held)
    others = {name: state("DISABLED") for name in OTHER_RESOURCES}
    return {
        "accountId": held.account,
        "state": state(status),
        "resourceState": {"ec2": state(status), **others},
    }


def _why(unreached: UnreachedAccount) -> str:
    return f"{unreached.what} could not be listed: {unreached.target.detail}. {unreached.remedy}"


HANDLERS = {
    "Enable": enable,
    "Disable": disable,
    "BatchGetAccountStatus": batch_get_account_status,
}
