"""An organization whose snapshots are shared and read by the hub: each call x each fault.

Every call that this way of working adds fails in every way, a few times or for good. Whatever
happens, scans end DONE or FAILED, no snapshot is left, none is readable by anyone but the hub, and
one account's trouble is its own. When the fault is over, the next look scans everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dispatcher.discovery.accounts import AccountRegion, ScanScope
from dispatcher.planning.eligibility import Configuration
from sidelight.errors import AccessDeniedError, CloudError
from sidelight.fleet.snapshot_ownership import tags
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.model import TERMINAL
from tests.fixtures.organizations import HUB, coverage, encrypted, run_all

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dispatcher.discovery.accounts import UnreachableTarget
    from dispatcher.services.fleet_service import FleetService
    from tests.fixtures.organizations import Organization

pytestmark = [pytest.mark.services, pytest.mark.images]

REGION = "us-east-1"
LOOKING_UP = {
    "organizations:DescribeOrganization",
    "organizations:ListAccounts",
    "organizations:ListAccountsForParent",
    "organizations:ListOrganizationalUnitsForParent",
    "ec2:DescribeRegions",
}
CALLS = sorted(
    LOOKING_UP
    | {
        "sts:AssumeRole",
        "kms:ListResourceTags",
        "kms:DescribeKey",
        "kms:CreateGrant",
        "ec2:DescribeInstances",
        "ec2:DescribeVolumes",
        "ec2:CreateSnapshots",
        "ec2:DescribeSnapshots",
        "ec2:ModifySnapshotAttribute",
        "ec2:DeleteSnapshot",
        "ebs:ListSnapshotBlocks",
        "ebs:GetSnapshotBlock",
        "servicequotas:GetServiceQuota",
    }
)
FAULTS = {
    "throttled": Rule(FaultKind.THROTTLE, times=2),
    "5xx": Rule(FaultKind.SERVER_ERROR, times=2),
    "503 of a load balancer": Rule(FaultKind.UNAVAILABLE, times=2),
    "connection reset": Rule(FaultKind.DROP, times=2),
    "answer lost": Rule(FaultKind.LOST_ANSWER, times=1),
    "answer cut": Rule(FaultKind.TRUNCATE, times=1),
    "slow": Rule(FaultKind.LATENCY, seconds=0.05),
    "denied once": Rule(FaultKind.ACCESS_DENIED, times=1),
    "denied": Rule(FaultKind.ACCESS_DENIED),
}
# One of each kind at every run; the others belong to `make faults`.
SAMPLE = {
    ("ec2:ModifySnapshotAttribute", "answer lost"),
    ("kms:CreateGrant", "denied"),
    ("kms:DescribeKey", "throttled"),
    ("organizations:ListAccounts", "5xx"),
    ("ec2:DescribeRegions", "denied"),
    ("servicequotas:GetServiceQuota", "denied"),
}
CASES = [
    pytest.param(
        call, fault, id=f"{call}-{fault}",
        marks=[] if (call, fault) in SAMPLE else [pytest.mark.long],
    )
    for call in CALLS
    for fault in FAULTS
]  # fmt: skip


def look_up(
    organization: Organization, control: FleetService
) -> list[AccountRegion | UnreachableTarget]:
    """By the organization, by its root as a unit, and with every account's regions."""
    (root,) = organization.client.list_roots()["Roots"]
    control.look_up(ScanScope(units=[root["Id"]], regions=[REGION]))
    found = control.look_up(ScanScope(organization=True, all_regions=True))
    return [one for one in found if not isinstance(one, AccountRegion) or one.region == REGION]


