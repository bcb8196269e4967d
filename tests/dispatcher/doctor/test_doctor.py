"""`sidelight doctor` on a local cloud: what it reports, and that it changes nothing."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import boto3
import pytest
from click.testing import CliRunner

from dispatcher.cli.local_stack.valkey import Valkey
from dispatcher.cli.root import sidelight
from sidelight.aws.sts import CallerIdentity
from sidelight.fleet.settings import Settings
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.localcloud.server import LocalCloud
from tests.fixtures.document_schemas import conform
from workers.app import make_app
from workers.listening import alive_workers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.services
ACCOUNT = "123456789012"
READS = ("Describe", "Get", "List", "Search")
TRIED = {
    "iam:SimulatePrincipalPolicy",
    "ec2:CreateSnapshots",
    "ec2:DeleteSnapshot",
    "ec2:ModifySnapshotAttribute",
}


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    image = tmp_path / "disk.img"
    image.write_bytes(b"\0" * (1 << 20))
    with LocalCloud(tmp_path / "cloud") as cloud:
        cloud.add_instance("private", [image], tags={"InspectorEc2Exclusion": ""})
        cloud.add_instance("web", [image])
        yield cloud


class Examined:
    """A doctor's document and exit status."""

    def __init__(self, cloud: LocalCloud, directory: Path, *options: str, **settings: str) -> None:
        environment: Mapping[str, str] = {
            **cloud.environment(),
            "SIDELIGHT_STORE_URL": f"sqlite:///{directory}/fleet.db",
            "SIDELIGHT_BROKER_URL": "memory://",
            **settings,
        }
        done = CliRunner(env=environment).invoke(
            sidelight, ["doctor", "--format", "json", *options]
        )
        document: object = json.loads(done.stdout)
        conform("doctor", document)
        assert isinstance(document, dict)
        self.status = done.exit_code
        self.checks: dict[str, dict[str, str]] = {
            check["name"]: check for check in document["checks"]
        }

    def of(self, name: str) -> str:
        return self.checks[name]["status"]


def test_what_works_is_ok_and_nothing_is_changed(cloud: LocalCloud, tmp_path: Path) -> None:
    found = Examined(cloud, tmp_path, SIDELIGHT_AGENTS="1")
    for name in (
        "identity", "clock", "ec2:DescribeInstances", "ec2:CreateSnapshots, ec2:CreateTags",
        "ec2:DeleteSnapshot", "ebs:ListSnapshotBlocks", "ebs:GetSnapshotBlock", "kms:DescribeKey",
        "kms:ListResourceTags", "servicequotas:GetServiceQuota", "rbin:ListRules",
        "network", "ssm:GetInventory",
    ):  # fmt: skip
        assert found.of(name) == "OK", found.checks[name]
    assert found.status == 2, "there is no advisory database"
    assert found.of("SIDELIGHT_ADVISORIES") == "ERROR"
    for tally in cloud.counters.tallies():
        is_read = tally.operation.partition(":")[2].startswith(READS)
        # A dry run is always answered with an error: DryRunOperation where it is allowed.
        assert is_read or (tally.operation in TRIED and tally.errors == tally.calls), tally
    assert cloud.snapshots() == []
    kms = boto3.client(
        "kms", endpoint_url=cloud.endpoint, region_name="us-east-1",
        aws_access_key_id=ACCOUNT, aws_secret_access_key="local",  # noqa: S106 - any
    )  # fmt: skip
    assert kms.list_keys()["Keys"] == []
    assert not (tmp_path / "fleet.db").exists()


