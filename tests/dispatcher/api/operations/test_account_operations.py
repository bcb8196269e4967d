"""Accounts, configuration, deep inspection, organization and members, as Terraform uses them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dispatcher.api.errors import (
    AccessRefusedError,
    ConflictError,
    ResourceNotFoundError,
    ValidationError,
)
from sidelight.model import Cost, Coverage
from tests.fixtures.api_calls import ApiCaller

if TYPE_CHECKING:
    from sidelight.store import Store

MANAGER, ADMIN, MEMBER, OTHER = "999999999999", "111111111111", "222222222222", "333333333333"
AMI = {"scanModeConfiguration": {"scanMode": "TARGET_SCANNING", "excludeCopiedAmis": True,
                                 "tags": [{"key": "scan", "value": "yes"}]},
       "createdWithin": "DAYS_30"}  # fmt: skip


@pytest.fixture
def operator(store: Store) -> ApiCaller:
    return ApiCaller(store, MANAGER, None)


@pytest.fixture
def admin(operator: ApiCaller) -> ApiCaller:
    operator.call("EnableDelegatedAdminAccount", delegatedAdminAccountId=ADMIN)
    operator.call("AssociateMember", accountId=MEMBER)
    operator.call("Enable", accountIds=[MEMBER], resourceTypes=["EC2"])
    return ApiCaller(operator.store, ADMIN)


@pytest.fixture
def member(admin: ApiCaller) -> ApiCaller:
    return ApiCaller(admin.store, MEMBER)


def status(caller: ApiCaller, account: str) -> str:
    answer = caller.call("BatchGetAccountStatus", accountIds=[account])
    state: str = answer["accounts"][0]["state"]["status"]
    assert answer["accounts"][0]["resourceState"]["ec2"]["status"] == state
    return state


def test_an_enabled_account_reads_back_as_enabled(operator: ApiCaller) -> None:
    answer = operator.call("Enable", accountIds=[OTHER], resourceTypes=["EC2"])
    assert answer["accounts"][0]["resourceStatus"]["ec2"] == "ENABLED"
    assert answer["failedAccounts"] == []
    assert status(operator, OTHER) == "ENABLED"


def test_other_resources_than_ec2_are_refused(operator: ApiCaller) -> None:
    with pytest.raises(ValidationError, match="ECR, LAMBDA"):
        operator.call("Enable", resourceTypes=["EC2", "ECR", "LAMBDA"])


def test_a_disabled_account_is_disabling_and_cannot_be_enabled_at_once(
    operator: ApiCaller,
) -> None:
    operator.call("Disable", accountIds=[OTHER], resourceTypes=["EC2"])
    assert status(operator, OTHER) == "DISABLING"
    failed = operator.call("Enable", accountIds=[OTHER], resourceTypes=["EC2"])["failedAccounts"]
    assert failed[0]["errorCode"] == "DISABLE_IN_PROGRESS"
    untouched = operator.call("Disable", accountIds=[MEMBER], resourceTypes=["ECR"])
    assert untouched["accounts"][0]["status"] == "ENABLED"


def test_a_request_enables_the_administrator_or_members(admin: ApiCaller) -> None:
    with pytest.raises(ValidationError, match="either"):
        admin.call("Enable", accountIds=[ADMIN, MEMBER], resourceTypes=["EC2"])
    assert admin.call("Enable", accountIds=[MEMBER], resourceTypes=["EC2"])["failedAccounts"] == []


def test_a_member_cannot_disable_itself(member: ApiCaller) -> None:
    with pytest.raises(
        AccessRefusedError, match=f"Member account {MEMBER} is not authorized to disable itself"
    ):
        member.call("Disable")
    assert status(member, MEMBER) == "ENABLED"


def test_an_administrator_with_members_stays(admin: ApiCaller) -> None:
    failed = admin.call("Disable", accountIds=[ADMIN])["failedAccounts"]
    assert failed[0]["errorCode"] == "DISASSOCIATE_ALL_MEMBERS"
    admin.call("DisassociateMember", accountId=MEMBER)
    assert admin.call("Disable", accountIds=[ADMIN])["accounts"][0]["status"] == "DISABLING"


def test_another_account_is_refused(member: ApiCaller) -> None:
    failed = member.call("Enable", accountIds=[OTHER], resourceTypes=["EC2"])["failedAccounts"]
    assert failed[0]["errorCode"] == "ACCESS_DENIED"
    answer = member.call("BatchGetAccountStatus", accountIds=[OTHER, MEMBER])
    assert [one["accountId"] for one in answer["failedAccounts"]] == [OTHER]
    with pytest.raises(AccessRefusedError):
        member.call("GetConfiguration", accountId=OTHER)
    with pytest.raises(AccessRefusedError):
        member.call(
            "UpdateConfiguration", accountId=OTHER, ec2Configuration={"scanMode": "EC2_HYBRID"}
        )


def test_a_client_token_repeats_the_answer(operator: ApiCaller) -> None:
    request = {"accountIds": [OTHER], "resourceTypes": ["EC2"], "clientToken": "token-1"}
    first = operator.call("Enable", **request)
    operator.call("Disable", accountIds=[OTHER])
    assert operator.call("Enable", **request) == first
    assert status(operator, OTHER) == "DISABLING"
    with pytest.raises(ValidationError, match="clientToken"):
        operator.call("Enable", **request | {"accountIds": [MEMBER]})


def test_a_configuration_is_inherited_until_it_is_set_and_after_a_reset(
    admin: ApiCaller, member: ApiCaller
) -> None:
    def mode(caller: ApiCaller) -> tuple[str, bool]:
        ec2 = caller.call("GetConfiguration")["ec2Configuration"]
        return ec2["scanModeState"]["scanMode"], ec2["vmScannerState"]["activated"]

    agents = {"scanMode": "EC2_SSM_AGENT_BASED", "activateVMScanner": True}
    admin.call("UpdateConfiguration", ec2Configuration=agents, amiConfiguration=AMI)
    assert mode(admin) == mode(member) == ("EC2_SSM_AGENT_BASED", True)
    shown = member.call("GetConfiguration")["amiConfiguration"]
    assert shown == AMI | {"status": "SUCCESS"}
    hybrid = {"scanMode": "EC2_HYBRID", "activateVMScanner": False}
    admin.call("UpdateConfiguration", accountId=MEMBER, ec2Configuration=hybrid)
    assert mode(member) == ("EC2_HYBRID", False)
    inherit = {"ec2Configuration": "INHERIT_FROM_ADMIN"}
    admin.call("UpdateConfiguration", accountId=MEMBER, updateConfigurationInheritance=inherit)
    assert mode(member) == ("EC2_SSM_AGENT_BASED", True)
    with pytest.raises(ValidationError, match="updateConfigurationInheritance"):
        admin.call("UpdateConfiguration", updateConfigurationInheritance=inherit)


def test_what_terraform_sends_to_reset_a_configuration_is_read_back(
    admin: ApiCaller, member: ApiCaller
) -> None:
    assert "ecrConfiguration" not in admin.call("GetConfiguration")
    defaults = {
        "rescanDuration": "LIFETIME",
        "pullDateRescanDuration": "DAYS_90",
        "pullDateRescanMode": "LAST_IN_USE_AT",
    }
    hybrid = {"scanMode": "EC2_HYBRID", "activateVMScanner": False}

    admin.call("UpdateConfiguration", ec2Configuration=hybrid, ecrConfiguration=defaults)

    for caller in (admin, member):
        answer = caller.call("GetConfiguration")
        state = answer["ecrConfiguration"]["rescanDurationState"]
        assert state == defaults | {"status": "SUCCESS"}
        assert answer["ec2Configuration"]["scanModeState"]["scanMode"] == "EC2_HYBRID"
    admin.call("UpdateConfiguration", ecrConfiguration={"rescanDuration": "DAYS_30"})
    state = member.call("GetConfiguration")["ecrConfiguration"]["rescanDurationState"]
    assert state == {"rescanDuration": "DAYS_30", "status": "SUCCESS"}


def test_a_mode_without_agents_is_refused(operator: ApiCaller) -> None:
    plain = replace(operator, agent_based=False)
    with pytest.raises(ValidationError, match="Systems Manager"):
        plain.call("UpdateConfiguration", ec2Configuration={"scanMode": "EC2_SSM_AGENT_BASED"})


def test_deep_inspection_has_the_paths_of_account_and_organization(
    admin: ApiCaller, member: ApiCaller
) -> None:
    admin.call("UpdateOrgEc2DeepInspectionConfiguration", orgPackagePaths=["/srv/shared"])
    answer = member.call("UpdateEc2DeepInspectionConfiguration", packagePaths=["/opt/app"])
    assert answer == {
        "packagePaths": ["/opt/app"], "orgPackagePaths": ["/srv/shared"], "status": "ACTIVATED",
    }  # fmt: skip
    with pytest.raises(AccessRefusedError):
        member.call("UpdateEc2DeepInspectionConfiguration", activateDeepInspection=False)
    with pytest.raises(AccessRefusedError):
        member.call("UpdateOrgEc2DeepInspectionConfiguration", orgPackagePaths=[])
    changed = admin.call(
        "BatchUpdateMemberEc2DeepInspectionStatus",
        accountIds=[{"accountId": MEMBER, "activateDeepInspection": False},
                    {"accountId": OTHER, "activateDeepInspection": False}],
    )  # fmt: skip
    assert changed["accountIds"] == [{"accountId": MEMBER, "status": "DEACTIVATED"}]
    assert [one["accountId"] for one in changed["failedAccountIds"]] == [OTHER]
    states = admin.call("BatchGetMemberEc2DeepInspectionStatus", accountIds=[MEMBER, OTHER])
    assert states["accountIds"] == [{"accountId": MEMBER, "status": "DEACTIVATED"}]
    assert [one["accountId"] for one in states["failedAccountIds"]] == [OTHER]
    assert member.call("GetEc2DeepInspectionConfiguration")["status"] == "DEACTIVATED"


def test_the_delegated_administrator_is_the_operators_choice(
    operator: ApiCaller, member: ApiCaller
) -> None:
    assert operator.call("ListDelegatedAdminAccounts")["delegatedAdminAccounts"] == [
        {"accountId": ADMIN, "status": "ENABLED"}
    ]
    administrator = member.call("GetDelegatedAdminAccount")["delegatedAdmin"]
    assert administrator == {"accountId": ADMIN, "relationshipStatus": "ENABLED"}
    with pytest.raises(AccessRefusedError):
        member.call("EnableDelegatedAdminAccount", delegatedAdminAccountId=MEMBER)
    with pytest.raises(ConflictError):
        operator.call("EnableDelegatedAdminAccount", delegatedAdminAccountId=OTHER)
    with pytest.raises(ResourceNotFoundError):
        operator.call("DisableDelegatedAdminAccount", delegatedAdminAccountId=OTHER)
    operator.call("DisableDelegatedAdminAccount", delegatedAdminAccountId=ADMIN)
    assert operator.call("ListDelegatedAdminAccounts")["delegatedAdminAccounts"] == []
    with pytest.raises(ResourceNotFoundError):
        operator.call("GetDelegatedAdminAccount")


def test_auto_enable_reads_back_what_was_written(admin: ApiCaller, member: ApiCaller) -> None:
    for ec2 in (True, False):
        written = admin.call(
            "UpdateOrganizationConfiguration", autoEnable={"ec2": ec2, "ecr": False}
        )
        described = admin.call("DescribeOrganizationConfiguration")
        assert described["autoEnable"] == written["autoEnable"]
        assert described["autoEnable"]["ec2"] is ec2
    assert described["maxAccountLimitReached"] is False
    with pytest.raises(ValidationError, match="EC2 only"):
        admin.call("UpdateOrganizationConfiguration", autoEnable={"ec2": True, "ecr": True})
    with pytest.raises(AccessRefusedError):
        member.call("UpdateOrganizationConfiguration", autoEnable={"ec2": True, "ecr": False})


def test_members_come_and_go(admin: ApiCaller, operator: ApiCaller, member: ApiCaller) -> None:
    def members(**request: object) -> dict[str, str]:
        found = admin.all("ListMembers", "members", **request)
        return {one["accountId"]: one["relationshipStatus"] for one in found}

    assert members() == {MEMBER: "ENABLED"}
    assert admin.call("GetMember", accountId=MEMBER)["member"]["delegatedAdminAccountId"] == ADMIN
    operator.call("AssociateMember", accountId=OTHER)
    assert len(list(admin.pages("ListMembers", "members", maxResults=1))) == 2
    admin.call("DisassociateMember", accountId=OTHER)
    assert members() == {MEMBER: "ENABLED"}
    assert members(onlyAssociated=False) == {MEMBER: "ENABLED", OTHER: "REMOVED"}
    organization = admin.store.configurations.organizations()[0]
    configuration = operator.store.configurations
    assert configuration.account(OTHER).left_organization == organization.id  # type: ignore[union-attr]
    admin.call("AssociateMember", accountId=OTHER)
    assert OTHER in members()
    for refused in ("444444444444",):
        with pytest.raises(AccessRefusedError):
            admin.call("AssociateMember", accountId=refused)
        with pytest.raises(ResourceNotFoundError):
            admin.call("GetMember", accountId=refused)
        with pytest.raises(ValidationError):
            admin.call("DisassociateMember", accountId=refused)
    with pytest.raises(AccessRefusedError):
        member.call("ListMembers")


def test_usage_trials_and_permissions(admin: ApiCaller, member: ApiCaller) -> None:
    store = admin.store
    for account in (ADMIN, MEMBER, OTHER):
        scan = store.scans.create([(account, "eu-west-1", "i-1")], "here")[0]
        store.costs.add(Cost(scan.id, seconds=7200.0, usd=0.5))
    far = replace(admin)
    totals = {one["accountId"]: one["usage"][0] for one in far.all("ListUsageTotals", "totals")}
    assert set(totals) == {ADMIN, MEMBER}
    assert totals[MEMBER]["estimatedMonthlyCost"] == 0.5
    assert totals[MEMBER]["total"] == 2.0
    only = member.call("ListUsageTotals", accountIds=[ADMIN])
    assert only["totals"] == []
    trials = member.call("BatchGetFreeTrialInfo", accountIds=[MEMBER, OTHER])
    assert trials["accounts"] == [{"accountId": MEMBER, "freeTrialInfo": []}]
    assert [one["accountId"] for one in trials["failedAccounts"]] == [OTHER]

    def permissions(caller: ApiCaller, **request: object) -> list[str]:
        found = caller.call("ListAccountPermissions", **request)["permissions"]
        return [one["operation"] for one in found]

    assert permissions(member) == ["ENABLE_SCANNING"]
    assert permissions(admin) == ["DISABLE_SCANNING", "ENABLE_SCANNING"]
    assert permissions(admin, service="ECR") == []


@pytest.mark.parametrize(
    ("reason", "code"), [("INTERNAL_ERROR", "INTERNAL_ERROR"), ("ACCESS_DENIED", "ACCESS_DENIED")]
)
def test_an_enabled_account_that_cannot_be_listed_says_why(
    operator: ApiCaller, store: Store, reason: str, code: str
) -> None:
    operator.call("Enable", accountIds=[MEMBER, OTHER], resourceTypes=["EC2"])
    store.instances.cover([Coverage(OTHER, "", "*", "", "INACTIVE", reason, "ec2 is down")])
    answer = operator.call("BatchGetAccountStatus", accountIds=[MEMBER, OTHER])
    well, ill = (item["state"] for item in answer["accounts"])
    assert (well["status"], well["errorCode"]) == ("ENABLED", "ALREADY_ENABLED")
    assert (ill["status"], ill["errorCode"]) == ("ENABLED", code)
    assert f"{OTHER} could not be listed: ec2 is down." in ill["errorMessage"]
