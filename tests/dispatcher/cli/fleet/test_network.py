"""`sidelight fleet network` over the local cloud's EC2 and load balancers: a network's life."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from dispatcher.cli.root import sidelight
from sidelight.localcloud.conditions import KIND
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.localcloud.server import LocalCloud
from tests.fixtures.document_schemas import conform
from tests.fixtures.local_clouds import client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.services


class NetworkedCloud:
    """A VPC with one instance that is open to the world at port 22, behind a gateway."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.ec2: Any = client(cloud, "ec2")
        vpc = self.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        subnet = self.ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
        gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        table = self.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        self.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        self.ec2.create_route(
            RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway
        )
        self.group = self.ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)[
            "GroupId"
        ]
        self.open(22)

        interface = {"DeviceIndex": 0, "SubnetId": subnet, "Groups": [self.group],
                     "AssociatePublicIpAddress": True}  # fmt: skip
        (instance,) = self.ec2.run_instances(
            ImageId="ami-00000001", MinCount=1, MaxCount=1, NetworkInterfaces=[interface]
        )["Instances"]
        self.instance = str(instance["InstanceId"])

    def _rule(self, port: int) -> list[dict[str, object]]:
        return [{"IpProtocol": "tcp", "FromPort": port, "ToPort": port,
                 "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]  # fmt: skip

    def open(self, port: int) -> None:
        self.ec2.authorize_security_group_ingress(
            GroupId=self.group, IpPermissions=self._rule(port)
        )

    def shut(self, port: int) -> None:
        self.ec2.revoke_security_group_ingress(GroupId=self.group, IpPermissions=self._rule(port))

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(sidelight, ["fleet", *arguments])

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--format", "json").stdout)

    def evaluate(self) -> dict[str, int]:
        (result,) = self.json("network")
        found: dict[str, int] = result["findings"]
        return found

    def ports(self, status: str = "ACTIVE") -> dict[str, int]:
        rows = self.json("findings", "--type", "NETWORK_REACHABILITY", "--status", status)
        return {row["arn"]: row["open_port_range"]["begin"] for row in rows}


@pytest.fixture
def networked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NetworkedCloud]:
    with LocalCloud(tmp_path / "cloud", conditions=KIND) as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("SIDELIGHT_STORE_URL", f"sqlite:///{tmp_path}/store.db")
        monkeypatch.setenv("SIDELIGHT_BROKER_URL", "memory://")
        yield NetworkedCloud(cloud)


def test_a_rule_opens_a_finding_and_its_removal_closes_it(networked: NetworkedCloud) -> None:
    assert networked.evaluate() == {"opened": 1, "kept": 0, "closed": 0}
    (before,) = networked.ports().items()
    assert before[1] == 22
    networked.shut(22)
    assert networked.evaluate() == {"opened": 0, "kept": 0, "closed": 1}
    assert networked.ports("CLOSED") == dict([before])
    networked.open(22)
    assert networked.evaluate() == {"opened": 1, "kept": 0, "closed": 0}
    assert networked.ports() == dict([before])  # the same finding, reopened
    events = networked.run("events", "--types", "findings").stdout.splitlines()
    assert [line.split()[2] for line in events] == ["OPENED", "CLOSED", "REOPENED"]


def test_the_documents_have_their_shapes(networked: NetworkedCloud) -> None:
    conform("fleet-network", networked.json("network"))
    findings = networked.json("findings", "--type", "NETWORK_REACHABILITY")
    conform("fleet-findings", findings)
    assert findings[0]["title"] == "Port 22 is reachable from an Internet Gateway - TCP"
    assert "Port 22 is reachable" in networked.run("findings").stdout
    shapes = {f"Inspector2 {name.title()}": f"{name}-event" for name in ("finding", "coverage")}
    events = map(json.loads, networked.run("events", "--format", "json").stdout.splitlines())
    types = []
    for event in events:
        types.append(event["detail-type"])
        conform(shapes[event["detail-type"]], event)
    assert set(types) == set(shapes)


def test_network_coverage_is_shown(networked: NetworkedCloud) -> None:
    networked.evaluate()
    rows = networked.json("coverage", "--scan-type", "NETWORK")
    conform("fleet-coverage", rows)
    assert [(row["instance"], row["status_code"]) for row in rows] == [
        (networked.instance, "ACTIVE")
    ]
    assert rows[0]["scanned_at"]
    assert rows[0]["next_due_at"]
    assert rows[0]["findings"] == {"MEDIUM": 1}


def test_a_denied_call_closes_nothing_and_names_the_permission(networked: NetworkedCloud) -> None:
    networked.evaluate()
    networked.shut(22)
    denied = Rule(FaultKind.ACCESS_DENIED, operation="DescribeRouteTables")
    networked.cloud.plan = FaultPlan([denied])
    done = networked.run("network")
    assert done.exit_code == 3
    assert list(networked.ports().values()) == [22]
    (row,) = networked.json("coverage", "--scan-type", "NETWORK")
    assert (row["status_code"], row["reason"]) == ("INACTIVE", "ACCESS_DENIED")
    assert "ec2:DescribeRouteTables" in row["detail"]
    networked.cloud.plan = FaultPlan([])
    networked.evaluate()
    assert not networked.ports()


def test_the_exclusion_tag_closes_network_findings(networked: NetworkedCloud) -> None:
    networked.evaluate()
    networked.ec2.create_tags(
        Resources=[networked.instance], Tags=[{"Key": "InspectorEc2Exclusion", "Value": ""}]
    )
    networked.run("network")
    assert not networked.ports()
    (row,) = networked.json("coverage", "--scan-type", "NETWORK")
    assert (row["status_code"], row["reason"]) == ("INACTIVE", "EXCLUDED_BY_TAG")


def test_a_stopped_instance_keeps_its_findings(networked: NetworkedCloud) -> None:
    networked.evaluate()
    networked.ec2.stop_instances(InstanceIds=[networked.instance])
    networked.run("network")
    assert list(networked.ports().values()) == [22]
    (row,) = networked.json("coverage", "--scan-type", "NETWORK")
    assert (row["status_code"], row["reason"]) == ("INACTIVE", "EC2_INSTANCE_STOPPED")
