"""ListUsageTotals, BatchGetFreeTrialInfo, ListAccountPermissions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from dispatcher.api.operations.callers import actor
from dispatcher.api.operations.request_values import page_of_items, text, texts
from dispatcher.planning.configuration_rules import refusal

if TYPE_CHECKING:
    from dispatcher.api.call import ApiRequest, ApiResponse, Call

MONTH: Final = timedelta(days=30)
USAGE_PAGE: Final = 500
PERMISSIONS_PAGE: Final = 1024


def list_usage_totals(call: Call, request: ApiRequest) -> ApiResponse:
    """ListUsageTotals: the cost of reading snapshots in 30 days, by account.

    `total` is the hours that reading took, `estimatedMonthlyCost` the dollars that AWS charges.
    """
    wanted, visible = texts(request, "accountIds"), call.visible_accounts()
    sums = call.services.store.costs.sums(by=("account",), since=call.now - MONTH)
    items: list[tuple[str, object]] = [
        (
            row.account,
            {
                "accountId": row.account,
                "usage": [
                    {
                        "type": "EC2_AGENTLESS_INSTANCE_HOURS",
                        "total": row.seconds / 3600,
                        "estimatedMonthlyCost": row.usd,
                        "currency": "USD",
                        "cloudProvider": "AWS",
                    }
                ],
            },
        )
        for row in sums
        if (visible is None or row.account in visible) and (not wanted or row.account in wanted)
    ]
    page, more = page_of_items(call, request, items, USAGE_PAGE)
    return {"totals": page, **more}


def batch_get_free_trial_info(call: Call, request: ApiRequest) -> ApiResponse:
    """BatchGetFreeTrialInfo: Sidelight has no trials, so every list is empty."""
    visible = call.visible_accounts()
    accounts = list(dict.fromkeys(texts(request, "accountIds")))
    known = [account for account in accounts if visible is None or account in visible]
    return {
        "accounts": [{"accountId": account, "freeTrialInfo": []} for account in known],
        "failedAccounts": [
            {
                "accountId": account,
                "code": "ACCESS_DENIED",
                "message": "the account is not visible to the caller",
            }
            for account in accounts
            if account not in known
        ],
    }


def list_account_permissions(call: Call, request: ApiRequest) -> ApiResponse:
    """ListAccountPermissions: the permissions of the caller's account for EC2."""
    account, who = call.account_id, actor(call)
    configurations = call.services.store.configurations
    own = configurations.account(account)
    organization = configurations.organization(own.organization) if own else None
    operations = [
        name
        for name, disables in (("ENABLE_SCANNING", False), ("DISABLE_SCANNING", True))
        if not refusal(who, account, own, organization, disables=disables)
    ]
    if text(request, "service", "EC2") != "EC2":
        operations = []
    items: list[tuple[str, object]] = [
        (name, {"service": "EC2", "operation": name}) for name in operations
    ]
    page, more = page_of_items(call, request, items, PERMISSIONS_PAGE)
    return {"permissions": page, **more}


HANDLERS = {
    "ListUsageTotals": list_usage_totals,
    "BatchGetFreeTrialInfo": batch_get_free_trial_info,
    "ListAccountPermissions": list_account_permissions,
}
