"""Networks drawn by hand, for what no recorded network has."""

from __future__ import annotations

import pytest

from sidelight.model.advisories import Severity
from sidelight.reachability import EdgeKind
from tests.reachability.drawing import Drawing, entry, everything, public_network, route, tcp
from tests.reachability.drawn_findings import findings_of, network_of, open_ports


def _main_table(*routes: dict[str, object]) -> dict[str, list[object]]:
    local = route("10.0.0.0/16", "local")
    table = {"RouteTableId": "rtb-x", "VpcId": "vpc-1", "Routes": [local, *routes]}
    return {"RouteTables": [{**table, "Associations": [{"Main": True}]}]}


_DETACHING = [{"VpcId": "vpc-1", "State": "detaching"}]


def test_a_port_is_open_to_its_rules_sources_and_no_others() -> None:
    assert open_ports(public_network()) == {
        ("igw-1", 22, 22): ("203.0.113.7/32",),
        ("igw-1", 443, 443): ("0.0.0.0/0",),
    }
    anywhere = {finding.port_begin: finding.anywhere for finding in findings_of(public_network())}
    assert anywhere == {22: False, 443: True}


def test_a_finding_has_inspectors_texts_and_steps() -> None:
    finding = next(one for one in findings_of(public_network()) if one.port_begin == 22)
    assert finding.title == "Port 22 is reachable from an Internet Gateway - TCP"
    assert finding.description == (
        "On the instance i-web, the port range 22-22 is reachable from the InternetGateway igw-1 "
        "from an attached ENI eni-web."
    )
    assert finding.severity == Severity.MEDIUM
    assert [(step.id, step.type) for step in finding.steps] == [
        ("igw-1", "AWS::EC2::InternetGateway"),
        ("acl-vpc-1", "AWS::EC2::NetworkAcl"),
        ("sg-1", "AWS::EC2::SecurityGroup"),
        ("eni-web", "AWS::EC2::NetworkInterface"),
        ("i-web", "AWS::EC2::Instance"),
    ]
    assert "sg-1/ingress/tcp/22-22/203.0.113.7/32" in {step.rule for step in finding.full_path}


def test_overlapping_rules_are_cut_where_their_sources_differ() -> None:
    drawing = public_network()
    drawing.lists["SecurityGroups"][0]["IpPermissions"] = [
        tcp(20, "203.0.113.0/24", last=30),
        tcp(25, "203.0.113.128/25", "198.51.100.0/24", last=26),
    ]
    assert open_ports(drawing) == {
        ("igw-1", 20, 24): ("203.0.113.0/24",),
        ("igw-1", 25, 26): ("198.51.100.0/24", "203.0.113.0/24"),
        ("igw-1", 27, 30): ("203.0.113.0/24",),
    }


def test_icmp_is_no_finding_and_all_protocols_are_tcp_and_udp() -> None:
    drawing = public_network()
    drawing.lists["SecurityGroups"][0]["IpPermissions"] = [tcp(-1, "0.0.0.0/0", protocol="icmp")]
    assert findings_of(drawing) == []
    drawing.lists["SecurityGroups"][0]["IpPermissions"] = [everything()]
    found = {(one.protocol, one.port_begin, one.port_end) for one in findings_of(drawing)}
    assert found == {("TCP", 0, 65535), ("UDP", 0, 65535)}


@pytest.mark.parametrize(
    "change",
    [
        _main_table(),
        _main_table(route("0.0.0.0/0", "igw-1", "blackhole")),
        _main_table(route("0.0.0.0/0", "nat-1")),
        {"InternetGateways": [{"InternetGatewayId": "igw-1", "Attachments": _DETACHING}]},
        {"SecurityGroups": [{"GroupId": "sg-1", "IpPermissions": []}]},
    ],
    ids=["no-route", "blackhole", "nat", "detaching", "no-rule"],
)
def test_without_a_way_there_or_back_nothing_is_found(change: dict[str, list[object]]) -> None:
    drawing = public_network()
    drawing.lists.update(change)
    assert findings_of(drawing) == []


def test_an_instance_that_does_not_run_has_no_findings() -> None:
    drawing = public_network()
    drawing.instance(
        "off", "subnet-1", "10.0.1.11", "sg-1", public="198.51.100.11", state="stopped"
    )
    assert {finding.instance_id for finding in findings_of(drawing)} == {"i-web"}


