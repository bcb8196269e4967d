"""Many accounts and regions, through a local cloud that keeps them apart and checks its roles."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.kms.models import kms_backends

from dispatcher.discovery.accounts import AccountRegion, ScanScope, UnreachableTarget
from dispatcher.on_demand import in_process, run_stage
from dispatcher.planning.eligibility import Configuration
from sidelight.errors import AccessDeniedError, UsageError
from sidelight.fleet.bootstrap import make_context
from sidelight.fleet.settings import Settings
from sidelight.localcloud.conditions import DEFAULT
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.localcloud.server import LocalCloud
from sidelight.store import Store
from tests.deploy.test_policies import actions
from tests.dispatcher.local_messages import messages_of
from tests.faults.test_killed_workers import advisories, image
from tests.workers.bench import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dispatcher.services.fleet_service import FleetService

__all__ = ["advisories", "image"]

pytestmark = [pytest.mark.services, pytest.mark.images]

HUB = "123456789012"
HUB_ROLE = f"arn:aws:iam::{HUB}:role/hub"
SECRET = "our-external-id"  # noqa: S105 - the local cloud's


# What the tests themselves call.
SETTING_UP = {
    "iam:CreateRole", "kms:CreateKey", "kms:ListGrants", "organizations:CreateOrganization",
    "organizations:CreateAccount", "organizations:CloseAccount",
}  # fmt: skip


def called(cloud: LocalCloud, account: str) -> set[str]:
    """The operations that an account's credentials called, as IAM's actions."""
    return {tally.operation for tally in cloud.counters.tallies(account=account)}


class Organization:
    """A cloud with an organization of three members, one of them suspended, and roles in each."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.client = self.of("organizations", HUB)
        self.client.create_organization(FeatureSet="ALL")
        self.members = [self.member(name) for name in ("payments", "web", "old")]
        self.client.close_account(AccountId=self.members[2])
        self.role(HUB, "hub", HUB)
        self.role(HUB, "SidelightTarget", HUB_ROLE, external_id=SECRET)
        for account in self.members:
            self.role(account, "SidelightTarget", HUB_ROLE, external_id=SECRET)

    def of(self, service: str, account: str, region: str = "us-east-1") -> Any:
        """A client of an account's root."""
        make: Any = boto3.client
        return make(
            service,
            endpoint_url=self.cloud.endpoint,
            region_name=region,
            aws_access_key_id=account,
            aws_secret_access_key="local",  # noqa: S106 - nobody checks it
        )

    def member(self, name: str) -> str:
        made = self.client.create_account(Email=f"{name}@example.com", AccountName=name)
        return str(made["CreateAccountStatus"]["AccountId"])

    def role(self, account: str, name: str, trusted: str, external_id: str = "") -> None:
        principal = trusted if trusted.startswith("arn:") else f"arn:aws:iam::{trusted}:root"
        statement: dict[str, Any] = {
            "Effect": "Allow",
            "Principal": {"AWS": principal},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }
        if external_id:
            statement["Condition"] = {"StringEquals": {"sts:ExternalId": external_id}}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        self.of("iam", account).create_role(
            RoleName=name, AssumeRolePolicyDocument=json.dumps(policy)
        )
        # STS knows of a role only after a while. A fleet's roles are older than its first scan.
        self.cloud.clock.advance(DEFAULT.iam_lag.most)


@pytest.fixture
def organization(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Organization]:
    with LocalCloud(tmp_path / "cloud", strict_roles=True) as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        yield Organization(cloud)


@pytest.fixture
def settings(tmp_path: Path, advisories: Path) -> Settings:
    return Settings.of(
        store_url=f"sqlite:///{tmp_path}/store.db",
        advisories=str(advisories),
        hub_role=HUB_ROLE,
        role_name="SidelightTarget",
        external_id=SECRET,
        session_tags="SidelightDeployment=here",
        poll_seconds=0.0,
        backoff_seconds=0.01,
    )


@pytest.fixture
def fleet(settings: Settings) -> Iterator[Callable[..., FleetService]]:
    """A control whose messages stay in this process, by the settings and changes to them."""
    made: list[FleetService] = []
    clock = Clock()

    def make(**changes: Any) -> FleetService:
        store = Store(settings.store.url, clock=clock)
        store.migrate()
        made.append(in_process(replace(settings, **changes), store=store))
        return made[-1]

    yield make
    for control in made:
        control.close()


