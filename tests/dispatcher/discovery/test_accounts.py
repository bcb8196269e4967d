"""Many accounts and regions, through a local cloud that keeps them apart and checks its roles."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from moto.kms.models import kms_backends

from dispatcher.discovery.accounts import AccountRegion, ScanScope, UnreachableTarget
from dispatcher.planning.eligibility import Configuration
from sidelight.errors import AccessDeniedError, UsageError
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from tests.fixtures.iam_policies import actions
from tests.fixtures.organizations import (
    HUB,
    HUB_ROLE,
    SECRET,
    Organization,
    coverage,
    encrypted,
    run_all,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dispatcher.services.fleet_service import FleetService
    from sidelight.fleet.settings import Settings
    from sidelight.localcloud.server import LocalCloud


pytestmark = [pytest.mark.services, pytest.mark.images]


# What the tests themselves call.
SETTING_UP = {
    "iam:CreateRole", "iam:ListRolePolicies", "iam:PutRolePolicy", "kms:CreateKey",
    "kms:ListGrants", "organizations:CreateOrganization", "organizations:CreateAccount",
    "organizations:CloseAccount",
}  # fmt: skip


def called(cloud: LocalCloud, account: str) -> set[str]:
    """The operations that an account's credentials called, as IAM's actions."""
    return {tally.operation for tally in cloud.counters.tallies(account=account)}


def reachable(
    targets: list[AccountRegion | UnreachableTarget],
) -> list[AccountRegion | UnreachableTarget]:
    """The targets without suspended accounts."""
    return [one for one in targets if isinstance(one, AccountRegion) or not one.suspended]


def test_an_organization_is_its_active_accounts_in_their_enabled_regions(
    organization: Organization, make_control: Callable[..., FleetService]
) -> None:
    targets = make_control().look_up(ScanScope(organization=True, all_regions=True))
    found = reachable(targets)
    (suspended,) = (target for target in targets if target not in found)
    assert suspended.account == organization.members[2]
    assert "SUSPENDED in its organization" in str(suspended)
    places = {(account_region.account, account_region.region) for account_region in found}
    assert {account for account, _ in places} == {HUB, *organization.members[:2]}
    regions = {region for account, region in places if account == HUB}
    assert {"us-east-1", "eu-west-1"} <= regions
    assert "eu-south-2" not in regions, "an opt-in region that nobody enabled"
    (only,) = make_control().look_up(ScanScope(accounts=[HUB], regions=["eu-west-1"]))
    assert only == AccountRegion(HUB, "eu-west-1")


def test_an_organizational_unit_is_what_is_in_and_below_it(
    organization: Organization, make_control: Callable[..., FleetService]
) -> None:
    client = organization.client
    (root,) = client.list_roots()["Roots"]
    above = client.create_organizational_unit(ParentId=root["Id"], Name="above")
    above_id = above["OrganizationalUnit"]["Id"]
    below = client.create_organizational_unit(ParentId=above_id, Name="below")
    below_id = below["OrganizationalUnit"]["Id"]
    payments, web, _ = organization.members
    for account, unit in ((payments, above_id), (web, below_id)):
        client.move_account(AccountId=account, SourceParentId=root["Id"], DestinationParentId=unit)
    control = make_control()

    def accounts(unit: str) -> set[str]:
        found = control.look_up(ScanScope(units=[unit]))
        return {account_region.account for account_region in reachable(found)}

    assert accounts(above_id) == {payments, web}
    assert accounts(below_id) == {web}
    assert accounts(root["Id"]) == {HUB, payments, web}
    with pytest.raises(UsageError, match="not both"):
        control.look_up(ScanScope(accounts=[web], units=[below_id]))


def test_one_command_scans_an_organization(
    organization: Organization, hub_settings: Settings, image: Path
) -> None:
    payments, web, _ = organization.members
    cloud = organization.cloud
    machines = {
        cloud.add_instance("a", [image], account=payments, region="eu-west-1"),
        cloud.add_instance("b", [image], account=web),
    }
    cloud.add_instance("not ours", [image], account="999999999999")
    done = subprocess.run(
        [sys.executable, "-m", "dispatcher.cli", "fleet", "scan", "--embedded", "--organization",
         "--all-regions", "--format", "json"],
        env=os.environ | cloud.environment() | hub_settings.as_environment(),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["coverage"]
    # The suspended account has an entry of its own.
    expected = dict.fromkeys(machines, "SUCCESSFUL") | {"*": "ACCESS_DENIED"}
    assert {row["instance"]: row["reason"] for row in rows} == expected
    assert cloud.snapshots() == []
    # Each account's work was done by its own role, and the hub did none of it.
    for account in (payments, web):
        assert cloud.answers("CreateSnapshots", account) == 1
        assert cloud.calls("GetSnapshotBlock", account) > 0
    assert cloud.calls("CreateSnapshots", HUB) == cloud.calls("GetSnapshotBlock", HUB) == 0
    assert cloud.calls("*", "999999999999") == 0
    # Nothing was called that deploy/iam does not allow.
    in_target = actions("target-policy") | actions("target-network-policy")
    for account in (payments, web):
        assert called(cloud, account) - SETTING_UP <= in_target
    allowed = actions("scanner-policy") | in_target | {"sts:GetCallerIdentity"}
    assert called(cloud, HUB) - SETTING_UP <= allowed


def test_a_role_apart_reads_what_the_other_role_snapshots(
    organization: Organization, make_control: Callable[..., FleetService], image: Path
) -> None:
    web = organization.members[1]
    organization.attach(web, "SidelightTarget", ["target-orchestrator-policy"])
    organization.role(web, "SidelightReader", HUB_ROLE, external_id=SECRET)
    organization.attach(web, "SidelightReader", ["target-reader-policy"])
    organization.attach(HUB, "hub", ["scanner-policy", "scanner-reader-policy"])
    plain = organization.cloud.add_instance("plain", [image], account=web)
    control = make_control(reader_role_name="SidelightReader")
    wanted = control.look_up(ScanScope(accounts=[web]))
    control.scans.start_everywhere(wanted, Configuration(), on_demand=True)
    run_all(control, organization.cloud)
    assert coverage(control)[web, plain][0] == "SUCCESSFUL"
    assert organization.cloud.snapshots() == []


def test_computing_workers_can_run_as_a_hub_that_enters_as_the_reader_alone(
    organization: Organization, make_control: Callable[..., FleetService], image: Path
) -> None:
    web = organization.members[1]
    organization.role(HUB, "reader-hub", HUB)
    organization.attach(HUB, "reader-hub", ["scanner-reader-policy"])
    reader_hub = f"arn:aws:iam::{HUB}:role/reader-hub"
    organization.role(web, "SidelightReader", reader_hub, external_id=SECRET)
    organization.attach(web, "SidelightReader", ["target-reader-policy"])
    organization.attach(web, "SidelightTarget", ["target-orchestrator-policy"])
    organization.attach(HUB, "hub", ["scanner-policy"])
    plain = organization.cloud.add_instance("plain", [image], account=web)
    control = make_control()
    wanted = control.look_up(ScanScope(accounts=[web]))
    control.scans.start_everywhere(wanted, Configuration(), on_demand=True)
    computing = control.settings.replaced(hub_role=reader_hub, role_name="SidelightReader")
    run_all(control, organization.cloud, computing)
    assert coverage(control)[web, plain][0] == "SUCCESSFUL"
    assert organization.cloud.snapshots() == []


def test_an_account_that_denies_stops_no_other_and_coverage_says_so(
    organization: Organization, make_control: Callable[..., FleetService], image: Path
) -> None:
    payments, web, _ = organization.members
    cloud = organization.cloud
    good = cloud.add_instance("good", [image], account=payments)
    seen = cloud.add_instance("seen", [image], account=web)
    control = make_control()
    wanted = control.look_up(ScanScope(organization=True))
    control.scans.start_everywhere(wanted, Configuration(), on_demand=True)
    run_all(control, organization.cloud)
    assert coverage(control)[web, seen][0] == "SUCCESSFUL"
    # Later the account takes its permission back.
    cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, "ec2:*", account=web)])
    started = control.scans.start_everywhere(wanted, Configuration(), on_demand=True)
    run_all(control, organization.cloud)
    outcomes = coverage(control)
    assert outcomes[payments, good][0] == "SUCCESSFUL"
    assert outcomes[web, seen][0] == outcomes[web, "us-east-1:*"][0] == "ACCESS_DENIED"
    assert [(one.account, one.region) for one in started.unreachable] == [(web, "us-east-1")]
    swept, closed = control.sweeper.sweep_everywhere(wanted)
    assert len(swept) == 2
    assert [one.account for one in closed] == [web]
    # And gives it again: the last scan counts, without another.
    cloud.plan = FaultPlan()
    started = control.scans.start_everywhere(
        wanted, Configuration(), on_demand=False, is_due=lambda *_: False
    )
    assert started.scans == ()
    assert coverage(control)[web, seen][0] == "SUCCESSFUL"
    control.scans.start_everywhere(wanted, Configuration(), on_demand=True)
    run_all(control, organization.cloud)
    outcomes = coverage(control)
    assert outcomes[web, seen][0] == "SUCCESSFUL"
    assert (web, "us-east-1:*") not in outcomes


def test_a_suspended_account_s_coverage_says_so_and_is_no_failure(
    organization: Organization, make_control: Callable[..., FleetService], image: Path
) -> None:
    web = organization.members[1]
    seen = organization.cloud.add_instance("seen", [image], account=web)
    control = make_control()
    wanted = ScanScope(organization=True)
    control.scans.start_everywhere(control.look_up(wanted), Configuration(), on_demand=True)
    run_all(control, organization.cloud)
    assert coverage(control)[web, seen][0] == "SUCCESSFUL"
    organization.client.close_account(AccountId=web)
    started = control.scans.start_everywhere(
        control.look_up(wanted), Configuration(), on_demand=True
    )
    assert started.unreachable == ()
    # Also of one that nothing is known of: it must not be on no page at all.
    unlisted = control.store.unreached_targets.all()
    assert {item.account for item in unlisted} == {web, organization.members[2]}
    assert all("in its organization" in item.detail for item in unlisted)
    reason, detail = coverage(control)[web, seen]
    assert (reason, "SUSPENDED" in detail) == ("ACCESS_DENIED", True)


def test_an_organization_s_accounts_join_it_and_a_new_one_is_enabled_by_auto_enable_only(
    organization: Organization, make_control: Callable[..., FleetService], image: Path
) -> None:
    payments, web, _ = organization.members
    organization.cloud.add_instance("seen", [image], account=web)
    control = make_control()
    wanted = ScanScope(organization=True)
    assert control.join_members(control.look_up(wanted)) == [], "none is configured"
    control.scans.start_everywhere(control.look_up(wanted), Configuration(), on_demand=True)
    control.configuration.configure_organization("o-exampleorgid", administrator=HUB)
    joined = control.join_members(control.look_up(wanted))
    assert set(joined) == set(organization.members)
    held = {item.account: item.status for item in control.configuration.effective([payments, web])}
    assert held == {payments: "DISABLED", web: "ENABLED"}
    assert control.join_members(control.look_up(wanted)) == []
    started = control.scans.start_everywhere(
        control.look_up(wanted), Configuration(), on_demand=True
    )
    assert payments not in {account_region.account for account_region in started.reached}


def test_a_role_that_trusts_another_id_denies_and_says_which_role(
    organization: Organization, make_control: Callable[..., FleetService]
) -> None:
    control = make_control(external_id="somebody else's")
    found = control.look_up(ScanScope(organization=True, all_regions=True))
    for one in reachable(found):
        assert isinstance(one, UnreachableTarget)
        assert isinstance(one.error, AccessDeniedError)
        assert f"arn:aws:iam::{one.account}:role/SidelightTarget" in str(one)
        assert ("stack set" in str(one)) == (one.account == HUB)
    started = control.scans.start_everywhere(found, Configuration(), on_demand=True)
    assert not started.reached
    assert {reason for reason, _ in coverage(control).values()} == {"ACCESS_DENIED"}
    assert organization.cloud.calls("DescribeInstances") == 0


def shared(organization: Organization, control: FleetService) -> dict[tuple[str, str], Any]:
    """Scan the web account, its snapshots read in the hub's; the coverage."""
    web = organization.members[1]
    control.scans.start_everywhere(
        control.look_up(ScanScope(accounts=[web])), Configuration(), on_demand=True
    )
    run_all(control, organization.cloud)
    assert organization.cloud.calls("GetSnapshotBlock", web) == 0
    assert organization.cloud.snapshots() == []
    return coverage(control)