@pytest.mark.parametrize(
    ("operation", "name", "status", "policy"),
    [
        ("CreateSnapshots", "ec2:CreateSnapshots, ec2:CreateTags", "ERROR", "target-policy"),
        ("DescribeVolumes", "ec2:DescribeVolumes", "ERROR", "target-policy"),
        ("ListResourceTags", "kms:ListResourceTags", "ERROR", "target-policy"),
        ("GetServiceQuota", "servicequotas:GetServiceQuota", "WARNING", "target-policy"),
        ("ListRules", "rbin:ListRules", "WARNING", "target-policy"),
        ("DescribeVpcPeeringConnections", "network", "WARNING", "target-network-policy"),
        ("GetInventory", "ssm:GetInventory", "ERROR", "target-agents-policy"),
        # The policy of deploy/iam denies these two as well for a snapshot that does not exist.
        ("ListSnapshotBlocks", "ebs:ListSnapshotBlocks", "NOT_CHECKED", "target-policy"),
        ("DeleteSnapshot", "ec2:DeleteSnapshot", "NOT_CHECKED", "target-policy"),
    ],
)
def test_a_denied_call_is_reported_with_its_permission_and_policy(  # noqa: PLR0917
    cloud: LocalCloud, tmp_path: Path, operation: str, name: str, status: str, policy: str
) -> None:
    cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, operation=operation)])
    found = Examined(cloud, tmp_path, SIDELIGHT_AGENTS="1")
    assert found.of(name) == status, found.checks[name]
    assert f"deploy/iam/{policy}.json" in found.checks[name]["remedy"]
    assert found.checks[name]["region"] == "us-east-1"


def test_an_explicit_denial_of_a_tagged_call_is_an_error(cloud: LocalCloud, tmp_path: Path) -> None:
    rule = Rule(
        FaultKind.ERROR, operation="ListSnapshotBlocks", code="AccessDeniedException", status=403,
        message="not authorized to perform: ebs:ListSnapshotBlocks with an explicit deny",
    )  # fmt: skip
    cloud.plan = FaultPlan([rule])
    assert Examined(cloud, tmp_path).of("ebs:ListSnapshotBlocks") == "ERROR"


