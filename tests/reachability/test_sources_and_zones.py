"""Questions from beyond an edge, zones of several accounts, and what the model does not follow."""

from __future__ import annotations

import pytest

from sidelight.reachability import Answers, Explanation, Network
from tests.reachability.drawing import REGION, Drawing, public_network, route, tcp


def _explained(drawing: Drawing, source: str, target: str, port: int = 80) -> Explanation:
    return Network.from_answers(drawing.answers()).explain(source, target, "tcp", port)


def _attach(drawing: Drawing, name: str, kind: str, resource: str, table: str = "tgw-rtb") -> None:
    association = {"TransitGatewayRouteTableId": table, "State": "associated"}
    drawing.lists["TransitGatewayAttachments"].append(
        {"TransitGatewayAttachmentId": name, "TransitGatewayId": "tgw-1", "ResourceType": kind,
         "ResourceId": resource, "State": "available", "Association": association}
    )  # fmt: skip


def _beyond(kind: str = "vpn", resource: str = "vpn-1") -> Drawing:
    """A server behind a transit gateway, to which something else is attached."""
    drawing = Drawing()
    drawing.vpc("vpc-1", "10.1.0.0/16", route("192.168.0.0/16", "tgw-1"))
    drawing.subnet("subnet-1", "vpc-1", "10.1.0.0/24")
    drawing.group("sg-1", "vpc-1", tcp(80, "192.168.0.0/16"))
    drawing.instance("a", "subnet-1", "10.1.0.10", "sg-1")
    _attach(drawing, "att-1", "vpc", "vpc-1")
    _attach(drawing, "att-far", kind, resource)
    routes = [
        {"DestinationCidrBlock": block, "Type": "static", "State": "active",
         "TransitGatewayAttachments": [{"TransitGatewayAttachmentId": to}]}
        for block, to in (("10.1.0.0/16", "att-1"), ("192.168.0.0/16", "att-far"))
    ]  # fmt: skip
    drawing.lists["TransitGatewayStaticRoutes"].append(
        {"TransitGatewayRouteTableId": "tgw-rtb", "Routes": routes}
    )
    return drawing


@pytest.mark.parametrize("source", ["192.168.7.7", "vpn-1", "att-far", "tgw-1"])
def test_a_packet_from_behind_a_transit_gateways_vpn_arrives(source: str) -> None:
    found = _explained(_beyond(), source, "i-a")
    assert (found.reachable, found.verdict) == (True, "ACCEPTED")
    assert found.hops == ("vpn-1", "tgw-1", "vpc-1", "subnet-1", "i-a")


def test_a_packet_from_behind_a_transit_gateways_vpn_needs_its_answers_route() -> None:
    drawing = _beyond()
    drawing.lists["TransitGatewayStaticRoutes"][0]["Routes"].pop()
    found = _explained(drawing, "vpn-1", "i-a")
    assert (found.reachable, found.verdict) == (False, "NO_ROUTE")
    assert found.stopped_by is not None
    assert found.stopped_by.id == "tgw-rtb"


def test_an_attachment_that_is_not_available_carries_nothing() -> None:
    drawing = _beyond()
    drawing.lists["TransitGatewayAttachments"][1]["State"] = "deleting"
    found = _explained(drawing, "att-far", "i-a")
    assert (found.verdict, found.stopped_by and found.stopped_by.id) == ("NULL_ROUTED", "att-far")


def test_what_is_behind_a_connect_attachment_is_said_not_to_be_known() -> None:
    drawing = _beyond("connect", "att-transport")
    out = _explained(drawing, "i-a", "192.168.7.7")
    assert out.verdict == "EXITS_NETWORK"
    assert out.notes == ("not accounted for: what lies behind att-far (connect)",)
    assert _explained(drawing, "att-far", "i-a").reachable
    found = next(Network.from_answers(drawing.answers()).findings())
    assert found.edge_id == "tgw-1"
    assert found.notes == ("not accounted for: which addresses are behind att-transport",)


