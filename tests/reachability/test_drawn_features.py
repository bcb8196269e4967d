"""Features of AWS that no random network has, drawn by hand and judged by AWS's guides."""

from __future__ import annotations

import pytest

from sidelight.reachability import Network
from tests.reachability.drawing import Drawing, everything, public_network, route, tcp


def _open(drawing: Drawing) -> dict[tuple[str, int, int], tuple[str, ...]]:
    """The sources by instance, family and first port."""
    return {
        (found.instance_id, found.family, found.port_begin): found.sources
        for found in Network.from_answers(drawing.answers()).findings()
    }


def _secondary_block(drawing: Drawing, number: int, cidr: str, state: str = "associated") -> None:
    vpc = drawing.lists["Vpcs"][number]
    blocks = vpc.setdefault("CidrBlockAssociationSet", [{"CidrBlock": vpc["CidrBlock"]}])
    blocks.append({"CidrBlock": cidr, "CidrBlockState": {"State": state}})
    drawing.lists["RouteTables"][number]["Routes"].append(route(cidr, "local"))


def test_secondary_blocks_of_vpcs_are_reached_over_a_peering_and_named_as_sources() -> None:
    drawing = Drawing()
    drawing.vpc("vpc-a", "10.0.0.0/16", route("100.64.0.0/16", "pcx-1"))
    drawing.vpc("vpc-b", "10.1.0.0/16", route("100.65.0.0/16", "pcx-1"))
    _secondary_block(drawing, 0, "100.65.0.0/16")
    _secondary_block(drawing, 1, "100.64.0.0/16")
    _secondary_block(drawing, 1, "100.66.0.0/16", "disassociated")
    drawing.peering("pcx-1", "vpc-a", "vpc-b")  # which lists the primary blocks alone
    drawing.subnet("subnet-a", "vpc-a", "100.65.1.0/24")
    drawing.subnet("subnet-b", "vpc-b", "100.64.1.0/24")
    drawing.group("sg-a", "vpc-a")
    drawing.group("sg-b", "vpc-b", tcp(80, "sg-a"), tcp(443, "0.0.0.0/0"))
    drawing.instance("a", "subnet-a", "100.65.1.10", "sg-a")
    drawing.instance("b", "subnet-b", "100.64.1.10", "sg-b")
    assert _open(drawing) == {
        ("i-b", 4, 80): ("100.65.1.10/32",),
        ("i-b", 4, 443): ("100.65.0.0/16",),
    }


def test_a_route_by_a_prefix_list_answers_its_entries_alone() -> None:
    drawing = Drawing()
    drawing.vpc("vpc-1", "10.0.0.0/16", route("pl-1", "igw-1"))
    drawing.internet_gateway("igw-1", "vpc-1")
    drawing.subnet("subnet-1", "vpc-1", "10.0.1.0/24")
    drawing.group("sg-1", "vpc-1", tcp(22, "0.0.0.0/0"))
    drawing.instance("web", "subnet-1", "10.0.1.10", "sg-1", public="198.51.100.10")
    entries = [{"Cidr": "203.0.113.0/24"}, {"Cidr": "8.8.0.0/16"}]
    drawing.lists["ManagedPrefixListEntries"].append({"PrefixListId": "pl-1", "Entries": entries})
    assert _open(drawing) == {("i-web", 4, 22): ("8.8.0.0/16", "203.0.113.0/24")}


def test_an_instance_of_an_ipv6_only_subnet_is_reached() -> None:
    drawing = Drawing()
    drawing.vpc("vpc-1", "10.0.0.0/16", route("::/0", "igw-1"), ipv6="2a05:d018:1::/56")
    drawing.internet_gateway("igw-1", "vpc-1")
    drawing.subnet("subnet-6", "vpc-1", "", ipv6="2a05:d018:1:1::/64", Ipv6Native=True)
    del drawing.lists["Subnets"][0]["CidrBlock"]
    drawing.group("sg-1", "vpc-1", tcp(22, "0.0.0.0/0", "::/0"))
    drawing.instance("six", "subnet-6", "", "sg-1", ipv6="2a05:d018:1:1::a")
    del drawing.lists["NetworkInterfaces"][0]["PrivateIpAddress"]
    assert _open(drawing) == {("i-six", 6, 22): ("::/0",)}
    network = Network.from_answers(drawing.answers())
    assert network.explain("internet", "i-six", "tcp", 22).reachable


@pytest.mark.parametrize(("closed", "found"), [(False, {("i-web", 6, 8080)}), (True, set())])
def test_an_internal_dual_stack_load_balancer_is_closed_to_internet_gateways(
    closed: bool, found: set[tuple[str, int, int]]
) -> None:
    """Its interfaces have the attribute `ipv6.deny_all_igw_traffic` as DenyAllIgwTraffic."""
    drawing = public_network()
    drawing.lists["SecurityGroups"][0]["IpPermissions"] = [tcp(8080, "sg-lb")]
    drawing.group("sg-lb", "vpc-1", tcp(443, "0.0.0.0/0", "::/0"))
    drawing.target_group("tg", "vpc-1", 8080, {"i-web": "healthy"})
    drawing.load_balancer("lb", "application", {443: "tg"}, {"subnet-1": ""}, "sg-lb")
    node = drawing.lists["NetworkInterfaces"][-1]
    node["Ipv6Addresses"] = [{"Ipv6Address": "2a05:d018:1:1::200"}]
    node["DenyAllIgwTraffic"] = closed
    assert set(_open(drawing)) == found


