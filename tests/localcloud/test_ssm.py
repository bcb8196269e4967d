"""Systems Manager in the local cloud: agents behave as real ones, answers are the model's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from sidelight.localcloud.messages import AwsError
from sidelight.localcloud.ssm import request_model
from tests.fixtures.local_clouds import ACCOUNT, code_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from botocore.model import Shape

    from sidelight.localcloud.server import LocalCloud
    from tests.fixtures.local_clouds import Clients

pytestmark = pytest.mark.services
HALF_AN_HOUR = 1800
BASH = {"Name": "bash", "Version": "5.2.15", "Release": "1.amzn2023", "Architecture": "x86_64"}
GATHER: dict[str, Any] = {
    "Name": "AWS-GatherSoftwareInventory",
    "AssociationName": "InspectorInventoryCollection-do-not-delete",
    "Targets": [{"Key": "InstanceIds", "Values": ["*"]}],
    "ScheduleExpression": "rate(30 minutes)",
    "Parameters": {"applications": ["Enabled"], "windowsUpdates": ["Disabled"]},
}
BUCKET = "inventories-of-the-fleet"


@pytest.fixture
def ssm(cloud: LocalCloud, clients: Callable[[LocalCloud], Clients]) -> Any:
    return clients(cloud)("ssm")


@pytest.fixture
def s3(cloud: LocalCloud, clients: Callable[[LocalCloud], Clients]) -> Any:
    client = clients(cloud)("s3")
    client.create_bucket(Bucket=BUCKET)
    return client


@pytest.fixture
def managed(cloud: LocalCloud, image: Path) -> str:
    return cloud.add_instance(
        "web",
        [image],
        ssm={"PlatformName": "Amazon Linux", "PlatformVersion": "2023"},
        inventory={"AWS:Application": [BASH], "AWS:WindowsUpdate": [{"HotFixId": "KB1"}]},
    )


def entries(ssm: Any, instance: str, name: str = "AWS:Application") -> list[dict[str, str]]:
    found: list[dict[str, str]] = ssm.list_inventory_entries(InstanceId=instance, TypeName=name)[
        "Entries"
    ]
    return found


def refused(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(code_of(caught)[0])


def test_an_inventory_appears_when_the_association_ran(ssm: Any, managed: str) -> None:
    assert entries(ssm, managed) == []

    ssm.create_association(**GATHER)

    assert entries(ssm, managed) == [BASH]
    (own,) = entries(ssm, managed, "AWS:InstanceInformation")
    assert (own["PlatformName"], own["InstanceId"]) == ("Amazon Linux", managed)
    assert entries(ssm, managed, "AWS:WindowsUpdate") == []  # the association does not ask for it


def test_new_software_is_seen_at_the_next_run_and_not_before(
    cloud: LocalCloud, ssm: Any, managed: str
) -> None:
    ssm.create_association(**GATHER)
    before = ssm.list_inventory_entries(InstanceId=managed, TypeName="AWS:Application")
    cloud.install(managed, "AWS:Application", [BASH, {**BASH, "Name": "curl"}])

    cloud.clock.advance(HALF_AN_HOUR - 60)
    assert entries(ssm, managed) == [BASH]
    cloud.clock.advance(60)

    after = ssm.list_inventory_entries(InstanceId=managed, TypeName="AWS:Application")
    assert [entry["Name"] for entry in after["Entries"]] == ["bash", "curl"]
    assert after["CaptureTime"] > before["CaptureTime"]


def test_the_content_hash_changes_with_the_content_alone(
    cloud: LocalCloud, ssm: Any, managed: str
) -> None:
    def item() -> dict[str, Any]:
        wanted = [{"TypeName": "AWS:Application"}]
        (entity,) = ssm.get_inventory(ResultAttributes=wanted)["Entities"]
        found: dict[str, Any] = entity["Data"]["AWS:Application"]
        return found

    ssm.create_association(**GATHER)
    first = item()
    cloud.clock.advance(HALF_AN_HOUR)
    second = item()
    cloud.install(managed, "AWS:Application", [])
    cloud.clock.advance(HALF_AN_HOUR)

    assert second["ContentHash"] == first["ContentHash"]
    assert second["CaptureTime"] > first["CaptureTime"]
    assert item()["ContentHash"] != first["ContentHash"]


def test_a_stopped_agent_loses_its_connection_and_keeps_its_last_inventory(
    cloud: LocalCloud, ssm: Any, managed: str
) -> None:
    ssm.create_association(**GATHER)
    assert entries(ssm, managed)
    cloud.stop_agent(managed)
    cloud.install(managed, "AWS:Application", [])
    (one,) = ssm.describe_instance_information()["InstanceInformationList"]
    assert one["PingStatus"] == "Online"  # it was heard of less than 5 minutes ago

    cloud.clock.advance(HALF_AN_HOUR)

    (one,) = ssm.describe_instance_information()["InstanceInformationList"]
    assert one["PingStatus"] == "ConnectionLost"
    assert entries(ssm, managed) == [BASH]
    cloud.start_agent(managed)
    cloud.clock.advance(HALF_AN_HOUR)
    assert entries(ssm, managed) == []


def test_a_data_sync_writes_an_object_a_type_with_an_entry_a_line(
    ssm: Any, s3: Any, managed: str
) -> None:
    ssm.create_resource_data_sync(
        SyncName="InspectorResourceDataSync-do-not-delete",
        S3Destination={"BucketName": BUCKET, "Prefix": "fleet", "SyncFormat": "JsonSerDe",
                       "Region": "us-east-1"},
    )  # fmt: skip
    ssm.create_association(**GATHER)
    ssm.list_associations()

    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]

    middle = f"accountid={ACCOUNT}/region=us-east-1/resourcetype=ManagedInstanceInventory"
    assert keys == [
        f"fleet/AWS:Application/{middle}/{managed}.json",
        f"fleet/AWS:InstanceInformation/{middle}/{managed}.json",
    ]
    lines = s3.get_object(Bucket=BUCKET, Key=keys[0])["Body"].read().decode().splitlines()
    (line,) = map(json.loads, lines)
    assert {**BASH, "resourceId": managed}.items() <= line.items()
    (sync,) = ssm.list_resource_data_sync()["ResourceDataSyncItems"]
    assert sync["LastStatus"] == "Successful"


def test_a_sixth_data_sync_is_refused(ssm: Any, s3: Any) -> None:
    assert s3
    arguments = {"S3Destination": {"BucketName": BUCKET, "SyncFormat": "JsonSerDe",
                                   "Region": "us-east-1"}}  # fmt: skip
    for number in range(5):
        ssm.create_resource_data_sync(SyncName=f"sync-{number}", **arguments)

    code = refused(ssm.create_resource_data_sync, SyncName="sync-6", **arguments)
    again = refused(ssm.create_resource_data_sync, SyncName="sync-1", **arguments)

    assert code == "ResourceDataSyncCountExceededException"
    assert again == "ResourceDataSyncAlreadyExistsException"
    ssm.delete_resource_data_sync(SyncName="sync-1")
    assert (
        refused(ssm.delete_resource_data_sync, SyncName="sync-1")
        == "ResourceDataSyncNotFoundException"
    )


def test_an_association_is_changed_started_and_deleted(
    cloud: LocalCloud, ssm: Any, managed: str
) -> None:
    created = ssm.create_association(**GATHER)["AssociationDescription"]
    number = created["AssociationId"]
    assert created["Overview"]["Status"] == "Pending"
    filters = [{"key": "AssociationName", "value": GATHER["AssociationName"]}]
    (listed,) = ssm.list_associations(AssociationFilterList=filters)["Associations"]
    assert listed["AssociationId"] == number

    changed = ssm.update_association(
        AssociationId=number, ScheduleExpression="rate(6 hours)", Parameters=GATHER["Parameters"]
    )["AssociationDescription"]
    assert (changed["AssociationVersion"], changed["Targets"]) == ("2", GATHER["Targets"])
    assert entries(ssm, managed) == [BASH]  # the new version runs soon
    cloud.install(managed, "AWS:Application", [])
    cloud.clock.advance(HALF_AN_HOUR)
    assert entries(ssm, managed) == [BASH]  # every 6 hours now
    ssm.start_associations_once(AssociationIds=[number])
    assert entries(ssm, managed) == []
    runs = ssm.describe_association_executions(AssociationId=number)["AssociationExecutions"]
    targets = ssm.describe_association_execution_targets(
        AssociationId=number, ExecutionId=runs[0]["ExecutionId"]
    )["AssociationExecutionTargets"]
    assert [target["ResourceId"] for target in targets] == [managed]

    ssm.delete_association(AssociationId=number)
    assert refused(ssm.describe_association, AssociationId=number) == "AssociationDoesNotExist"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({**GATHER, "ScheduleExpression": "rate(5 minutes)"}, "InvalidSchedule"),
        ({"Name": "AWS-GatherSoftwareInventory"}, "InvalidTarget"),
    ],
)
def test_an_association_that_cannot_be_is_refused(
    ssm: Any, arguments: dict[str, Any], code: str
) -> None:
    assert refused(ssm.create_association, **arguments) == code


def test_pages_are_no_larger_than_the_model_allows(
    cloud: LocalCloud, ssm: Any, managed: str
) -> None:
    cloud.install(managed, "AWS:Application", [{**BASH, "Name": f"p{n}"} for n in range(120)])
    ssm.create_association(**GATHER)
    sizes = []
    token: dict[str, str] = {}
    while True:
        page = ssm.list_inventory_entries(InstanceId=managed, TypeName="AWS:Application", **token)
        sizes.append(len(page["Entries"]))
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}

    assert sizes == [50, 50, 20]
    too_many = refused(
        ssm.list_inventory_entries, InstanceId=managed, TypeName="AWS:Application", NextToken="x"
    )
    assert too_many == "InvalidNextToken"


def test_an_instance_that_is_not_managed_has_no_inventory(ssm: Any) -> None:
    arguments = {"InstanceId": "i-0123456789abcdef0", "TypeName": "AWS:Application"}

    assert refused(ssm.list_inventory_entries, **arguments) == "InvalidInstanceId"


def test_a_machine_may_send_its_own_inventory_and_then_only_its_hash(
    ssm: Any, managed: str
) -> None:
    item = {"TypeName": "Custom:Jars", "SchemaVersion": "1.0", "ContentHash": "a",
            "CaptureTime": "2026-11-29T12:00:00Z"}  # fmt: skip
    ssm.put_inventory(InstanceId=managed, Items=[{**item, "Content": [{"Path": "/a.jar"}]}])
    later = {**item, "CaptureTime": "2026-11-29T12:30:00Z"}
    ssm.put_inventory(InstanceId=managed, Items=[later])

    code = refused(ssm.put_inventory, InstanceId=managed, Items=[{**later, "ContentHash": "b"}])

    assert entries(ssm, managed, "Custom:Jars") == [{"Path": "/a.jar"}]
    assert code == "ItemContentMismatchException"


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("DescribeInstanceInformation", {"MaxResults": 4}),
        ("DescribeInstanceInformation", {"Filters": [{"Key": "PingStatus"}]}),
        ("ListInventoryEntries", {"InstanceId": "i-0123456789abcdef0"}),
        ("ListInventoryEntries", {"InstanceId": 7, "TypeName": "AWS:Application"}),
        ("ListInventoryEntries", {"InstanceId": "x", "TypeName": "AWS:Application"}),
        ("ListAssociations", {"MaxResults": 51}),
        ("CreateAssociation", {"Name": "a b"}),
    ],
)
def test_a_request_that_the_model_does_not_allow_is_refused(
    operation: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(AwsError) as caught:
        request_model.check(operation, arguments)

    assert caught.value.code == "ValidationException"


def unknown(value: Any, shape: Any, where: str = "") -> Iterator[str]:
    """Members of an answer that the model does not have: a client drops them silently."""
    if shape.type_name == "structure":
        for name, item in value.items():
            if name not in shape.members:
                yield f"{where}.{name}"
            elif item is not None:
                yield from unknown(item, shape.members[name], f"{where}.{name}")
    elif shape.type_name == "list":
        for item in value:
            yield from unknown(item, shape.member, where)


def test_every_answer_has_members_of_the_model_alone(
    cloud: LocalCloud, ssm: Any, s3: Any, managed: str
) -> None:
    assert s3
    assert cloud
    raw: dict[str, Any] = {}

    def keep(http_response: Any, parsed: Any, model: Any, **_more: Any) -> None:
        del parsed
        raw[model.name] = (json.loads(http_response.content or b"{}"), model.output_shape)

    ssm.meta.events.register("after-call.ssm", keep)
    sync = {"BucketName": BUCKET, "SyncFormat": "JsonSerDe", "Region": "us-east-1"}
    ssm.create_resource_data_sync(SyncName="sync", S3Destination=sync)
    number = ssm.create_association(**GATHER)["AssociationDescription"]["AssociationId"]
    ssm.describe_instance_information()
    ssm.describe_association(AssociationId=number)
    ssm.list_associations()
    ssm.update_association(AssociationId=number)
    runs = ssm.describe_association_executions(AssociationId=number)["AssociationExecutions"]
    ssm.describe_association_execution_targets(
        AssociationId=number, ExecutionId=runs[0]["ExecutionId"]
    )
    ssm.list_inventory_entries(InstanceId=managed, TypeName="AWS:Application")
    ssm.get_inventory()
    ssm.get_inventory_schema()
    ssm.list_resource_data_sync()

    checked: dict[str, Shape] = {}
    for operation, (answer, shape) in raw.items():
        assert list(unknown(answer, shape)) == [], operation
        checked[operation] = shape
    assert len(checked) >= 11


def test_an_organization_delegates_and_takes_back(
    cloud: LocalCloud, clients: Callable[[LocalCloud], Clients]
) -> None:
    organizations = clients(cloud)("organizations")
    organizations.create_organization(FeatureSet="ALL")
    created = organizations.create_account(Email="a@example.com", AccountName="security")
    account = created["CreateAccountStatus"]["AccountId"]
    service = {"ServicePrincipal": "inspector2.amazonaws.com"}
    organizations.enable_aws_service_access(**service)

    organizations.register_delegated_administrator(AccountId=account, **service)

    listed = organizations.list_delegated_administrators(**service)["DelegatedAdministrators"]
    assert [item["Id"] for item in listed] == [account]
    of_account = organizations.list_delegated_services_for_account(AccountId=account)
    assert of_account["DelegatedServices"][0]["ServicePrincipal"] == service["ServicePrincipal"]
    organizations.deregister_delegated_administrator(AccountId=account, **service)
    assert not organizations.list_delegated_administrators(**service)["DelegatedAdministrators"]