def test_a_role_that_cannot_be_assumed_is_an_error_with_the_template(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    found = Examined(cloud, tmp_path, SIDELIGHT_ROLE_NAME="SidelightTarget")
    assert found.of("access") == "ERROR"
    assert "target.yaml" in found.checks["access"]["remedy"]
    assert "ec2:DescribeInstances" not in found.checks


def test_shared_snapshots_are_read_with_the_hubs_own_permissions(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    rule = Rule(FaultKind.ACCESS_DENIED, operation="ListSnapshotBlocks")
    cloud.plan = FaultPlan([rule])
    found = Examined(cloud, tmp_path, SIDELIGHT_SCANNER_ACCOUNT="9" * 12)
    assert found.of("ec2:ModifySnapshotAttribute") == "OK"
    assert found.of("ebs:ListSnapshotBlocks") == "ERROR"
    assert "scanner-sharing-policy" in found.checks["ebs:ListSnapshotBlocks"]["remedy"]


@pytest.mark.parametrize(
    ("offset", "status"),
    [(-3600.0, "ERROR"), (100.0, "WARNING"), (-1.5, "OK"), (float("nan"), "NOT_CHECKED")],
)
def test_a_clock_that_is_off_is_reported_by_how_much(
    cloud: LocalCloud,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    offset: float,
    status: str,
) -> None:
    identity = CallerIdentity(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", offset)
    monkeypatch.setattr("sidelight.aws.sts.caller", lambda *_, **__: identity)
    found = Examined(cloud, tmp_path)
    assert found.of("clock") == status
    assert ("ec2:DescribeInstances" in found.checks) == (status != "ERROR")


def test_credentials_that_aws_does_not_know_are_an_error(cloud: LocalCloud, tmp_path: Path) -> None:
    rule = Rule(
        FaultKind.ERROR, operation="GetCallerIdentity", code="ExpiredToken", status=403,
        message="The security token included in the request is expired",
    )  # fmt: skip
    cloud.plan = FaultPlan([rule])
    found = Examined(cloud, tmp_path)
    assert found.of("identity") == "ERROR"
    assert "expired" in found.checks["identity"]["detail"]


def test_a_profile_that_does_not_exist_is_an_error(cloud: LocalCloud, tmp_path: Path) -> None:
    found = Examined(cloud, tmp_path, AWS_PROFILE="nobodys")
    assert found.of("configuration") == "ERROR"
    assert found.status == 2


def test_the_profile_option_wins_over_keys_of_the_environment(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    configuration = tmp_path / "config"
    configuration.write_text(
        "[profile other]\naws_access_key_id = 999999999999\naws_secret_access_key = local\n"
    )
    found = Examined(cloud, tmp_path, "--profile", "other", AWS_CONFIG_FILE=str(configuration))
    assert found.checks["identity"]["account"] == "9" * 12
    assert Examined(cloud, tmp_path).checks["identity"]["account"] == ACCOUNT


def test_a_broker_is_reported_with_its_login_and_its_missing_workers(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    (tmp_path / "broker").mkdir()
    broker = Valkey(tmp_path / "broker")
    try:
        found = Examined(cloud, tmp_path, SIDELIGHT_BROKER_URL=broker.url)
    finally:
        broker.stop()
    assert found.of("TLS") == "OK"
    assert found.of("computing workers") == "WARNING"
    assert found.checks["reachable"]["detail"].startswith("redis://")


def test_a_worker_is_alive_by_its_heartbeat(tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()
    broker = Valkey(tmp_path / "broker")
    settings = Settings.of(broker_url=broker.url)
    app = make_app(settings)
    stop = threading.Event()

    def beat() -> None:
        with app.connection_for_write() as connection:
            dispatcher = app.events.Dispatcher(connection, hostname="waiting-1@host")
            while not stop.wait(0.1):
                dispatcher.send("worker-heartbeat")

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        assert alive_workers(settings, seconds=1.5) == {"waiting-1@host"}
    finally:
        stop.set()
        thread.join()
        broker.stop()
        app.close()


def test_a_readers_role_that_cannot_be_assumed_is_an_error(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    found = Examined(cloud, tmp_path, SIDELIGHT_READER_ROLE_NAME="SidelightReader")
    check = found.checks["sts:AssumeRole of SidelightReader"]
    assert check["status"] == "ERROR"
    assert "ReaderRoleName" in check["remedy"]
    assert found.of("ec2:DeleteSnapshot") == "OK", "the other role's checks go on"
    assert "ebs:ListSnapshotBlocks" not in found.checks


@pytest.mark.parametrize(("denied", "status"), [(False, "OK"), (True, "WARNING")])
def test_existing_snapshots_are_tried_by_a_real_one(
    cloud: LocalCloud, tmp_path: Path, denied: bool, status: str
) -> None:
    ec2 = boto3.client(
        "ec2", endpoint_url=cloud.endpoint, region_name="us-east-1",
        aws_access_key_id=ACCOUNT, aws_secret_access_key="local",  # noqa: S106 - any
    )  # fmt: skip
    (web,) = ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": ["web"]}])[
        "Reservations"
    ]
    volume = web["Instances"][0]["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    cloud.clock.advance(600.0)
    if denied:
        rule = Rule(FaultKind.ACCESS_DENIED, operation="ListSnapshotBlocks", resource=snapshot)
        cloud.plan = FaultPlan([rule])
    found = Examined(cloud, tmp_path, SIDELIGHT_EXISTING_SNAPSHOTS_HOURS="24")
    assert found.of("existing snapshots") == status, found.checks["existing snapshots"]
    if denied:
        assert "target-own-snapshots-policy" in found.checks["existing snapshots"]["remedy"]
    assert cloud.snapshots() == [snapshot]


def test_without_existing_snapshots_the_permission_is_not_decided(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    found = Examined(cloud, tmp_path, SIDELIGHT_EXISTING_SNAPSHOTS_HOURS="24")
    assert found.of("existing snapshots") == "NOT_CHECKED"