def test_a_dual_stack_network_load_balancer_forwards_both_families_to_ipv6_targets() -> None:
    drawing = public_network()
    drawing.lists["SecurityGroups"][0]["IpPermissions"] = [tcp(8080, "10.0.0.0/16", "::/0")]
    web = drawing.lists["NetworkInterfaces"][0]
    web["Ipv6Addresses"] = [{"Ipv6Address": "fd00::10"}]  # reached by the load balancer alone
    del web["Association"]
    drawing.lists["Subnets"][0]["Ipv6CidrBlockAssociationSet"] = [
        {"Ipv6CidrBlock": "2a05:d018:1:1::/64"},
        {"Ipv6CidrBlock": "fd00::/64"},
    ]
    drawing.lists["Vpcs"][0]["Ipv6CidrBlockAssociationSet"].append({"Ipv6CidrBlock": "fd00::/56"})
    drawing.lists["RouteTables"][0]["Routes"].append(route("fd00::/56", "local"))
    drawing.target_group("tg", "vpc-1", 8080, {"i-web": "healthy"})
    drawing.lists["TargetGroups"][0]["IpAddressType"] = "ipv6"
    drawing.load_balancer("lb", "network", {443: "tg"}, {"subnet-1": "198.51.100.77"})
    drawing.lists["NetworkInterfaces"][-1]["Ipv6Addresses"] = [
        {"Ipv6Address": "2a05:d018:1:1::200"}
    ]
    assert _open(drawing) == {
        ("i-web", 4, 8080): ("0.0.0.0/0",),
        ("i-web", 6, 8080): ("::/0",),
    }


def test_the_rules_of_a_group_in_two_vpcs_mean_its_members_in_the_senders_vpc() -> None:
    drawing = Drawing()
    drawing.vpc("vpc-1", "10.1.0.0/16", route("10.2.0.0/16", "pcx-1"))
    drawing.vpc("vpc-2", "10.2.0.0/16", route("10.1.0.0/16", "pcx-1"))
    drawing.peering("pcx-1", "vpc-1", "vpc-2")
    drawing.subnet("subnet-1", "vpc-1", "10.1.1.0/24")
    drawing.subnet("subnet-2", "vpc-2", "10.2.1.0/24")
    drawing.group("sg-1", "vpc-1", tcp(80, "sg-1"))
    drawing.lists["SecurityGroupVpcAssociations"].append(
        {"GroupId": "sg-1", "VpcId": "vpc-2", "State": "associated"}
    )
    drawing.instance("one", "subnet-1", "10.1.1.1", "sg-1")
    drawing.instance("two", "subnet-2", "10.2.1.2", "sg-1")
    drawing.instance("three", "subnet-2", "10.2.1.3", "sg-1")
    assert _open(drawing) == {
        ("i-one", 4, 80): ("10.2.1.2/31",),
        ("i-two", 4, 80): ("10.1.1.1/32",),
        ("i-three", 4, 80): ("10.1.1.1/32",),
    }
    network = Network.from_answers(drawing.answers())
    assert network.explain("i-two", "i-three", "tcp", 80).reachable


def test_each_interface_of_an_instance_answers_by_its_own_subnet() -> None:
    drawing = public_network()
    drawing.subnet("subnet-2", "vpc-1", "10.0.2.0/24")
    drawing.table("rtb-2", "vpc-1", subnets=("subnet-2",))
    drawing.group("sg-2", "vpc-1", everything())
    attachment = {"InstanceId": "i-web", "DeviceIndex": 1}
    drawing.interface(
        "second", "subnet-2", "10.0.2.9", "sg-2", public="198.51.100.99", Attachment=attachment
    )
    assert set(_open(drawing)) == {("i-web", 4, 22), ("i-web", 4, 443)}
    drawing.lists["RouteTables"].pop()
    assert set(_open(drawing)) == {("i-web", 4, 22), ("i-web", 4, 443), ("i-web", 4, 0)}


@pytest.mark.parametrize("described", ["interface", "address"])
def test_an_elastic_ip_address_of_a_secondary_private_address_is_a_way_in(described: str) -> None:
    drawing = public_network()
    web = drawing.lists["NetworkInterfaces"][0]
    del web["Association"]
    assert _open(drawing) == {}
    web["PrivateIpAddresses"] = [
        {"PrivateIpAddress": "10.0.1.10", "Primary": True},
        {"PrivateIpAddress": "10.0.1.11", "Primary": False},
    ]
    if described == "interface":
        web["PrivateIpAddresses"][1]["Association"] = {"PublicIp": "198.51.100.11"}
    else:
        drawing.lists["Addresses"].append(
            {"NetworkInterfaceId": "eni-web", "PrivateIpAddress": "10.0.1.11",
             "PublicIp": "198.51.100.11"}
        )  # fmt: skip
    assert set(_open(drawing)) == {("i-web", 4, 22), ("i-web", 4, 443)}
    network = Network.from_answers(drawing.answers())
    assert network.explain("internet", "198.51.100.11", "tcp", 443).reachable
