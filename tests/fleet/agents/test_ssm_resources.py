"""What the dispatcher asks of Systems Manager, on a local cloud with agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from sidelight.aws.session import Session
from sidelight.fleet.agents.associations_plan import SyncTarget
from sidelight.fleet.agents.ssm_resources import SsmResources
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.localcloud.server import LocalCloud

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.services
BUCKET = "inventories-of-the-fleet"
NAMES = ["InspectorInventoryCollection-do-not-delete", "InspectorResourceDataSync-do-not-delete"]


class Place(NamedTuple):
    account: str = "123456789012"
    region: str = "us-east-1"


HERE = Place()


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path / "cloud") as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        Session().client("s3").create_bucket(Bucket=BUCKET)
        yield cloud


@pytest.fixture
def instance(cloud: LocalCloud, tmp_path: Path) -> str:
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(1 << 20))
    return cloud.add_instance(
        "web",
        [image],
        ssm={"PlatformName": "Amazon Linux", "PlatformVersion": "2023"},
        inventory={"AWS:Application": [{"Name": "bash", "Version": "5", "Release": "1"}]},
    )


@pytest.mark.parametrize("bucket", [BUCKET, ""], ids=["by the bucket", "by the API"])
def test_an_instance_has_no_inventory_until_the_association_ran(
    cloud: LocalCloud, instance: str, bucket: str
) -> None:
    resources = SsmResources(Session(), SyncTarget(bucket, "us-east-1"))
    assert resources.managed(HERE)[instance].inventory_at is None
    before = cloud.clock.now()

    resources.ensure(HERE)

    resources.managed(HERE)  # the agents run what is due
    at = resources.managed(HERE)[instance].inventory_at
    assert at is not None
    assert abs(at.timestamp() - before) < 60


def test_what_is_planned_is_made_present_and_removed(cloud: LocalCloud) -> None:
    assert cloud
    resources = SsmResources(Session(), SyncTarget(BUCKET, "us-east-1"))

    assert list(resources.planned(HERE)) == NAMES
    assert list(resources.ensure(HERE)) == NAMES
    assert list(resources.planned(HERE)) == []
    assert list(resources.present(HERE)) == NAMES
    assert list(resources.remove(HERE)) == NAMES
    assert list(resources.present(HERE)) == []


def test_a_denied_association_is_in_the_report_and_instances_are_listed(
    cloud: LocalCloud, instance: str
) -> None:
    cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, "ssm:CreateAssociation")])
    resources = SsmResources(Session(), SyncTarget(BUCKET, "us-east-1"))

    assert resources.ensure(HERE) == ()

    report = resources.reports[HERE.account, HERE.region]
    assert report.reason == "ACCESS_DENIED"
    assert "create_association" in report.detail
    assert instance in resources.managed(HERE)
