"""`sidelight network` over dumps of real and hostile networks, and against the local cloud."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from rich.text import Text

from dispatcher.cli import root
from dispatcher.cli.exit_status import DONE, FAILED, PARTIAL, WRONG_USAGE
from dispatcher.cli.network import views
from sidelight.localcloud.conditions import KIND
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.localcloud.server import LocalCloud
from sidelight.reachability.answers.dump import load_dump
from sidelight.reachability.network import Network
from sidelight.reachability.results import EdgeKind
from sidelight.report.tables import Report
from tests.fixtures.document_schemas import conform
from tests.fixtures.local_clouds import client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BATFISH = "control-plane/reachability/batfish"
# A network of one instance behind an internet gateway, with a group that allows SSH from anywhere.
VPC, SUBNET, GROUP, INSTANCE = "vpc-1", "subnet-1", "sg-1", "i-1"
SSH = f"{GROUP}/ingress/tcp/22-22/0.0.0.0/0"


def answers(name: str = GROUP) -> dict[str, list[Any]]:
    """Return a small network's describe answers; `name` is the group's id."""
    interface = {
        "NetworkInterfaceId": "eni-1", "VpcId": VPC, "SubnetId": SUBNET, "OwnerId": "1" * 12,
        "Status": "in-use", "Groups": [{"GroupId": name, "GroupName": "web"}],
        "Attachment": {"InstanceId": INSTANCE, "DeviceIndex": 0, "Status": "attached"},
        "PrivateIpAddress": "10.0.0.10", "Ipv6Addresses": [], "SourceDestCheck": True,
        "PrivateIpAddresses": [
            {"Primary": True, "PrivateIpAddress": "10.0.0.10",
             "Association": {"PublicIp": "18.216.0.10"}}],
    }  # fmt: skip
    rules = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22,
              "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]  # fmt: skip
    out = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    entry = {"CidrBlock": "0.0.0.0/0", "Protocol": "-1", "RuleAction": "allow", "RuleNumber": 100}
    return {
        "Vpcs": [{"VpcId": VPC, "CidrBlock": "10.0.0.0/16", "State": "available"}],
        "Subnets": [{"SubnetId": SUBNET, "VpcId": VPC, "CidrBlock": "10.0.0.0/24",
                     "AvailabilityZone": "us-east-1a"}],
        "InternetGateways": [{"InternetGatewayId": "igw-1",
                              "Attachments": [{"State": "available", "VpcId": VPC}]}],
        "RouteTables": [{"RouteTableId": "rtb-1", "VpcId": VPC, "Associations": [{"Main": True}],
                         "Routes": [
                             {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local",
                              "State": "active", "Origin": "CreateRouteTable"},
                             {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1",
                              "State": "active", "Origin": "CreateRoute"}]}],
        "NetworkAcls": [{"NetworkAclId": "acl-1", "VpcId": VPC, "IsDefault": True,
                         "Associations": [{"SubnetId": SUBNET}],
                         "Entries": [{**entry, "Egress": True}, {**entry, "Egress": False}]}],
        "SecurityGroups": [{"GroupId": name, "GroupName": "web", "VpcId": VPC,
                            "IpPermissions": rules, "IpPermissionsEgress": out}],
        "NetworkInterfaces": [interface],
        "Reservations": [{"Instances": [{"InstanceId": INSTANCE, "State": {"Name": "running"},
                                         "VpcId": VPC}]}],
    }  # fmt: skip


def write_dump(folder: Path, lists: dict[str, list[Any]]) -> Path:
    place = folder / "aws_configs" / "accounts" / ("1" * 12) / "us-east-1"
    place.mkdir(parents=True)
    for name, objects in lists.items():
        (place / f"{name}.json").write_text(json.dumps({name: objects}))
    return folder


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    return write_dump(tmp_path / "dump", answers())


def ask(dump: Path, *more: str, port: int = 22) -> int:
    words = ["network", "explain", "--from-dump", str(dump), "--source", "internet"]
    return root.run([*words, "--to", INSTANCE, "--port", str(port), *more])


def test_an_explanation_in_json_has_the_four_members_alone(
    dump: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(dump, "--format", "json", port=80) == DONE
    found = json.loads(capsys.readouterr().out)
    conform("network-explanation", found)
    assert found == {
        "reachable": False,
        "verdict": "DENIED_IN",
        "hops": ["internet", "aws-backbone", "igw-1", VPC, SUBNET, INSTANCE],
        "stopped_by": {"id": GROUP, "type": "AWS::EC2::SecurityGroup", "rule": None},
    }
    assert ask(dump, "--format", "json") == DONE
    assert json.loads(capsys.readouterr().out)["stopped_by"] is None


def test_an_explanation_for_people_lists_the_hops_and_what_stops_the_packet(
    dump: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(dump, port=80) == DONE
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "Hop\tId\tKind"
    assert shown[2:4] == ["2\taws-backbone\tAWS's network", "3\tigw-1\tinternet gateway"]
    assert shown[-1] == f"# Not reachable: DENIED_IN, no rule of security group {GROUP} allows it"


def test_without_a_rule_its_port_is_closed(dump: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(dump, "--without", SSH) == DONE
    assert "# Not reachable: DENIED_IN" in capsys.readouterr().out
    assert ask(dump, "--without", "sg-1/ingress/tcp/23-23/0.0.0.0/0") == WRONG_USAGE


def test_with_another_group_its_port_is_open(
    dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    group = answers()["SecurityGroups"][0]
    group["IpPermissions"][0] |= {"FromPort": 80, "ToPort": 80}
    changes = tmp_path / "changes.json"
    changes.write_text(json.dumps({"SecurityGroups": [group]}))
    assert ask(dump, "--with", str(changes), "--format", "json", port=80) == DONE
    assert json.loads(capsys.readouterr().out)["reachable"] is True


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[", "not readable as JSON"),
        ("[]", "needs an object"),
        ('{"Vpc": []}', "no such kind of object: Vpc"),
        ('{"Vpcs": {}}', "Vpcs is not a list"),
        ("[" * 100_000, "not readable as JSON"),
    ],
)
def test_a_file_of_changes_that_is_none_is_wrong_usage(
    dump: Path, tmp_path: Path, text: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = tmp_path / "changes.json"
    changes.write_text(text)
    assert ask(dump, "--with", str(changes)) == WRONG_USAGE
    assert words in capsys.readouterr().err


def test_a_new_object_of_a_network_of_two_regions_needs_an_owner(
    dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = dump / "aws_configs" / "accounts" / ("2" * 12) / "us-east-1"
    other.mkdir(parents=True)
    (other / "Vpcs.json").write_text(json.dumps({"Vpcs": []}))
    changes = tmp_path / "changes.json"
    group = {"GroupId": "sg-9", "VpcId": VPC, "IpPermissions": [], "IpPermissionsEgress": []}
    changes.write_text(json.dumps({"SecurityGroups": [group]}))
    assert ask(dump, "--with", str(changes)) == WRONG_USAGE
    assert "add an OwnerId" in capsys.readouterr().err
    changes.write_text(json.dumps({"SecurityGroups": [{**group, "OwnerId": "1" * 12}]}))
    assert ask(dump, "--with", str(changes)) == DONE


def test_a_scan_lists_each_open_port_with_its_edge_and_sources(
    dump: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert root.run(["network", "scan", "--from-dump", str(dump)]) == DONE
    titles, row, total = capsys.readouterr().out.splitlines()
    cells = dict(zip(titles.split("\t"), row.split("\t"), strict=True))
    assert cells["Severity"] == "MEDIUM"
    assert (cells["Ports"], cells["Protocol"], cells["Instance"]) == ("22", "TCP", INSTANCE)
    assert (cells["From"], cells["Edge"], cells["Sources"]) == ("internet", "igw-1", "0.0.0.0/0")
    assert total == "# 1 finding: 1 medium; on 1 instance"


def test_a_scan_in_json_has_inspectors_steps_and_the_rules(
    dump: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert root.run(["network", "scan", "--from-dump", str(dump), "--format", "json"]) == DONE
    document = json.loads(capsys.readouterr().out)
    conform("network-scan", document)
    (found,) = document["findings"]
    assert found["title"] == "Port 22 is reachable from an Internet Gateway - TCP"
    assert found["open_port_range"] == {"begin": 22, "end": 22}
    assert found["edge"] == {"id": "igw-1", "kind": "INTERNET_GATEWAY"}
    assert [step["id"] for step in found["steps"]] == ["igw-1", "acl-1", GROUP, "eni-1", INSTANCE]
    assert SSH in [step.get("rule") for step in found["full_path"]]


def test_a_file_that_cannot_be_read_makes_the_answer_partial(
    dump: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (next(dump.rglob("Vpcs.json")).parent / "VpnGateways.json").write_text('{"VpnGateways": [')
    assert root.run(["network", "scan", "--from-dump", str(dump)]) == PARTIAL
    assert "VpnGateways.json: not readable as JSON" in capsys.readouterr().err


def test_a_folder_without_answers_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert root.run(["network", "scan", "--from-dump", str(tmp_path)]) == FAILED
    assert "no file of describe answers" in capsys.readouterr().err


def test_an_unknown_instance_is_wrong_usage(dump: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--from-dump", str(dump), "--source", "internet", "--to", "i-9", "--port", "22"]
    assert root.run(["network", "explain", *words]) == WRONG_USAGE
    assert "i-9" in capsys.readouterr().err


def test_a_hostile_id_is_inert_in_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = "sg-\x1b[2J\x1b]0;owned\x07\n\t\u202e"
    dump = write_dump(tmp_path / "dump", answers(hostile))
    for words in (["scan"], ["explain", "--source", "internet", "--to", INSTANCE, "--port", "80"]):
        assert root.run(["network", *words, "--from-dump", str(dump)]) in {DONE, PARTIAL}
        shown = capsys.readouterr()
        for character in ("\x1b", "\x07", "\u202e"):
            assert character not in shown.out + shown.err


class Terminal(io.StringIO):
    """A terminal of a width."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [80, 160])
