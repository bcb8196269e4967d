"""EC2's calls against the local cloud: pages, tags, lost answers, errors with AWS's codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sidelight.aws.ec2 import Ec2
from sidelight.aws.rate_limit import Unlimited
from sidelight.aws.session import Session
from sidelight.aws.sts import account
from sidelight.errors import AccessDeniedError, CloudError, UsageError
from sidelight.localcloud.conditions import KIND
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.localcloud.server import LocalCloud

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACCOUNT, REGION = "123456789012", "us-east-1"
TAGS = {"InspectorScan": "s1", "SidelightDeployment": "here"}

pytestmark = pytest.mark.services


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """One MiB of nothing."""
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(1 << 20))
    return path


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCloud]:
    # Kind: each test looks at one call, whose answer the next one must not be late for.
    with LocalCloud(tmp_path / "cloud", conditions=KIND) as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        yield cloud


@pytest.fixture
def ec2(cloud: LocalCloud) -> Ec2:
    assert cloud.endpoint
    return Ec2(Session(), ACCOUNT, REGION)


def test_instances_come_with_their_volumes_the_root_first(
    cloud: LocalCloud, ec2: Ec2, disk: Path
) -> None:
    images = {"/dev/xvda": disk, "/dev/sdf": disk, "/dev/sdb": disk}
    one = cloud.add_instance("web", images, tags={"Team": "a"}, volume_type="st1")
    cloud.add_instance("gone", [disk], state="terminated")
    instances = ec2.instances()
    assert [instance.id for instance in instances] == [one]
    found = instances[0]
    assert [v.device for v in found.volumes] == ["/dev/xvda", "/dev/sdb", "/dev/sdf"]
    assert {v.device: v.id for v in found.volumes} == cloud.volumes(one)
    assert (found.name, found.state, found.account, found.region) == (
        "web", "running", ACCOUNT, REGION,
    )  # fmt: skip
    assert ("Team", "a") in found.tags
    assert found.volumes[0].type == "st1"


def test_snapshots_carry_our_tags_and_are_found_by_them(
    cloud: LocalCloud, ec2: Ec2, disk: Path
) -> None:
    one = cloud.add_instance("web", [disk, disk])
    created = ec2.create_snapshots(one, TAGS, "a scan")
    assert {info.volume for info in created} == set(cloud.volumes(one).values())
    assert {info.state for info in created} == {"pending"}
    listed = ec2.snapshots_by_tags(TAGS)
    assert {info.id for info in listed} == {info.id for info in created}
    assert {info.tag("InspectorScan") for info in listed} == {"s1"}
    assert {info.description for info in listed} == {"a scan"}
    assert ec2.snapshots_by_tags({"InspectorScan": None}) == listed
    assert not ec2.snapshots_by_tags(TAGS | {"SidelightDeployment": "elsewhere"})


def test_describing_what_is_gone_is_no_error_and_deleting_it_neither(
    cloud: LocalCloud, ec2: Ec2, disk: Path
) -> None:
    snapshot = ec2.create_snapshots(cloud.add_instance("web", [disk]), TAGS, "")[0]
    assert ec2.delete_snapshot(snapshot.id) is True
    assert ec2.delete_snapshot(snapshot.id) is False
    assert ec2.snapshots_by_id([snapshot.id, "snap-00000000000000000"]) == []
    assert ec2.snapshots_by_id([]) == []


def test_creation_is_tried_once_since_its_answer_may_be_lost(
    cloud: LocalCloud, ec2: Ec2, disk: Path
) -> None:
    one = cloud.add_instance("web", [disk])
    cloud.plan = FaultPlan([Rule(FaultKind.LOST_ANSWER, "ec2:CreateSnapshots", times=1)])
    with pytest.raises(CloudError):
        ec2.create_snapshots(one, TAGS, "")
    assert cloud.calls("CreateSnapshots") == 1
    assert len(ec2.snapshots_by_tags(TAGS)) == 1


def test_a_describe_that_fails_is_tried_again(cloud: LocalCloud, ec2: Ec2) -> None:
    cloud.plan = FaultPlan([Rule(FaultKind.SERVER_ERROR, "ec2:DescribeSnapshots", times=1)])
    assert ec2.snapshots_by_tags(TAGS) == []
    assert cloud.calls("DescribeSnapshots") == 2


@pytest.mark.parametrize(
    "code", ["ConcurrentSnapshotLimitExceeded", "InvalidInstanceID.NotFound", "IncorrectState"]
)
def test_an_error_keeps_its_code_and_its_place(cloud: LocalCloud, ec2: Ec2, code: str) -> None:
    cloud.plan = FaultPlan([Rule(FaultKind.ERROR, "ec2:CreateSnapshots", code=code)])
    with pytest.raises(CloudError) as caught:
        ec2.create_snapshots("i-00000000000000000", TAGS, "")
    assert caught.value.code == code
    expected = f"{ACCOUNT}/{REGION} create_snapshots: i-00000000000000000"
    assert caught.value.where == expected


def test_a_denied_call_raises_access_denied(cloud: LocalCloud, ec2: Ec2) -> None:
    cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, "ec2:DescribeInstances")])
    with pytest.raises(AccessDeniedError, match="UnauthorizedOperation"):
        ec2.instances()


@pytest.mark.slow
def test_many_snapshots_come_in_pages(cloud: LocalCloud, ec2: Ec2, disk: Path) -> None:
    one = cloud.add_instance("web", [disk], immutable=True)
    for number in range(1005):
        ec2.create_snapshots(one, TAGS, str(number))
    assert len(ec2.snapshots_by_tags(TAGS)) == 1005


def test_without_credentials_or_a_region_it_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(UsageError, match="no AWS region"):
        Ec2(Session(), ACCOUNT, "").instances()
    with pytest.raises(AccessDeniedError, match="no AWS credentials"):
        account(Session(), region=REGION)


def test_the_account_is_the_credentials(cloud: LocalCloud) -> None:
    assert cloud.endpoint
    assert account(Session()) == ACCOUNT


def test_a_call_waits_for_its_turn_with_all_else_done(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client or credentials may take a second: after the turn, many calls would come at once."""
    done: list[str] = []
    session = Session()
    make = session.client

    def client(*arguments: Any, **named: Any) -> Any:
        done.append("client")
        boto_client = make(*arguments, **named)
        boto_client.meta.events.register("request-created", lambda **_: done.append("signed"))
        return boto_client

    class Turns(Unlimited):
        def before(self, kind: str) -> None:
            done.append(f"turn of {kind}: {cloud.calls('DescribeSnapshots')} before")

    monkeypatch.setattr(session, "client", client)
    Ec2(session, ACCOUNT, REGION, pace=Turns()).snapshots_by_tags(TAGS)
    assert done == ["client", "signed", "turn of describe: 0 before"]
    assert cloud.calls("DescribeSnapshots") == 1


def test_a_call_without_a_turn_is_not_sent(cloud: LocalCloud) -> None:
    class Spent(Unlimited):
        def before(self, kind: str) -> None:
            raise UsageError(f"no {kind} calls are left")

    ec2 = Ec2(Session(), ACCOUNT, REGION, pace=Spent())
    with pytest.raises(UsageError, match="no describe calls"):
        ec2.snapshots_by_tags(TAGS)
    assert (ec2.calls, cloud.calls("DescribeSnapshots")) == (0, 0)