def test_a_network_acl_is_asked_in_the_order_of_its_numbers() -> None:
    drawing = public_network()
    drawing.acl(
        "acl-1",
        "vpc-1",
        entry(20, "deny", "0.0.0.0/0", (0, 1023)),
        entry(10, "allow", "203.0.113.0/24", (443, 443)),
        entry(30, "allow", "0.0.0.0/0"),
        entry(10, "allow", "0.0.0.0/0", egress=True),
        subnets=("subnet-1",),
    )
    assert open_ports(drawing) == {("igw-1", 443, 443): ("203.0.113.0/24",)}


def test_an_answer_needs_an_ephemeral_port_that_the_network_acl_lets_out() -> None:
    drawing = public_network()
    closed = [
        entry(1, "allow", "0.0.0.0/0"),
        entry(1, "allow", "0.0.0.0/0", (443, 443), egress=True),
    ]
    drawing.acl("acl-1", "vpc-1", *closed, subnets=("subnet-1",))
    assert findings_of(drawing) == []
    drawing.lists["NetworkAcls"][-1]["Entries"].append(
        entry(2, "allow", "203.0.113.0/25", (60000, 60000), egress=True)
    )
    assert open_ports(drawing)["igw-1", 443, 443] == ("203.0.113.0/25",)


def test_sources_that_are_answered_by_another_way_are_left_out() -> None:
    drawing = public_network()
    drawing.lists["RouteTables"][0]["Routes"].append(route("203.0.113.0/24", "vgw-1"))
    assert ("igw-1", 22, 22) not in open_ports(drawing)


def test_ipv6_needs_its_own_rules_and_routes() -> None:
    drawing = public_network()
    drawing.instance("six", "subnet-1", "10.0.1.12", "sg-6", ipv6="2a05:d018:1:1::12")
    drawing.group("sg-6", "vpc-1", tcp(443, "::/0"), tcp(22, "2001:db8::/32"))
    assert open_ports(drawing, "i-six") == {
        ("igw-1", 22, 22): ("2001:db8::/32",),
        ("igw-1", 443, 443): ("::/0",),
    }
    assert {finding.family for finding in findings_of(drawing, "i-six")} == {6}


def test_a_shared_subnets_interfaces_belong_to_their_own_account() -> None:
    drawing = public_network()
    drawing.instance(
        "theirs", "subnet-1", "10.0.1.20", "sg-1", public="198.51.100.20", OwnerId="222222222222"
    )
    accounts = {finding.instance_id: finding.account for finding in findings_of(drawing)}
    assert accounts == {"i-web": "111111111111", "i-theirs": "222222222222"}


def _peered() -> Drawing:
    drawing = Drawing()
    drawing.vpc("vpc-a", "10.1.0.0/16", route("10.2.0.0/16", "pcx-1"))
    drawing.vpc("vpc-b", "10.2.0.0/16", route("10.1.0.0/16", "pcx-1"))
    drawing.peering("pcx-1", "vpc-a", "vpc-b")
    for letter, number in (("a", 1), ("b", 2)):
        drawing.subnet(f"subnet-{letter}", f"vpc-{letter}", f"10.{number}.0.0/24")
        drawing.instance(letter, f"subnet-{letter}", f"10.{number}.0.10", f"sg-{letter}")
    drawing.group("sg-a", "vpc-a")
    drawing.group("sg-b", "vpc-b", tcp(22, "sg-a"), tcp(80, "10.0.0.0/8"))
    return drawing


def test_a_group_of_a_peer_is_its_interfaces_addresses() -> None:
    assert open_ports(_peered(), "i-b") == {
        ("pcx-1", 22, 22): ("10.1.0.10/32",),
        ("pcx-1", 80, 80): ("10.1.0.0/16",),
    }
    assert network_of(_peered()).explain("i-a", "i-b", "tcp", 22).reachable


def test_a_peering_is_not_transitive() -> None:
    drawing = _peered()
    drawing.vpc("vpc-c", "10.3.0.0/16", route("10.2.0.0/16", "pcx-2"))
    drawing.peering("pcx-2", "vpc-c", "vpc-a")
    drawing.subnet("subnet-c", "vpc-c", "10.3.0.0/24")
    drawing.group("sg-c", "vpc-c")
    drawing.instance("c", "subnet-c", "10.3.0.10", "sg-c")
    explained = network_of(drawing).explain("i-c", "10.2.0.10", "tcp", 80)
    assert (explained.reachable, explained.verdict) == (False, "NULL_ROUTED")
    assert all(
        one.sources == ("10.1.0.0/16",)
        for one in findings_of(drawing, "i-b")
        if one.port_begin == 80
    )


