"""Ways over another VPC, as those that a transit gateway's tables lead through an inspection."""

from __future__ import annotations

from typing import Any

import pytest

from sidelight.reachability import Network
from tests.reachability.drawing import Drawing, entry, route, tcp

APPLIANCE = "not accounted for: what the appliance behind vpce-1 filters"


def _hub() -> Drawing:
    """Two VPCs and a VPN at a transit gateway that sends all packets through an inspection VPC."""
    drawing = Drawing()
    for number, letter in ((1, "a"), (2, "b")):
        vpc = drawing.vpc(f"vpc-{letter}", f"10.{number}.0.0/16", route("0.0.0.0/0", "tgw-1"))
        drawing.subnet(f"subnet-{letter}", vpc, f"10.{number}.0.0/24")
        drawing.group(f"sg-{letter}", vpc, tcp(22, "10.0.0.0/8"), tcp(443, "192.168.0.0/16"))
        drawing.instance(letter, f"subnet-{letter}", f"10.{number}.0.10", f"sg-{letter}")
        _attach(drawing, letter, vpc, f"subnet-{letter}", "tgw-rtb-spokes")
    drawing.vpc("vpc-i", "100.64.0.0/16")
    drawing.subnet("subnet-in", "vpc-i", "100.64.0.0/28")
    drawing.subnet("subnet-fw", "vpc-i", "100.64.1.0/28")
    drawing.table("rtb-in", "vpc-i", route("0.0.0.0/0", "vpce-1"), subnets=("subnet-in",))
    drawing.table("rtb-fw", "vpc-i", route("0.0.0.0/0", "tgw-1"), subnets=("subnet-fw",))
    drawing.lists["VpcEndpoints"].append(
        {"VpcEndpointId": "vpce-1", "VpcEndpointType": "GatewayLoadBalancer", "VpcId": "vpc-i",
         "State": "available", "SubnetIds": ["subnet-fw"]}
    )  # fmt: skip
    _attach(drawing, "i", "vpc-i", "subnet-in", "tgw-rtb-hub")
    drawing.lists["TransitGatewayAttachments"].append(
        {"TransitGatewayAttachmentId": "att-vpn", "TransitGatewayId": "tgw-1",
         "ResourceType": "vpn", "ResourceId": "vpn-1", "State": "available",
         "Association": {"TransitGatewayRouteTableId": "tgw-rtb-spokes", "State": "associated"}}
    )  # fmt: skip
    _routes(drawing, "tgw-rtb-spokes", {"0.0.0.0/0": "att-i"})
    _routes(
        drawing, "tgw-rtb-hub",
        {"10.1.0.0/16": "att-a", "10.2.0.0/16": "att-b", "192.168.0.0/16": "att-vpn"},
    )  # fmt: skip
    drawing.lists["TransitGateways"].append({"TransitGatewayId": "tgw-1"})
    return drawing


def _attach(drawing: Drawing, letter: str, vpc: str, subnet: str, table: str) -> None:
    ids = {"TransitGatewayAttachmentId": f"att-{letter}", "TransitGatewayId": "tgw-1"}
    association = {"TransitGatewayRouteTableId": table, "State": "associated"}
    drawing.lists["TransitGatewayAttachments"].append(
        {**ids, "ResourceType": "vpc", "ResourceId": vpc, "State": "available",
         "Association": association}
    )  # fmt: skip
    drawing.lists["TransitGatewayVpcAttachments"].append(
        {**ids, "VpcId": vpc, "State": "available", "SubnetIds": [subnet]}
    )


def _routes(drawing: Drawing, table: str, led: dict[str, str]) -> None:
    routes: list[dict[str, Any]] = [
        {"DestinationCidrBlock": cidr, "Type": "static", "State": "active",
         "TransitGatewayAttachments": [{"TransitGatewayAttachmentId": attachment}]}
        for cidr, attachment in led.items()
    ]  # fmt: skip
    drawing.lists["TransitGatewayStaticRoutes"].append(
        {"TransitGatewayRouteTableId": table, "Routes": routes}
    )


def _found(drawing: Drawing) -> dict[tuple[str, int], tuple[str, ...]]:
    return {
        (found.instance_id, found.port_begin): found.sources
        for found in Network.from_answers(drawing.answers()).findings()
    }


BOTH_WAYS = {
    ("i-a", 22): ("10.2.0.0/16",),
    ("i-a", 443): ("192.168.0.0/16",),
    ("i-b", 22): ("10.1.0.0/16",),
    ("i-b", 443): ("192.168.0.0/16",),
}


def test_ports_are_found_that_are_reached_through_an_inspection_vpc() -> None:
    drawing = _hub()
    assert _found(drawing) == BOTH_WAYS
    network = Network.from_answers(drawing.answers())
    findings = list(network.findings())
    assert all(APPLIANCE in found.notes for found in findings)
    assert {"vpce-1", "subnet-fw"} <= {part.id for part in findings[0].full_path}
    assert network.explain("i-a", "i-b", "tcp", 22).reachable
    assert network.explain("vpn-1", "i-b", "tcp", 443).sources == ("192.168.0.0/16",)


def test_what_the_inspection_refuses_or_does_not_send_on_is_closed() -> None:
    drawing = _hub()
    denied = [entry(1, "deny", "10.1.0.0/16"), entry(2, "allow", "0.0.0.0/0")]
    out = [entry(1, "allow", "0.0.0.0/0", egress=True)]
    drawing.acl("acl-fw", "vpc-i", *denied, *out, subnets=("subnet-fw",))
    # Neither the packets of the first VPC pass, nor its answers to the second one.
    closed = {("i-a", 22), ("i-b", 22), ("i-a", 443)}
    assert _found(drawing) == {key: BOTH_WAYS[key] for key in BOTH_WAYS.keys() - closed}
    drawing = _hub()
    drawing.lists["RouteTables"] = [
        one for one in drawing.lists["RouteTables"] if one["RouteTableId"] != "rtb-fw"
    ]
    assert _found(drawing) == {}


@pytest.mark.parametrize("way", ["packets", "answers"])
def test_one_direction_through_the_inspection_is_enough(way: str) -> None:
    """Packets of the first VPC, or answers to it, go past the inspection by a table of its own."""
    drawing = _hub()
    direct = {
        "packets": ("att-b", "10.1.0.0/16", "att-a"),
        "answers": ("att-a", "10.2.0.0/16", "att-b"),
    }
    attachment, block, to = direct[way]
    for one in drawing.lists["TransitGatewayAttachments"]:
        if one["TransitGatewayAttachmentId"] == attachment:
            one["Association"]["TransitGatewayRouteTableId"] = "tgw-rtb-own"
    _routes(drawing, "tgw-rtb-own", {"0.0.0.0/0": "att-i", block: to})
    assert _found(drawing) == BOTH_WAYS


def test_an_appliance_by_its_interface_in_the_hub_is_a_problem() -> None:
    drawing = _hub()
    drawing.instance("fw", "subnet-fw", "100.64.1.5", SourceDestCheck=False)
    for one in drawing.lists["RouteTables"]:
        if one["RouteTableId"] == "rtb-in":
            one["Routes"][-1] = route("0.0.0.0/0", "eni-fw")
    network = Network.from_answers(drawing.answers())
    assert list(network.findings()) == []
    assert {problem.where for problem in network.problems} == {"subnet-a", "subnet-b"}
    assert {problem.what for problem in network.problems} == {
        "not accounted for: what i-fw forwards"
    }
