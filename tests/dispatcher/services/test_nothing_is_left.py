"""An account holds after disabling what it held before: everything in it is compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dispatcher.discovery.accounts import AccountRegion
from dispatcher.on_demand import disabler_in_process
from dispatcher.planning.configuration_rules import ConfigurationChange
from dispatcher.planning.eligibility import Configuration
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.model import AccountStatus
from tests.fixtures.account_contents import contents
from tests.fixtures.organizations import HUB, encrypted, run_all

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from dispatcher.services.fleet_service import FleetService
    from tests.fixtures.organizations import Organization

pytestmark = [pytest.mark.services, pytest.mark.images]
REGIONS = ["us-east-1", "eu-west-1"]
BUCKET = "inventories"
AGENTS = {
    "agents": True, "inventory_bucket": BUCKET, "ssm_change_per_second": 0.0,
    "scanner_account": HUB, "kms_grants": True,
}  # fmt: skip


@pytest.fixture
def account(organization: Organization, image: Path) -> str:
    """A member with a managed instance in each Region, and one under a key of its own."""
    owner = organization.members[0]
    organization.of("s3", HUB).create_bucket(Bucket=BUCKET)
    encrypted(organization, image, owner)
    for region in REGIONS:
        organization.cloud.add_instance(
            "web", [image], account=owner, region=region, ssm={"PlatformName": "Debian GNU/Linux"}
        )
    # The account's own, which must stay.
    key = organization.of("kms", owner).create_key()["KeyMetadata"]["Arn"]
    organization.of("kms", owner).create_grant(
        KeyId=key, GranteePrincipal=f"arn:aws:iam::{owner}:root", Operations=["Decrypt"], Name="its"
    )
    ssm = organization.of("ssm", owner)
    ssm.create_association(
        Name="AWS-UpdateSSMAgent", AssociationName="Inspector-looks-like-ours",
        Targets=[{"Key": "InstanceIds", "Values": ["*"]}],
    )  # fmt: skip
    ssm.put_parameter(Name="/its/own", Value="x", Type="String")
    return owner


def scan(control: FleetService, organization: Organization, account: str) -> None:
    places = [AccountRegion(account, region) for region in REGIONS]
    control.configuration.enable([account], ConfigurationChange())
    control.scans.start_everywhere(places, Configuration(), on_demand=True)
    if control.agent_scans is not None:
        control.agent_scans.run(places)
    run_all(control, organization.cloud)


def disable(control: FleetService, account: str) -> list[str]:
    """Disable it; the names of what was removed."""
    control.configuration.begin_disable([account])
    disabler = disabler_in_process(control)
    removed: list[str] = []
    for _ in range(10):
        result = disabler.run(account)
        removed += result.removed
        if result.complete:
            return removed
    raise AssertionError(result)


def test_disabling_leaves_an_account_as_it_was_before_enabling(
    organization: Organization, account: str, make_control: Callable[..., FleetService]
) -> None:
    before = contents(organization, account, REGIONS)
    control = make_control(**AGENTS)
    scan(control, organization, account)
    during = contents(organization, account, REGIONS)
    created = {kind for kind in during if during[kind] != before[kind]}
    assert created == {
        "us-east-1 associations", "us-east-1 data syncs", "us-east-1 documents",
        "us-east-1 grants", "eu-west-1 associations", "eu-west-1 data syncs", "eu-west-1 documents",
    }  # fmt: skip
    planned = disabler_in_process(control).plan(account).resources

    removed = disable(control, account)

    assert contents(organization, account, REGIONS) == before
    assert sorted(removed) == sorted(planned)
    assert control.store.created_resources.of(account) == []
    assert control.configuration.effective([account])[0].status is AccountStatus.DISABLED


def test_what_was_created_is_removed_although_the_settings_have_changed_since(
    organization: Organization, account: str, make_control: Callable[..., FleetService]
) -> None:
    before = contents(organization, account, REGIONS)
    scan(make_control(**AGENTS), organization, account)

    disable(make_control(), account)

    assert contents(organization, account, REGIONS) == before


def test_a_data_sync_to_the_bucket_of_another_time_is_removed_too(
    organization: Organization, account: str, make_control: Callable[..., FleetService]
) -> None:
    before = contents(organization, account, REGIONS)
    scan(make_control(**AGENTS), organization, account)
    organization.of("s3", HUB).create_bucket(Bucket="another-one")
    changed: dict[str, Any] = AGENTS | {"inventory_bucket": "another-one"}
    control = make_control(**changed)
    scan(control, organization, account)

    disable(control, account)

    assert contents(organization, account, REGIONS) == before


@pytest.mark.parametrize("call", ["DeleteAssociation", "RetireGrant", "ListRetirableGrants"])
def test_what_aws_refuses_to_remove_keeps_the_account_pending_and_the_rest_goes(
    organization: Organization,
    account: str,
    make_control: Callable[..., FleetService],
    call: str,
) -> None:
    before = contents(organization, account, REGIONS)
    control = make_control(**AGENTS)
    scan(control, organization, account)
    organization.cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, call)])
    control.configuration.begin_disable([account])
    result = disabler_in_process(control).run(account)
    assert not result.complete
    assert result.failures
    left = contents(organization, account, REGIONS)
    assert left["us-east-1 data syncs"] == []
    assert left != before

    organization.cloud.plan = FaultPlan([])
    assert disabler_in_process(control).run(account).complete
    assert contents(organization, account, REGIONS) == before


def test_an_account_without_anything_of_ours_is_disabled_without_a_call_to_systems_manager(
    organization: Organization, account: str, make_control: Callable[..., FleetService]
) -> None:
    control = make_control()
    scan(control, organization, account)
    calls = organization.cloud.calls("ssm:*"), organization.cloud.calls("kms:*", HUB)

    disable(control, account)

    assert (organization.cloud.calls("ssm:*"), organization.cloud.calls("kms:*", HUB)) == calls
