"""The local cloud as a whole: accounts, services, the control endpoint, faults on the wire."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError

from sidelight.errors import UsageError
from sidelight.localcloud.server import LocalCloud
from tests.fixtures.local_clouds import ACCOUNT, code_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.fixtures.local_clouds import Clients


pytestmark = pytest.mark.services

OTHER = "999999999999"


def test_the_services_answer(
    cloud: LocalCloud, clients: Callable[[LocalCloud], Clients], image: Path
) -> None:
    make = clients(cloud)
    assert make("sts", account=OTHER).get_caller_identity()["Account"] == OTHER
    key = make("kms").create_key()["KeyMetadata"]["KeyId"]
    assert make("kms").list_resource_tags(KeyId=key)["Tags"] == []
    make("organizations").create_organization(FeatureSet="ALL")
    accounts = make("organizations").list_accounts()["Accounts"]
    assert [account["Id"] for account in accounts] == [ACCOUNT]
    assert make("elbv2").describe_load_balancers()["LoadBalancers"] == []
    assert make("iam").list_users()["Users"] == []
    regions = make("ec2").describe_regions()["Regions"]
    assert "us-east-1" in {region["RegionName"] for region in regions}
    encrypted = cloud.add_instance("web", [image], encrypted=True, kms_key_id=key)
    volume = cloud.volumes(encrypted)["/dev/sda1"]
    assert make("ec2").describe_volumes(VolumeIds=[volume])["Volumes"][0]["Encrypted"]


def test_managed_instances_are_those_registered(
    cloud: LocalCloud, clients: Callable[[LocalCloud], Clients], image: Path
) -> None:
    ssm = clients(cloud)("ssm")
    assert ssm.describe_instance_information()["InstanceInformationList"] == []
    managed = cloud.add_instance("a", [image], ssm={"PlatformName": "Debian"})
    lost = cloud.add_instance("b", [image], ssm={"PingStatus": "ConnectionLost"})
    cloud.add_instance("c", [image])
    found = ssm.describe_instance_information()["InstanceInformationList"]
    assert {one["InstanceId"] for one in found} == {managed, lost}
    (one,) = ssm.describe_instance_information(
        Filters=[{"Key": "PingStatus", "Values": ["Online"]}]
    )["InstanceInformationList"]
    assert (one["InstanceId"], one["PlatformName"]) == (managed, "Debian")
    pages = ssm.get_paginator("describe_instance_information").paginate(
        PaginationConfig={"PageSize": 5}
    )
    assert sum(len(page["InstanceInformationList"]) for page in pages) == 2


def test_a_role_of_another_account_acts_there(
    cloud: LocalCloud, clients: Callable[[LocalCloud], Clients], image: Path
) -> None:
    cloud.add_instance("theirs", [image], account=OTHER)
    credentials = clients(cloud)("sts").assume_role(
        RoleArn=f"arn:aws:iam::{OTHER}:role/scan", RoleSessionName="scan"
    )["Credentials"]
    client = boto3.client(
        "ec2",
        endpoint_url=cloud.endpoint,
        region_name="us-east-1",
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )
    (reservation,) = client.describe_instances()["Reservations"]
    client.close()
    assert reservation["OwnerId"] == OTHER
    assert cloud.calls("DescribeInstances", OTHER) == 1


def test_accounts_and_regions_are_apart(
    cloud: LocalCloud, clients: Callable[[LocalCloud], Clients], image: Path
) -> None:
    cloud.add_instance("here", [image])
    for client in (
        clients(cloud)("ec2", account=OTHER),
        clients(cloud)("ec2", region="eu-west-1"),
    ):
        assert client.describe_instances()["Reservations"] == []


def test_what_is_not_there_says_so(
    cloud: LocalCloud, clients: Callable[[LocalCloud], Clients]
) -> None:
    with pytest.raises(ClientError) as error:
        clients(cloud)("dynamodb").list_tables()
    assert code_of(error)[0] == "UnknownOperationException"
    with pytest.raises(ClientError) as error:
        clients(cloud)("ssm").describe_instance_patch_states(InstanceIds=["i-12345678"])
    assert code_of(error)[0] == "InvalidAction"


def test_a_region_that_does_not_exist_is_refused(
    cloud: LocalCloud, clients: Callable[[LocalCloud], Clients]
) -> None:
    with pytest.raises(ClientError) as error:
        clients(cloud)("ec2", region="mars-north-1").describe_instances()
    assert code_of(error)[0] == "AuthFailure"


def test_one_cloud_a_process_and_each_starts_empty(tmp_path: Path, image: Path) -> None:
    with LocalCloud(tmp_path / "a") as first:
        first.add_instance("web", [image])
        with pytest.raises(UsageError):
            LocalCloud(tmp_path / "b").start()
    with LocalCloud(tmp_path / "a") as second:
        client = boto3.client(
            "ec2",
            endpoint_url=second.endpoint,
            region_name="us-east-1",
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="local",  # noqa: S106 - nobody checks it
        )
        assert client.describe_instances()["Reservations"] == []
        client.close()
    first.stop()
    with pytest.raises(UsageError):
        _ = first.endpoint


def test_an_address_in_use_is_a_usage_error_and_leaves_nothing(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    port = int(cloud.endpoint.rpartition(":")[2])
    code = (
        "import sys; from pathlib import Path\n"
        "from sidelight.errors import UsageError\n"
        "from sidelight.localcloud.server import LocalCloud\n"
        f"try: LocalCloud(Path({str(tmp_path / 'b')!r}), port={port}).start()\n"
        "except UsageError as error: sys.exit(str(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert f"127.0.0.1:{port}: cannot listen" in done.stderr
    assert list((tmp_path / "b").iterdir()) == []


def test_frozen_images_of_a_killed_process_are_swept(tmp_path: Path, image: Path) -> None:
    left = tmp_path / "cloud" / "snapshots-left"
    left.mkdir(parents=True)
    (left / "snap.img").write_bytes(b"x")
    with LocalCloud(tmp_path / "cloud") as cloud:
        cloud.add_instance("web", [image])
        assert not left.exists()
    assert list((tmp_path / "cloud").iterdir()) == []