def test_a_virtual_gateway_is_an_edge_if_a_connection_ends_at_it() -> None:
    drawing = public_network()
    drawing.virtual_gateway("vgw-1", "vpc-1")
    drawing.lists["RouteTables"][0]["Routes"].append(route("172.16.0.0/12", "vgw-1"))
    drawing.lists["SecurityGroups"][0]["IpPermissions"] = [tcp(22, "172.16.9.0/24")]
    assert open_ports(drawing) == {}
    drawing.virtual_gateway("vgw-1", "vpc-1", "vpn-1")
    assert open_ports(drawing) == {("vgw-1", 22, 22): ("172.16.9.0/24",)}
    finding = findings_of(drawing)[0]
    assert (finding.edge_kind, finding.severity) == (EdgeKind.VIRTUAL_GATEWAY, Severity.LOW)


def test_a_group_of_another_vpc_that_is_associated_counts() -> None:
    drawing = public_network()
    drawing.vpc("vpc-2", "10.2.0.0/16")
    drawing.group("sg-2", "vpc-2", tcp(80, "0.0.0.0/0"))
    drawing.lists["NetworkInterfaces"][0]["Groups"] = [{"GroupId": "sg-2"}]
    drawing.lists["SecurityGroupVpcAssociations"].append(
        {"GroupId": "sg-2", "VpcId": "vpc-1", "State": "associated"}
    )
    assert open_ports(drawing) == {("igw-1", 80, 80): ("0.0.0.0/0",)}


def test_a_groups_members_are_unknown_behind_an_endpoint() -> None:
    drawing = public_network()
    drawing.subnet("subnet-2", "vpc-1", "10.0.2.0/24")
    drawing.subnet("subnet-fw", "vpc-1", "10.0.3.0/24")
    drawing.group("sg-2", "vpc-1", tcp(80, "sg-1"), tcp(81, "10.0.1.0/24"))
    drawing.instance("two", "subnet-2", "10.0.2.10", "sg-2")
    assert network_of(drawing).explain("i-web", "i-two", "tcp", 80).reachable
    drawing.lists["VpcEndpoints"].append(
        {
            "VpcEndpointId": "vpce-1",
            "VpcEndpointType": "GatewayLoadBalancer",
            "VpcId": "vpc-1",
            "State": "available",
            "SubnetIds": ["subnet-fw"],
        }
    )
    drawing.table("rtb-1", "vpc-1", route("10.0.2.0/24", "vpce-1"), subnets=("subnet-1",))
    drawing.table("rtb-2", "vpc-1", route("10.0.1.0/24", "vpce-1"), subnets=("subnet-2",))
    assert not network_of(drawing).explain("i-web", "i-two", "tcp", 80).reachable
    assert network_of(drawing).explain("i-web", "i-two", "tcp", 81).reachable


def test_a_subnets_router_is_answered_where_it_is() -> None:
    drawing = public_network()
    drawing.subnet("subnet-2", "vpc-1", "10.0.2.0/24")
    drawing.lists["SecurityGroups"][0]["IpPermissions"].append(tcp(80, "10.0.2.0/25"))
    network = network_of(drawing)
    for source in ("subnet-2", "vpc-1", "10.0.2.77"):
        assert network.explain(source, "i-web", "tcp", 80).reachable, source
    assert network.explain("subnet-2", "i-web", "tcp", 80).sources == ("10.0.2.0/25",)
    assert not network.explain("10.0.2.200", "i-web", "tcp", 80).reachable
    drawing.acl("acl-1", "vpc-1", entry(1, "allow", "0.0.0.0/0"), subnets=("subnet-1",))
    for source in ("subnet-2", "vpc-1", "10.0.2.77"):
        explained = network_of(drawing).explain(source, "i-web", "tcp", 80)
        assert (explained.reachable, explained.verdict) == (False, "DENIED_OUT"), source