def test_a_transit_route_by_a_prefix_list_has_its_entries() -> None:
    drawing = _beyond()
    way_back = drawing.lists["TransitGatewayStaticRoutes"][0]["Routes"][1]
    del way_back["DestinationCidrBlock"]
    way_back["PrefixListId"] = "pl-1"
    network = Network.from_answers(drawing.answers())
    assert not network.explain("vpn-1", "i-a", "tcp", 80).reachable
    problems = {problem.where: problem.what for problem in network.problems}
    assert problems["tgw-rtb"] == "a route by pl-1, whose entries are not known"
    drawing.lists["ManagedPrefixListEntries"].append(
        {"PrefixListId": "pl-1", "Entries": [{"Cidr": "192.168.0.0/16"}]}
    )
    assert _explained(drawing, "vpn-1", "i-a").reachable


@pytest.mark.parametrize("source", ["dxvif-1", "dxgw-1", "vgw-1", "172.16.9.9"])
def test_a_packet_over_direct_connect_is_asked_by_each_of_its_names(source: str) -> None:
    drawing = public_network()
    drawing.virtual_gateway("vgw-1", "vpc-1")
    drawing.lists["RouteTables"][0]["Routes"].append(route("172.16.0.0/12", "vgw-1"))
    drawing.lists["SecurityGroups"][0]["IpPermissions"] = [tcp(22, "172.16.9.0/24")]
    drawing.lists["VirtualInterfaces"].append(
        {"virtualInterfaceId": "dxvif-1", "virtualInterfaceState": "available",
         "directConnectGatewayId": "dxgw-1"}
    )  # fmt: skip
    drawing.lists["DirectConnectGatewayAssociations"].append(
        {"directConnectGatewayId": "dxgw-1", "associationState": "associated",
         "associatedGateway": {"id": "vgw-1", "type": "virtualPrivateGateway"}}
    )  # fmt: skip
    found = _explained(drawing, source, "i-web", 22)
    assert (found.reachable, found.hops[0]) == (True, "vgw-1")
    assert found.sources == (("172.16.9.9/32",) if "." in source else ("172.16.9.0/24",))


def test_a_packet_over_a_peering_is_asked_by_the_peerings_id() -> None:
    drawing = Drawing()
    drawing.vpc("vpc-a", "10.1.0.0/16")
    drawing.vpc("vpc-b", "10.2.0.0/16", route("10.1.0.0/16", "pcx-1"))
    drawing.peering("pcx-1", "vpc-a", "vpc-b")
    drawing.subnet("subnet-b", "vpc-b", "10.2.0.0/24")
    drawing.group("sg-b", "vpc-b", tcp(80, "10.1.5.0/24"))
    drawing.instance("b", "subnet-b", "10.2.0.10", "sg-b")
    found = _explained(drawing, "pcx-1", "i-b")
    assert (found.reachable, found.sources) == (True, ("10.1.5.0/24",))
    drawing.lists["VpcPeeringConnections"][0]["Status"]["Code"] = "expired"
    assert _explained(drawing, "pcx-1", "i-b").verdict == "NULL_ROUTED"


def _zoned(near_zone: str, near_id: str) -> Answers:
    """Two accounts whose names of zones differ; the gateway's interface is in use1-az1."""
    drawing = _beyond()
    first, second = "111111111111", "222222222222"
    subnet = {**drawing.lists["Subnets"][0], "AvailabilityZone": near_zone}
    if near_id:
        subnet["AvailabilityZoneId"] = near_id
    drawing.lists["Subnets"] = [subnet]
    drawing.lists["TransitGatewayVpcAttachments"].append(
        {"TransitGatewayAttachmentId": "att-1", "TransitGatewayId": "tgw-1", "VpcId": "vpc-1",
         "State": "available", "SubnetIds": ["subnet-2"], "Options": {"Ipv6Support": "enable"}}
    )  # fmt: skip
    shared = {
        "SubnetId": "subnet-2", "VpcId": "vpc-1", "CidrBlock": "10.1.9.0/24",
        "AvailabilityZone": "us-east-1b", "AvailabilityZoneId": "use1-az1",
    }  # fmt: skip
    names = [{"ZoneName": "us-east-1a", "ZoneId": "use1-az1"}]
    return Answers(
        {
            (first, REGION): {**drawing.lists, "AvailabilityZones": names},
            (second, REGION): {"Subnets": [shared]},
        }
    )


