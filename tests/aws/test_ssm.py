"""Systems Manager: instances, inventories by bucket and by API, associations and data syncs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from sidelight.aws.session import Session
from sidelight.aws.ssm import data_sync_objects
from sidelight.aws.ssm.associations import AssociationSpec, StateManager
from sidelight.aws.ssm.capture import captured, digest_of
from sidelight.aws.ssm.data_sync_objects import DataSyncObjects
from sidelight.aws.ssm.instances import managed_instances
from sidelight.aws.ssm.inventory_entries import InventoryEntries
from sidelight.errors import AccessDeniedError, LimitError
from sidelight.inventory.ssm.items import APPLICATION, WANTED_TYPES, InventoryItem
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.localcloud.server import LocalCloud
from sidelight.model import PingStatus, PlatformType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ACCOUNT, REGION = "123456789012", "us-east-1"
BUCKET = "inventories-of-the-fleet"
BASH = {"Name": "bash", "Version": "5.2.15", "Release": "1.amzn2023"}
GATHER = AssociationSpec(
    "InspectorInventoryCollection-do-not-delete",
    "AWS-GatherSoftwareInventory",
    "rate(30 minutes)",
    {"applications": ["Enabled"], "windowsUpdates": ["Enabled"]},
)
services = pytest.mark.services


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path / "cloud") as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        yield cloud


@pytest.fixture
def managed(cloud: LocalCloud, tmp_path: Path) -> Callable[..., str]:
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(1 << 20))

    def add(name: str = "web", *packages: str, **information: Any) -> str:
        entries = [{**BASH, "Name": package} for package in packages or ("bash",)]
        platform = {"PlatformName": "Amazon Linux", "PlatformVersion": "2023"}
        return cloud.add_instance(
            name,
            [image],
            ssm={**platform, **information},
            inventory={APPLICATION: entries},
        )

    return add


def state_manager() -> StateManager:
    return StateManager(Session(), ACCOUNT, REGION)


@services
def test_managed_instances_have_their_agents_words(managed: Callable[..., str]) -> None:
    instance = managed(PlatformType="Windows", PlatformName="Microsoft Windows Server 2022")
    managed("lost", PingStatus="ConnectionLost")

    found = {one.instance_id: one for one in managed_instances(Session(), ACCOUNT, REGION)}

    assert len(found) == 2
    assert found[instance].platform_type is PlatformType.WINDOWS
    assert found[instance].ping_status is PingStatus.ONLINE
    assert found[instance].last_ping is not None
    assert {one.ping_status for one in found.values()} > {PingStatus.ONLINE}


@services
def test_bucket_and_api_give_the_same_content(
    cloud: LocalCloud, managed: Callable[..., str]
) -> None:
    instance = managed("web", *(f"p{number}" for number in range(120)))
    Session().client("s3").create_bucket(Bucket=BUCKET)
    assert state_manager().create_data_sync("sync", BUCKET, REGION, "fleet")
    state_manager().create(GATHER)
    entries = InventoryEntries(Session(), ACCOUNT, REGION)
    by_api = entries.read(instance)
    assert by_api is not None
    calls = cloud.calls("ListInventoryEntries")
    objects = DataSyncObjects(Session(), BUCKET, ACCOUNT, REGION, "fleet")

    by_bucket = objects.read(instance)

    assert by_bucket.digest == by_api.digest
    assert by_bucket.captured_at == by_api.captured_at
    assert len(by_bucket.items[APPLICATION].entries) == 120
    assert calls == 3 + 5  # three pages of applications, and the five other types
    assert entries.read(instance, by_api.captured_at) is None
    assert cloud.calls("ListInventoryEntries") == calls + 1  # the first page has the capture time


@services
def test_a_version_changes_with_any_object_of_an_instance(
    cloud: LocalCloud, managed: Callable[..., str]
) -> None:
    first, second = managed("a"), managed("b")
    Session().client("s3").create_bucket(Bucket=BUCKET)
    state_manager().create_data_sync("sync", BUCKET, REGION, "")
    state_manager().create(GATHER)
    state_manager().associations()
    objects = DataSyncObjects(Session(), BUCKET, ACCOUNT, REGION)
    before = objects.versions()
    cloud.install(second, "AWS:WindowsUpdate", [{"HotFixId": "KB5041160"}])
    cloud.stop_agent(first)
    cloud.clock.advance(1800)
    state_manager().associations()

    after = objects.versions()

    assert before.keys() == after.keys() == {first, second}
    assert before[first] == after[first]
    assert before[second] != after[second]


@services
def test_only_objects_that_were_listed_are_fetched(
    cloud: LocalCloud, managed: Callable[..., str]
) -> None:
    instance = managed()
    Session().client("s3").create_bucket(Bucket=BUCKET)
    state_manager().create_data_sync("sync", BUCKET, REGION, "")
    state_manager().create(GATHER)
    state_manager().associations()
    objects = DataSyncObjects(Session(), BUCKET, ACCOUNT, REGION)
    whole = objects.read(instance)
    before = objects.versions()
    calls = cloud.calls("s3:")

    assert objects.read(instance).digest == whole.digest
    assert cloud.calls("s3:") - calls == len(whole.items) < len(WANTED_TYPES)

    cloud.install(instance, "AWS:WindowsUpdate", [{"HotFixId": "KB5041160"}])
    cloud.clock.advance(1800)
    state_manager().associations()
    assert "AWS:WindowsUpdate" not in objects.read(instance).items
    assert objects.versions() != before
    assert "AWS:WindowsUpdate" in objects.read(instance).items


@services
def test_an_instance_without_an_object_has_no_items(cloud: LocalCloud) -> None:
    assert cloud
    Session().client("s3").create_bucket(Bucket=BUCKET)

    capture = DataSyncObjects(Session(), BUCKET, ACCOUNT, REGION).read("i-0123456789abcdef0")

    assert (capture.items, capture.captured_at) == ({}, None)


@services
def test_hostile_objects_are_bounded_and_stay_visible(
    cloud: LocalCloud, managed: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cloud
    instance = managed()
    client = Session().client("s3")
    client.create_bucket(Bucket=BUCKET)
    key = (
        f"{APPLICATION}/accountid={ACCOUNT}/region={REGION}/"
        f"resourcetype=ManagedInstanceInventory/{instance}.json"
    )
    client.put_object(Bucket=BUCKET, Key=key, Body=b'{"Name": "a"}\nnot json\n\n[1]\n\xff\n')
    objects = DataSyncObjects(Session(), BUCKET, ACCOUNT, REGION)
    assert objects.read(instance).items[APPLICATION].entries == [
        {"Name": "a"}, "not json", [1], "�",
    ]  # fmt: skip

    monkeypatch.setattr(data_sync_objects, "MAX_OBJECT", 10)

    with pytest.raises(LimitError, match="larger than 10 bytes"):
        objects.read(instance)


@services
@pytest.mark.parametrize(
    "call",
    [
        lambda: list(managed_instances(Session(), ACCOUNT, REGION)),
        lambda: InventoryEntries(Session(), ACCOUNT, REGION).read("i-0123456789abcdef0"),
        lambda: state_manager().associations(),
        lambda: state_manager().create(GATHER),
        lambda: state_manager().delete("00000000-0000-0000-0000-000000000000"),
        lambda: state_manager().data_syncs(),
        lambda: state_manager().create_data_sync("sync", BUCKET, REGION, ""),
        lambda: DataSyncObjects(Session(), BUCKET, ACCOUNT, REGION).versions(),
        lambda: DataSyncObjects(Session(), BUCKET, ACCOUNT, REGION).read("i-0123456789abcdef0"),
    ],
    ids=[
        "instances",
        "entries",
        "associations",
        "create",
        "delete",
        "syncs",
        "sync",
        "list",
        "get",
    ],
)
def test_a_denied_call_is_an_access_denied_error_with_its_name(
    cloud: LocalCloud, call: Callable[[], object]
) -> None:
    cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, "s*:*")])

    with pytest.raises(AccessDeniedError) as caught:
        call()

    assert ACCOUNT in caught.value.where or BUCKET in caught.value.where


@services
def test_a_full_quota_of_data_syncs_is_no_error(cloud: LocalCloud) -> None:
    assert cloud
    Session().client("s3").create_bucket(Bucket=BUCKET)
    for number in range(5):
        assert state_manager().create_data_sync(f"other-{number}", BUCKET, REGION, "")

    assert not state_manager().create_data_sync("ours", BUCKET, REGION, "")
    assert state_manager().create_data_sync("other-1", BUCKET, REGION, "")  # it is there already


@services
def test_deleting_what_is_gone_is_no_error(cloud: LocalCloud) -> None:
    assert cloud
    state_manager().delete("00000000-0000-0000-0000-000000000000")
    state_manager().delete_data_sync("gone")


def test_a_digest_is_of_the_content_and_not_of_the_time_or_the_order() -> None:
    first = InventoryItem(APPLICATION, [{"Name": "a"}, {"Name": "b"}], "2024-07-01T16:59:14Z")
    later = InventoryItem(APPLICATION, [{"Name": "b"}, {"Name": "a"}], "2024-07-01T17:29:14Z")
    other = InventoryItem(APPLICATION, [{"Name": "a"}, {"Name": "c"}], "2024-07-01T16:59:14Z")

    assert digest_of([first]) == digest_of([later]) != digest_of([other])


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "2024-13-01T00:00:00Z", "9" * 5000,
        # Years that the model does not allow; UTC does not have the last two.
        "1999-12-31T23:59:59Z", "9999-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59",
    ],
)  # fmt: skip
def test_a_capture_time_of_another_form_is_none(text: str) -> None:
    assert captured(text) is None


@pytest.mark.parametrize(
    "text", ["2024-07-01T16:59:14Z", "2024-07-01T16:59:14", "2024-07-01T18:59:14+02:00"]
)
def test_a_capture_time_is_in_utc(text: str) -> None:
    assert captured(text) == datetime(2024, 7, 1, 16, 59, 14, tzinfo=UTC)