def run_all(control: FleetService) -> None:
    """Every message, and what follows from it; waiting is the clock's work."""
    context = make_context(control.settings, store=control.store)
    clock: Any = control.store.clock
    while messages_of(control):
        scan, following = messages_of(control).popleft()
        clock.advance(following.delay)
        upcoming = run_stage(context, scan, following.state)
        if upcoming is not None:
            messages_of(control).append((scan, upcoming))


def coverage(control: FleetService) -> dict[tuple[str, str], tuple[str, str]]:
    return {
        (row.account, row.instance): (row.reason, row.detail)
        for row in control.store.instances.coverage()
    }


def test_an_organization_is_its_active_accounts_in_their_enabled_regions(
    organization: Organization, fleet: Callable[..., FleetService]
) -> None:
    found = fleet().look_up(ScanScope(organization=True, all_regions=True))
    places = {(place.account, place.region) for place in found}
    assert {account for account, _ in places} == {HUB, *organization.members[:2]}
    regions = {region for account, region in places if account == HUB}
    assert {"us-east-1", "eu-west-1"} <= regions
    assert "eu-south-2" not in regions, "an opt-in region that nobody enabled"
    (only,) = fleet().look_up(ScanScope(accounts=[HUB], regions=["eu-west-1"]))
    assert only == AccountRegion(HUB, "eu-west-1")


def test_an_organizational_unit_is_what_is_in_and_below_it(
    organization: Organization, fleet: Callable[..., FleetService]
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
    control = fleet()

    def accounts(unit: str) -> set[str]:
        return {place.account for place in control.look_up(ScanScope(units=[unit]))}

    assert accounts(above_id) == {payments, web}
    assert accounts(below_id) == {web}
    assert accounts(root["Id"]) == {HUB, payments, web}
    with pytest.raises(UsageError, match="not both"):
        control.look_up(ScanScope(accounts=[web], units=[below_id]))


def test_one_command_scans_an_organization(
    organization: Organization, settings: Settings, image: Path
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
        env=os.environ | cloud.environment() | settings.as_environment(),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["coverage"]
    assert {row["instance"] for row in rows} == machines
    assert {row["reason"] for row in rows} == {"SUCCESSFUL"}
    assert cloud.snapshots() == []
    # Each account's work was done by its own role, and the hub did none of it.
    for account in (payments, web):
        assert cloud.calls("CreateSnapshots", account) == 1
        assert cloud.calls("GetSnapshotBlock", account) > 0
    assert cloud.calls("CreateSnapshots", HUB) == cloud.calls("GetSnapshotBlock", HUB) == 0
    assert cloud.calls("*", "999999999999") == 0
    # Nothing was called that deploy/iam does not allow.
    for account in (payments, web):
        assert called(cloud, account) - SETTING_UP <= actions("target-policy")
    allowed = actions("scanner-policy") | actions("target-policy") | {"sts:GetCallerIdentity"}
    assert called(cloud, HUB) - SETTING_UP <= allowed


def test_an_account_that_denies_stops_no_other_and_coverage_says_so(
    organization: Organization, fleet: Callable[..., FleetService], image: Path
) -> None:
    payments, web, _ = organization.members
    cloud = organization.cloud
    good = cloud.add_instance("good", [image], account=payments)
    seen = cloud.add_instance("seen", [image], account=web)
    control = fleet()
    wanted = control.look_up(ScanScope(organization=True))
    control.scans.start_everywhere(wanted, Configuration(), on_demand=True)
    run_all(control)
    assert coverage(control)[web, seen][0] == "SUCCESSFUL"
    # Later the account takes its permission back.
    cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, "ec2:*", account=web)])
    started = control.scans.start_everywhere(wanted, Configuration(), on_demand=True)
    run_all(control)
    told = coverage(control)
    assert told[payments, good][0] == "SUCCESSFUL"
    assert told[web, seen][0] == told[web, "us-east-1:*"][0] == "ACCESS_DENIED"
    assert [(one.account, one.region) for one in started.unreachable] == [(web, "us-east-1")]
    swept, closed = control.sweeper.sweep_everywhere(wanted)
    assert len(swept) == 2
    assert [one.account for one in closed] == [web]
    # And gives it again.
    cloud.plan = FaultPlan()
    control.scans.start_everywhere(wanted, Configuration(), on_demand=True)
    run_all(control)
    told = coverage(control)
    assert told[web, seen][0] == "SUCCESSFUL"
    assert (web, "us-east-1:*") not in told