@pytest.mark.parametrize(
    ("name", "id_", "reachable"),
    [
        ("us-east-1a", "use1-az1", True),
        ("us-east-1a", "", True),
        ("us-east-1b", "use1-az2", False),
        ("us-east-1b", "", False),
    ],
    ids=["same-id", "name-of-the-account", "other-id", "name-of-another-account"],
)
def test_zones_are_equal_by_their_ids(name: str, id_: str, reachable: bool) -> None:
    network = Network.from_answers(_zoned(name, id_))
    assert network.explain("i-a", "192.168.7.7", "tcp", 443).reachable == reachable


@pytest.mark.parametrize(
    ("vpc", "subnet", "found"),
    [
        ("block-bidirectional", "off", True),
        ("block-bidirectional", "", False),
        ("block-bidirectional", "block-ingress", False),
        ("off", "block-ingress", False),
    ],
)
def test_a_subnets_own_word_about_blocked_access_counts_before_its_vpcs(
    vpc: str, subnet: str, found: bool
) -> None:
    drawing = public_network()
    drawing.lists["Vpcs"][0]["BlockPublicAccessStates"] = {"InternetGatewayBlockMode": vpc}
    if subnet:
        mode = {"InternetGatewayBlockMode": subnet}
        drawing.lists["Subnets"][0]["BlockPublicAccessStates"] = mode
    assert bool(list(Network.from_answers(drawing.answers()).findings())) == found


def test_an_ipv6_target_group_sends_to_the_instances_ipv6_address() -> None:
    drawing = public_network()
    drawing.instance("v6", "subnet-1", "10.0.1.30", "sg-v6", ipv6="2a05:d018:1:1::30")
    drawing.group("sg-v6", "vpc-1", tcp(8080, "2a05:d018:1:1::/64"))
    drawing.group("sg-lb", "vpc-1", tcp(443, "0.0.0.0/0"))
    drawing.target_group("tg-6", "vpc-1", 8080, {"i-v6": "healthy"})
    drawing.load_balancer(
        "lb", "application", {443: "tg-6"}, {"subnet-1": "198.51.100.99"}, "sg-lb"
    )
    node = drawing.lists["NetworkInterfaces"][-1]
    node["Ipv6Addresses"] = [{"Ipv6Address": "2a05:d018:1:1::99"}]
    ports = {
        found.port_begin
        for found in Network.from_answers(drawing.answers()).findings()
        if found.instance_id == "i-v6"
    }
    assert ports == set()  # the group takes IPv6 alone, and the target group is of IPv4
    drawing.lists["TargetGroups"][0]["IpAddressType"] = "ipv6"
    ports = {
        found.port_begin
        for found in Network.from_answers(drawing.answers()).findings()
        if found.instance_id == "i-v6"
    }
    assert ports == {8080}