def test_the_table_of_findings_fits_a_terminal(
    dump: Path, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    network = Network.from_answers(load_dump(dump))
    views.show_findings(Report(terminal), list(network.findings()), network.problems)
    lines = [Text.from_ansi(line).plain for line in terminal.getvalue().splitlines()]
    assert any("0.0.0.0/0" in line for line in lines)
    assert max(map(len, lines)) <= width


def test_each_kind_of_edge_has_a_name() -> None:
    assert {kind.value for kind in EdgeKind} == set(views.EDGES)


@pytest.mark.conformance
def test_the_dumps_of_real_networks_are_scanned_without_a_fault(
    shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    networks = [path.parent for path in (shared_data / BATFISH).glob("*/aws_configs")]
    assert len(networks) == 13
    for network in networks:
        assert (
            root.run(["network", "scan", "--from-dump", str(network), "--format", "json"]) == DONE
        )
        assert json.loads(capsys.readouterr().out)["findings"] is not None


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path / "cloud", conditions=KIND) as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        yield cloud


def _public_instance(cloud: LocalCloud) -> str:
    """Run an instance with a public address, and a group that lets SSH in."""
    ec2 = client(cloud, "ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(VpcId=vpc, InternetGatewayId=gateway)
    filters = [{"Name": "vpc-id", "Values": [vpc]}]
    table = ec2.describe_route_tables(Filters=filters)["RouteTables"][0]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    group = ec2.create_security_group(GroupName="web", Description="d", VpcId=vpc)["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0"
    )
    image = ec2.register_image(Name="any")["ImageId"]
    interface = {
        "DeviceIndex": 0,
        "SubnetId": subnet,
        "Groups": [group],
        "AssociatePublicIpAddress": True,
    }
    reservation = ec2.run_instances(
        ImageId=image, MinCount=1, MaxCount=1, NetworkInterfaces=[interface]
    )
    return str(reservation["Instances"][0]["InstanceId"])


@pytest.mark.services
def test_an_account_is_scanned_by_its_describe_calls(
    cloud: LocalCloud, capsys: pytest.CaptureFixture[str]
) -> None:
    instance = _public_instance(cloud)
    assert root.run(["network", "scan", "--format", "json"]) == DONE
    document = json.loads(capsys.readouterr().out)
    conform("network-scan", document)
    (found,) = document["findings"]
    assert (found["instance"], found["account"]) == (instance, "123456789012")
    assert found["open_port_range"] == {"begin": 22, "end": 22}
    words = ["--source", "internet", "--to", instance, "--port", "22", "--format", "json"]
    assert root.run(["network", "explain", *words]) == DONE
    assert json.loads(capsys.readouterr().out)["verdict"] == "ACCEPTED"


@pytest.mark.services
def test_a_dump_of_an_account_gives_the_same_findings(
    cloud: LocalCloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _public_instance(cloud)
    assert root.run(["network", "scan", "--format", "json"]) == DONE
    live = json.loads(capsys.readouterr().out)
    assert root.run(["network", "dump", str(tmp_path / "dump")]) == DONE
    assert "123456789012/us-east-1: 50 files" in capsys.readouterr().out
    words = ["network", "scan", "--format", "json", "--from-dump", str(tmp_path / "dump")]
    assert root.run(words) == DONE
    assert json.loads(capsys.readouterr().out) == live
    assert root.run(["network", "dump", str(tmp_path / "dump")]) == WRONG_USAGE


@pytest.mark.services
def test_a_refused_call_makes_a_dump_partial_and_names_the_permission(
    cloud: LocalCloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, operation="DescribeVpnGateways")])
    assert root.run(["network", "dump", str(tmp_path / "dump")]) == PARTIAL
    assert "needs ec2:DescribeVpnGateways" in capsys.readouterr().err
    assert not list((tmp_path / "dump").rglob("VpnGateways.json"))
    assert root.run(["network", "scan"]) == PARTIAL
    cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, operation="ec2:Describe*")])
