"""Ways to and from the internet, drawn by hand: gateways, NAT, public addresses, blocked access."""

from __future__ import annotations

import pytest

from tests.reachability.drawing import OPEN, Drawing, entry, public_network, route, tcp
from tests.reachability.drawn_findings import findings_of, network_of, open_ports


def test_an_egress_only_gateway_lets_nothing_in_and_ipv6_out() -> None:
    drawing = public_network()
    drawing.lists["EgressOnlyInternetGateways"].append(
        {"EgressOnlyInternetGatewayId": "eigw-1",
         "Attachments": [{"VpcId": "vpc-1", "State": "attached"}]}
    )  # fmt: skip
    drawing.table("rtb-1", "vpc-1", route("::/0", "eigw-1"), subnets=("subnet-1",))
    drawing.instance("six", "subnet-1", "10.0.1.12", "sg-6", ipv6="2a05:d018:1:1::12")
    drawing.group("sg-6", "vpc-1", tcp(443, "::/0"))
    assert findings_of(drawing, "i-six") == []
    out = network_of(drawing).explain("i-six", "2606:4700::1111", "tcp", 443)
    assert (out.verdict, out.hops[-3:]) == (
        "EXITS_NETWORK",
        ("eigw-1", "aws-backbone", "internet"),
    )
    stopped = network_of(drawing).explain("internet", "i-six", "tcp", 443, family=6)
    assert not stopped.reachable


@pytest.mark.parametrize(
    ("mode", "found"), [("off", True), ("block-ingress", False), ("block-bidirectional", False)]
)
def test_blocked_public_access_closes_the_internet_gateway(mode: str, found: bool) -> None:
    drawing = public_network()
    drawing.lists["Subnets"][0]["BlockPublicAccessStates"] = {"InternetGatewayBlockMode": mode}
    assert bool(findings_of(drawing)) == found


def test_a_target_without_a_public_address_is_not_reached_from_the_internet() -> None:
    drawing = public_network()
    drawing.instance("inner", "subnet-1", "10.0.1.30", "sg-1")
    explained = network_of(drawing).explain("internet", "i-inner", "tcp", 443)
    assert (explained.verdict, explained.hops) == ("NULL_ROUTED", ("internet",))
    assert explained.stopped_by is not None
    assert explained.stopped_by.id == "eni-inner"


def test_a_gateway_that_is_not_attached_carries_nothing_out() -> None:
    drawing = public_network()
    drawing.lists["InternetGateways"][0]["Attachments"] = []
    explained = network_of(drawing).explain("i-web", "8.8.8.8", "tcp", 443)
    assert (explained.reachable, explained.verdict) == (False, "NULL_ROUTED")


def _behind_nat() -> Drawing:
    drawing = public_network()
    drawing.subnet("subnet-p", "vpc-1", "10.0.2.0/24", ipv6="2a05:d018:1:2::/64")
    drawing.table(
        "rtb-p",
        "vpc-1",
        route("0.0.0.0/0", "nat-1"),
        route("::/0", "eigw-1"),
        subnets=("subnet-p",),
    )
    drawing.instance("inner", "subnet-p", "10.0.2.10", "sg-1", ipv6="2a05:d018:1:2::10")
    drawing.interface(
        "nat", "subnet-1", "10.0.1.50", public="198.51.100.50", InterfaceType="nat_gateway"
    )
    address = {"PrivateIp": "10.0.1.50", "PublicIp": "198.51.100.50"}
    drawing.lists["NatGateways"].append(
        {
            "NatGatewayId": "nat-1",
            "SubnetId": "subnet-1",
            "VpcId": "vpc-1",
            "State": "available",
            "NatGatewayAddresses": [address],
        }
    )
    return drawing


@pytest.mark.parametrize(
    ("subnet", "target", "reachable"),
    [
        ("", "8.8.8.8", True),
        ("subnet-1", "8.8.8.8", False),
        ("subnet-p", "8.8.8.8", False),
        ("", "2606:4700::1111", True),
        ("subnet-1", "2606:4700::1111", True),
        ("subnet-p", "2606:4700::1111", False),
    ],
)
def test_an_answer_from_the_internet_needs_every_network_acl_on_its_way(
    subnet: str, target: str, reachable: bool
) -> None:
    drawing = _behind_nat()
    if subnet:
        entries = [
            entry(1, "deny", "0.0.0.0/0", (1024, 65535)),
            entry(2, "deny", "::/0", (1024, 65535)),
            *OPEN,
        ]
        drawing.acl("acl-1", "vpc-1", *entries, subnets=(subnet,))
    explained = network_of(drawing).explain("i-inner", target, "tcp", 443)
    assert explained.hops[-1] == "internet"
    assert explained.reachable == reachable
    assert (explained.stopped_by is None) == reachable