@pytest.mark.parametrize(("call", "fault"), CASES)
def test_a_fault_of_any_call_is_its_own_and_passes(
    organization: Organization,
    make_control: Callable[..., FleetService],
    image: Path,
    call: str,
    fault: str,
) -> None:
    payments, web, _ = organization.members
    cloud = organization.cloud
    secret, _key = encrypted(organization, image, web)
    machines = {(web, secret), (payments, cloud.add_instance("plain", [image], account=payments))}
    control = make_control(scanner_account=HUB, kms_grants=True)
    rule = FAULTS[fault]
    before = cloud.calls(call)
    cloud.plan = FaultPlan(
        [Rule(rule.kind, call, account=scope(call, web), times=rule.times, seconds=rule.seconds)]
    )
    try:
        places = look_up(organization, control)
    except (AccessDeniedError, CloudError):
        # Not even the organization can be read: nothing is begun.
        assert call in LOOKING_UP | {"sts:AssumeRole"}
    else:
        control.scans.start_everywhere(places, Configuration(), on_demand=True)
        run_all(control, organization.cloud)
        outcomes = coverage(control)
        # The hub reads the blocks of all accounts: if it may not, none is read.
        is_for_all = call.startswith("ebs:") and fault == "denied"
        if call not in LOOKING_UP | {"sts:AssumeRole"}:
            other = outcomes[payments, next(i for a, i in machines if a == payments)][0]
            assert other == ("ACCESS_DENIED" if is_for_all else "SUCCESSFUL")
    assert cloud.calls(call) > before, "not met"
    check(organization, control)
    cloud.plan = FaultPlan()
    control.store.clock.advance(86400)  # type: ignore[attr-defined] # the test's clock
    places = look_up(organization, control)
    control.scans.start_everywhere(places, Configuration(), on_demand=True)
    run_all(control, organization.cloud)
    check(organization, control)
    outcomes = coverage(control)
    assert {outcomes[machine][0] for machine in machines} == {"SUCCESSFUL"}


def scope(call: str, account: str) -> str:
    """Whose calls fail: the hub's where only the hub calls it, else one member's."""
    service = call.partition(":")[0]
    return HUB if service in ("organizations", "sts", "ebs") else account


def check(organization: Organization, control: FleetService) -> None:
    """All ended, and nothing left, after a sweep where a deletion was refused for good."""
    scans = control.store.scans.select()
    assert {scan.state for scan in scans} <= TERMINAL
    cloud = organization.cloud
    if cloud.snapshots():
        assert any("left to the sweep" in row.detail for row in control.store.instances.coverage())
        cloud.plan = FaultPlan()
        swept, closed = control.sweeper.sweep_everywhere(
            control.look_up(ScanScope(organization=True, regions=[REGION]))
        )
        assert not closed
        assert not any(one.foreign for _, one in swept)
    assert cloud.snapshots() == []


def test_the_catalogue_has_every_call_of_an_organization_that_shares(
    organization: Organization,
    make_control: Callable[..., FleetService],
    image: Path,
) -> None:
    _, web, _ = organization.members
    encrypted(organization, image, web)
    control = make_control(scanner_account=HUB, kms_grants=True)
    organization.cloud.counters.reset()
    control.scans.start_everywhere(look_up(organization, control), Configuration(), on_demand=True)
    run_all(control, organization.cloud)
    operations = {one.operation for one in organization.cloud.counters.tallies()}
    assert operations - {"organizations:ListRoots"} == set(CALLS)


def test_a_sweep_of_an_organization_lists_what_is_foreign_in_each_account(
    organization: Organization,
    make_control: Callable[..., FleetService],
) -> None:
    _, web, _ = organization.members
    control = make_control()
    ec2 = organization.of("ec2", web)
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    backup = ec2.create_snapshot(VolumeId=volume, Description="PRODUCTION BACKUP")["SnapshotId"]
    marks = tags("0" * 32, control.deployment)
    ec2.create_tags(Resources=[backup], Tags=[{"Key": k, "Value": v} for k, v in marks.items()])
    places = control.look_up(ScanScope(organization=True, regions=[REGION]))
    swept, _ = control.sweeper.sweep_everywhere(places)
    assert {place.account: [one.id for one in seen.foreign] for place, seen in swept} == {
        account: [backup] if account == web else [] for account in (HUB, *organization.members[:2])
    }
    assert organization.cloud.snapshots() == [backup]