def test_a_role_that_trusts_another_id_denies_and_says_which_role(
    organization: Organization, fleet: Callable[..., FleetService]
) -> None:
    control = fleet(external_id="somebody else's")
    found = control.look_up(ScanScope(organization=True, all_regions=True))
    assert found
    for one in found:
        assert isinstance(one, UnreachableTarget)
        assert isinstance(one.error, AccessDeniedError)
        assert f"arn:aws:iam::{one.account}:role/SidelightTarget" in str(one)
        assert ("stack set" in str(one)) == (one.account == HUB)
    started = control.scans.start_everywhere(found, Configuration(), on_demand=True)
    assert not started.reached
    assert {reason for reason, _ in coverage(control).values()} == {"ACCESS_DENIED"}
    assert organization.cloud.calls("DescribeInstances") == 0


def encrypted(organization: Organization, image: Path, account: str) -> tuple[str, str]:
    """An instance whose volume is under a customer's key, and the key's ARN."""
    key = organization.of("kms", account).create_key()["KeyMetadata"]["Arn"]
    instance = organization.cloud.add_instance(
        "secret", [image], account=account, encrypted=True, kms_key_id=key
    )
    return instance, key


def shared(organization: Organization, control: FleetService) -> dict[tuple[str, str], Any]:
    """Scan the web account, its snapshots read in the hub's; the coverage."""
    web = organization.members[1]
    control.scans.start_everywhere(
        control.look_up(ScanScope(accounts=[web])), Configuration(), on_demand=True
    )
    run_all(control)
    assert organization.cloud.calls("GetSnapshotBlock", web) == 0
    assert organization.cloud.snapshots() == []
    return coverage(control)


def test_shared_snapshots_are_read_by_the_scanners_own_account(
    organization: Organization, fleet: Callable[..., FleetService], image: Path
) -> None:
    web = organization.members[1]
    plain = organization.cloud.add_instance("plain", [image], account=web)
    told = shared(organization, fleet(scanner_account=HUB))
    assert told[web, plain][0] == "SUCCESSFUL"
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
    organization: Organization, fleet: Callable[..., FleetService], image: Path
) -> None:
    web = organization.members[1]
    secret, key = encrypted(organization, image, web)
    reason, detail = shared(organization, fleet(scanner_account=HUB))[web, secret]
    assert reason == "ACCESS_DENIED_TO_ENCRYPTION_KEY"
    assert "kms:Decrypt" in detail
    for _ in range(2):
        granted = fleet(scanner_account=HUB, kms_grants=True)
        assert shared(organization, granted)[web, secret][0] == "SUCCESSFUL"
    grants = organization.of("kms", web).list_grants(KeyId=key)["Grants"]
    assert {grant["GranteePrincipal"] for grant in grants} == {HUB_ROLE}
    assert {tuple(grant["Operations"]) for grant in grants} == {("Decrypt",)}


def test_what_is_under_a_key_of_awss_own_is_not_snapshotted_to_be_shared(
    organization: Organization, fleet: Callable[..., FleetService], image: Path
) -> None:
    web = organization.members[1]
    secret, key = encrypted(organization, image, web)
    kms_backends[web]["us-east-1"].keys[key.rpartition("/")[2]].key_manager = "AWS"
    reason, detail = shared(organization, fleet(scanner_account=HUB))[web, secret]
    assert reason == "ACCESS_DENIED_TO_ENCRYPTION_KEY"
    assert key in detail
    assert organization.cloud.calls("CreateSnapshots") == 0
    # Read in place it is no problem: the account's own role may use the key.
    control = fleet()
    control.scans.start_everywhere(
        [AccountRegion(web, "us-east-1")], Configuration(), on_demand=True
    )
    run_all(control)
    assert coverage(control)[web, secret][0] == "SUCCESSFUL"


@pytest.mark.parametrize(
    ("denied", "changes"),
    [("kms:ListResourceTags", {}), ("kms:DescribeKey", {"scanner_account": HUB})],
)
def test_a_key_that_denies_a_look_at_it_holds_up_its_own_volumes_alone(
    organization: Organization,
    fleet: Callable[..., FleetService],
    image: Path,
    denied: str,
    changes: dict[str, str],
) -> None:
    web = organization.members[1]
    secret, key = encrypted(organization, image, web)
    plain = organization.cloud.add_instance("plain", [image], account=web)
    organization.cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, denied)])
    control = fleet(**changes)
    started = control.scans.start_everywhere(
        [AccountRegion(web, "us-east-1")], Configuration(), on_demand=True
    )
    assert started.reached
    run_all(control)
    told = coverage(control)
    assert told[web, plain][0] == "SUCCESSFUL"
    reason, detail = told[web, secret]
    assert reason == "ACCESS_DENIED_TO_ENCRYPTION_KEY"
    assert key in detail or "kms:Decrypt" in detail
    assert organization.cloud.snapshots() == []