@pytest.mark.parametrize(
    ("mode", "source", "reachable"),
    [
        ("block-ingress", "i-inner", True),
        ("block-ingress", "i-web", False),
        ("block-bidirectional", "i-inner", False),
    ],
)
def test_blocked_public_access_lets_nat_gateways_out_unless_it_is_bidirectional(
    mode: str, source: str, reachable: bool
) -> None:
    drawing = _behind_nat()
    for subnet in drawing.lists["Subnets"]:
        subnet["BlockPublicAccessStates"] = {"InternetGatewayBlockMode": mode}
    assert network_of(drawing).explain(source, "8.8.8.8", "tcp", 443).reachable == reachable


def test_every_address_of_an_interface_counts_and_the_primary_one_is_a_target() -> None:
    drawing = public_network()
    drawing.lists["SecurityGroups"][0]["IpPermissions"] = [tcp(8080, "0.0.0.0/0")]
    web = drawing.lists["NetworkInterfaces"][0]
    del web["Association"]
    web["PrivateIpAddresses"] = [
        {"PrivateIpAddress": "10.0.1.11", "Primary": False},
        {"PrivateIpAddress": "10.0.1.10", "Primary": True},
    ]
    assert findings_of(drawing) == []
    drawing.lists["Addresses"].append(
        {
            "NetworkInterfaceId": "eni-web",
            "PrivateIpAddress": "10.0.1.11",
            "PublicIp": "198.51.100.77",
        }
    )
    assert open_ports(drawing) == {("igw-1", 8080, 8080): ("0.0.0.0/0",)}
    assert network_of(drawing).explain("internet", "198.51.100.77", "tcp", 8080).reachable
    drawing.lists["Addresses"].clear()
    drawing.target_group("tg-1", "vpc-1", 8080, {"i-web": "healthy"})
    drawing.load_balancer("lb", "application", {80: "tg-1"}, {"subnet-1": "198.51.100.9"}, "sg-lb")
    drawing.group("sg-lb", "vpc-1", tcp(80, "0.0.0.0/0"), egress=[tcp(8080, "10.0.1.10/32")])
    assert open_ports(drawing) == {("igw-1", 8080, 8080): ("0.0.0.0/0",)}


@pytest.mark.parametrize(
    ("block", "attribute", "reachable"),
    [
        ("fd80:1:1::/56", "public", False),
        ("2a05:d018:1::/56", "private", False),
        ("2a05:d018:1::/56", "public", True),
    ],
    ids=["unique-local", "private-global", "public"],
)
def test_a_private_ipv6_address_has_no_way_to_the_internet(
    block: str, attribute: str, reachable: bool
) -> None:
    drawing = public_network()
    association = {"Ipv6CidrBlock": block, "Ipv6AddressAttribute": attribute}
    drawing.lists["Vpcs"][0]["Ipv6CidrBlockAssociationSet"] = [association]
    start = block.removesuffix("::/56")
    drawing.subnet("subnet-6", "vpc-1", "10.0.6.0/24", ipv6=f"{start}:6::/64")
    drawing.group("sg-6", "vpc-1", tcp(22, "::/0"))
    drawing.instance("six", "subnet-6", "10.0.6.10", "sg-6", ipv6=f"{start}:6::5")
    assert bool(open_ports(drawing, "i-six")) is reachable
    assert network_of(drawing).explain("i-six", "2600::1", "tcp", 443).reachable is reachable
    table = drawing.lists["RouteTables"][0]
    table["Routes"] = [one for one in table["Routes"] if one.get("GatewayId") != "igw-1"]
    table["Routes"].append(route("::/0", "eigw-1"))
    assert network_of(drawing).explain("i-six", "2600::1", "tcp", 443).reachable is reachable