def test_shared_snapshots_are_read_by_the_scanners_own_account(
    organization: Organization, make_control: Callable[..., FleetService], image: Path
) -> None:
    web = organization.members[1]
    plain = organization.cloud.add_instance("plain", [image], account=web)
    outcomes = shared(organization, make_control(scanner_account=HUB))
    assert outcomes[web, plain][0] == "SUCCESSFUL"
    assert organization.cloud.calls("GetSnapshotBlock", HUB) > 0
    # Once at each try to read it: the share itself is seen late.
    assert organization.cloud.calls("ModifySnapshotAttribute", web) >= 1
    assert called(organization.cloud, web) <= (
        actions("target-policy") | actions("target-sharing-policy") | SETTING_UP
    )
    assert (
        {"ebs:GetSnapshotBlock", "ebs:ListSnapshotBlocks"}
        == {call for call in called(organization.cloud, HUB) if call.startswith("ebs:")}
        == {call for call in actions("scanner-sharing-policy") if call.startswith("ebs:")}
    )


def test_a_shared_snapshot_under_a_customer_key_needs_a_grant_and_says_so(
    organization: Organization, make_control: Callable[..., FleetService], image: Path
) -> None:
    web = organization.members[1]
    secret, key = encrypted(organization, image, web)
    reason, detail = shared(organization, make_control(scanner_account=HUB))[web, secret]
    assert reason == "ACCESS_DENIED_TO_ENCRYPTION_KEY"
    assert "kms:Decrypt" in detail
    for _ in range(2):
        granted = make_control(scanner_account=HUB, kms_grants=True)
        assert shared(organization, granted)[web, secret][0] == "SUCCESSFUL"
    grants = organization.of("kms", web).list_grants(KeyId=key)["Grants"]
    assert {grant["GranteePrincipal"] for grant in grants} == {HUB_ROLE}
    assert {tuple(grant["Operations"]) for grant in grants} == {("Decrypt",)}