def test_an_address_behind_a_transit_gateway_is_a_target() -> None:
    drawing = public_network()
    drawing.vpc("vpc-2", "10.2.0.0/16", route("10.0.0.0/16", "tgw-1"))
    drawing.subnet("subnet-2", "vpc-2", "10.2.0.0/24")
    drawing.group("sg-2", "vpc-2", tcp(8080, "10.0.1.0/24"))
    drawing.instance("far", "subnet-2", "10.2.0.10", "sg-2")
    drawing.lists["RouteTables"][0]["Routes"].append(route("10.2.0.0/16", "tgw-1"))
    _attach(drawing, "att-1", "vpc", "vpc-1")
    _attach(drawing, "att-2", "vpc", "vpc-2")
    enabled = [
        {"TransitGatewayAttachmentId": f"att-{n}", "ResourceId": f"vpc-{n}", "State": "enabled"}
        for n in (1, 2)
    ]
    drawing.lists["TransitGatewayPropagations"].append(
        {"TransitGatewayRouteTableId": "tgw-rtb", "TransitGatewayRouteTablePropagations": enabled}
    )
    drawing.group("sg-lb", "vpc-1", tcp(443, "0.0.0.0/0"))
    drawing.target_group("tg-2", "vpc-1", 8080, {"10.2.0.10": "healthy"}, kind="ip")
    drawing.load_balancer(
        "lb", "application", {443: "tg-2"}, {"subnet-1": "198.51.100.99"}, "sg-lb"
    )
    found = {
        (one.edge_id, one.port_begin)
        for one in Network.from_answers(drawing.answers()).findings()
        if one.instance_id == "i-far"
    }
    assert ("igw-1", 8080) in found


@pytest.mark.parametrize(
    ("member", "target"),
    [
        ("CoreNetworkArn", "arn:aws:networkmanager::111111111111:core-network/core-1"),
        ("LocalGatewayId", "lgw-1"),
        ("CarrierGatewayId", "cagw-1"),
    ],
)
def test_a_way_in_that_is_not_modelled_is_a_problem_of_the_network(
    member: str, target: str
) -> None:
    drawing = public_network()
    drawing.lists["RouteTables"][0]["Routes"].append(
        {"DestinationCidrBlock": "172.16.0.0/12", member: target, "State": "active"}
    )
    network = Network.from_answers(drawing.answers())
    problems = [problem.what for problem in network.problems if problem.where == "rtb-vpc-1"]
    assert [what.startswith(f"not accounted for: {target}") for what in problems] == [True]
    out = network.explain("i-web", "172.16.1.1", "tcp", 80)
    assert (out.verdict, out.notes[0][:18]) == ("EXITS_NETWORK", "not accounted for:")


def test_an_appliance_on_the_way_in_is_a_problem_of_the_network() -> None:
    drawing = public_network()
    drawing.subnet("subnet-fw", "vpc-1", "10.0.9.0/24")
    drawing.instance("fw", "subnet-fw", "10.0.9.9", "sg-1", SourceDestCheck=False)
    drawing.table("rtb-in", "vpc-1", route("10.0.1.0/24", "eni-fw"), gateways=("igw-1",))
    network = Network.from_answers(drawing.answers())
    assert [one.instance_id for one in network.findings()] == []
    problems = {(problem.where, problem.what) for problem in network.problems}
    assert ("subnet-1", "not accounted for: what i-fw forwards") in problems


def _with_nat(subnet: str, destination: str) -> Drawing:
    drawing = public_network()
    drawing.lists["NatGateways"].append(
        {"NatGatewayId": "nat-1", "VpcId": "vpc-1", "SubnetId": subnet, "State": "available",
         "NatGatewayAddresses": [{"PrivateIp": "10.0.2.5", "PublicIp": "198.51.100.5"}]}
    )  # fmt: skip
    drawing.lists["RouteTables"][0]["Routes"].append(route(destination, "nat-1"))
    return drawing


@pytest.mark.parametrize(
    ("subnet", "destination", "target", "note"),
    [
        ("", "8.8.8.0/24", "8.8.8.8", "the zones of the regional NAT gateway nat-1"),
        ("subnet-2", "64:ff9b::/96", "64:ff9b::808:808", "where nat-1 sends IPv6 packets on"),
    ],
    ids=["regional", "nat64"],
)
def test_what_of_a_nat_gateway_is_not_followed_is_said(
    subnet: str, destination: str, target: str, note: str
) -> None:
    drawing = _with_nat(subnet, destination)
    drawing.lists["NetworkInterfaces"][0]["Ipv6Addresses"] = [{"Ipv6Address": "2a05:d018:1:1::10"}]
    found = _explained(drawing, "i-web", target, 443)
    assert found.verdict == "EXITS_NETWORK"
    assert note in found.notes[0]