def test_every_address_of_a_delegated_prefix_is_reached() -> None:
    drawing = public_network()
    drawing.group("sg-6", "vpc-1", tcp(22, "::/0"))
    delegated = [{"Ipv6Prefix": "2a05:d018:1:1:a::/80"}]
    drawing.instance("pod", "subnet-1", "10.0.1.12", "sg-6", Ipv6Prefixes=delegated)
    network = network_of(drawing)
    for address in ("2a05:d018:1:1:a::", "2a05:d018:1:1:a::7", "2a05:d018:1:1:a:ffff:ffff:ffff"):
        assert network.explain("internet", address, "tcp", 22).hops[-1] == "i-pod"
        assert network.explain(address, "2600::1", "tcp", 443).reachable
    assert not network.explain("internet", "2a05:d018:1:1:b::", "tcp", 22).reachable


@pytest.mark.parametrize(("region", "reachable"), [("eu-west-1", True), ("us-east-1", False)])
def test_a_rule_names_no_group_of_a_peer_in_another_region(region: str, reachable: bool) -> None:
    drawing = Drawing()
    for number in (1, 2):
        other = route(f"10.{3 - number}.0.0/16", "pcx-1")
        drawing.vpc(f"vpc-{number}", f"10.{number}.0.0/16", other)
        drawing.subnet(f"subnet-{number}", f"vpc-{number}", f"10.{number}.1.0/24")
    drawing.group("sg-1", "vpc-1", egress=[tcp(22, "sg-2")])
    drawing.group("sg-2", "vpc-2", tcp(22, "10.1.0.0/16"))
    for number in (1, 2):
        drawing.instance(str(number), f"subnet-{number}", f"10.{number}.1.10", f"sg-{number}")
    drawing.peering("pcx-1", "vpc-1", "vpc-2")
    drawing.lists["VpcPeeringConnections"][0]["AccepterVpcInfo"]["Region"] = region
    assert network_of(drawing).explain("i-1", "i-2", "tcp", 22).reachable is reachable


def test_equal_routes_of_two_prefix_lists_are_said_not_to_be_decided() -> None:
    drawing = public_network()
    for name, blocks in (("pl-1", ("8.0.0.0/8", "9.0.0.0/8")), ("pl-2", ("9.0.0.0/8",))):
        entries = [{"Cidr": block} for block in blocks]
        drawing.lists["ManagedPrefixListEntries"].append({"PrefixListId": name, "Entries": entries})
    routes = drawing.lists["RouteTables"][0]["Routes"]
    routes += [route("pl-1", "igw-1"), route("pl-2", "igw-1")]
    assert not any("chose" in problem.what for problem in network_of(drawing).problems)
    routes[-1] = route("pl-2", "tgw-1")
    (problem,) = [one for one in network_of(drawing).problems if "chose" in one.what]
    assert "9.0.0.0/8" in problem.what
    assert "igw-1 or tgw-1" in problem.what


def test_entries_of_other_families_and_protocols_change_nothing() -> None:
    drawing = public_network()
    drawing.group("sg-6", "vpc-1", tcp(0, "::/0", "0.0.0.0/0", last=65535))
    drawing.subnet("subnet-n", "vpc-1", "10.0.9.0/24", ipv6="2a05:d018:1:9::/64")
    drawing.instance(
        "n", "subnet-n", "10.0.9.9", "sg-6", public="198.51.100.9", ipv6="2a05:d018:1:9::9"
    )
    every_type = {"IcmpTypeCode": {"Type": -1, "Code": -1}}
    drawing.acl(
        "acl-n", "vpc-1",
        {**entry(1, "deny", "0.0.0.0/0"), "Protocol": "1", **every_type},
        {**entry(2, "deny", "::/0"), "Protocol": "58", **every_type},
        entry(3, "deny", "::/0", (0, 1023)),
        entry(4, "allow", "::/0"),
        entry(5, "allow", "0.0.0.0/0", (22, 22)),
        entry(6, "deny", "0.0.0.0/0"),
        entry(7, "allow", "0.0.0.0/0"),
        entry(1, "allow", "0.0.0.0/0", (60000, 60000), egress=True),
        entry(2, "allow", "::/0", (1024, 65535), egress=True),
        subnets=("subnet-n",),
    )  # fmt: skip
    assert open_ports(drawing, "i-n") == {
        ("igw-1", 22, 22): ("0.0.0.0/0",),
        ("igw-1", 1024, 65535): ("::/0",),
    }
    assert not network_of(drawing).explain("internet", "i-n", "icmp", 8, family=4).reachable