def test_what_is_under_a_key_of_awss_own_is_not_snapshotted_to_be_shared(
    organization: Organization, make_control: Callable[..., FleetService], image: Path
) -> None:
    web = organization.members[1]
    secret, key = encrypted(organization, image, web)
    kms_backends[web]["us-east-1"].keys[key.rpartition("/")[2]].key_manager = "AWS"
    reason, detail = shared(organization, make_control(scanner_account=HUB))[web, secret]
    assert reason == "ACCESS_DENIED_TO_ENCRYPTION_KEY"
    assert key in detail
    assert organization.cloud.calls("CreateSnapshots") == 0
    # Read in place it is not a problem: the account's own role may use the key.
    control = make_control()
    control.scans.start_everywhere(
        [AccountRegion(web, "us-east-1")], Configuration(), on_demand=True
    )
    run_all(control, organization.cloud)
    assert coverage(control)[web, secret][0] == "SUCCESSFUL"


@pytest.mark.parametrize(
    ("denied", "changes"),
    [("kms:ListResourceTags", {}), ("kms:DescribeKey", {"scanner_account": HUB})],
)
def test_a_key_that_cannot_be_described_holds_up_only_its_own_volumes(
    organization: Organization,
    make_control: Callable[..., FleetService],
    image: Path,
    denied: str,
    changes: dict[str, str],
) -> None:
    web = organization.members[1]
    secret, key = encrypted(organization, image, web)
    plain = organization.cloud.add_instance("plain", [image], account=web)
    organization.cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, denied)])
    control = make_control(**changes)
    started = control.scans.start_everywhere(
        [AccountRegion(web, "us-east-1")], Configuration(), on_demand=True
    )
    assert started.reached
    run_all(control, organization.cloud)
    outcomes = coverage(control)
    assert outcomes[web, plain][0] == "SUCCESSFUL"
    reason, detail = outcomes[web, secret]
    assert reason == "ACCESS_DENIED_TO_ENCRYPTION_KEY"
    assert key in detail or "kms:Decrypt" in detail
    assert organization.cloud.snapshots() == []
