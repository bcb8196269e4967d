"""Edges of transit gateways and Direct Connect, drawn by hand."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sidelight.reachability import EdgeKind, Network
from tests.reachability.drawing import Drawing, Fields, public_network, route, tcp


def _joined(**options: str) -> Drawing:
    """Two VPCs at a transit gateway, each attachment with its own route table."""
    drawing = Drawing()
    for number, letter in ((1, "a"), (2, "b")):
        vpc = drawing.vpc(f"vpc-{letter}", f"10.{number}.0.0/16", route("10.0.0.0/8", "tgw-1"))
        drawing.subnet(f"subnet-{letter}", vpc, f"10.{number}.0.0/24")
        drawing.instance(letter, f"subnet-{letter}", f"10.{number}.0.10", f"sg-{letter}")
        ids = {"TransitGatewayAttachmentId": f"att-{letter}", "TransitGatewayId": "tgw-1"}
        table = {"TransitGatewayRouteTableId": f"tgw-rtb-{letter}", "State": "associated"}
        drawing.lists["TransitGatewayAttachments"].append(
            {**ids, "ResourceType": "vpc", "ResourceId": vpc, "State": "available",
             "Association": table}
        )  # fmt: skip
        drawing.lists["TransitGatewayVpcAttachments"].append(
            {**ids, "VpcId": vpc, "State": "available", "SubnetIds": [f"subnet-{letter}"],
             "Options": options}
        )  # fmt: skip
        other = "b" if letter == "a" else "a"
        _propagate(drawing, f"tgw-rtb-{letter}", f"att-{other}", f"vpc-{other}")
    drawing.group("sg-a", "vpc-a")
    drawing.group("sg-b", "vpc-b", tcp(80, "10.0.0.0/8"), tcp(22, "sg-a"))
    drawing.lists["TransitGateways"].append(
        {"TransitGatewayId": "tgw-1", "Options": {"SecurityGroupReferencingSupport": "enable"}}
    )
    return drawing


def _propagate(drawing: Drawing, table: str, attachment: str, vpc: str) -> None:
    enabled = {"TransitGatewayAttachmentId": attachment, "ResourceId": vpc, "State": "enabled"}
    drawing.lists["TransitGatewayPropagations"].append(
        {"TransitGatewayRouteTableId": table, "TransitGatewayRouteTablePropagations": [enabled]}
    )


def _static(drawing: Drawing, table: str, cidr: str, attachment: str = "") -> None:
    found: dict[str, Any] = {"DestinationCidrBlock": cidr, "Type": "static", "State": "blackhole"}
    if attachment:
        found["State"] = "active"
        found["TransitGatewayAttachments"] = [{"TransitGatewayAttachmentId": attachment}]
    drawing.lists["TransitGatewayStaticRoutes"].append(
        {"TransitGatewayRouteTableId": table, "Routes": [found]}
    )


def _found(drawing: Drawing, instance: str) -> dict[tuple[str, int], tuple[str, ...]]:
    return {
        (found.edge_id, found.port_begin): found.sources
        for found in Network.from_answers(drawing.answers()).findings()
        if found.instance_id == instance
    }


def test_a_transit_gateway_carries_where_the_associated_tables_lead() -> None:
    assert _found(_joined(), "i-b") == {("tgw-1", 80): ("10.1.0.0/16",)}


@pytest.mark.parametrize("table", ["tgw-rtb-a", "tgw-rtb-b"])
def test_a_table_without_the_route_lets_nothing_through_or_nothing_back(table: str) -> None:
    drawing = _joined()
    drawing.lists["TransitGatewayPropagations"] = [
        one
        for one in drawing.lists["TransitGatewayPropagations"]
        if one["TransitGatewayRouteTableId"] != table
    ]
    assert _found(drawing, "i-b") == {}


def test_a_blackhole_takes_what_is_more_specific_and_a_static_route_what_is_equal() -> None:
    drawing = _joined()
    _static(drawing, "tgw-rtb-b", "10.1.0.0/17")
    assert _found(drawing, "i-b") == {("tgw-1", 80): ("10.1.128.0/17",)}
    drawing = _joined()
    _static(drawing, "tgw-rtb-a", "10.2.0.0/16")
    assert _found(drawing, "i-b") == {}


@pytest.mark.parametrize(("support", "found"), [("enable", True), ("disable", False)])
def test_a_group_is_known_across_a_transit_gateway_that_supports_it(
    support: str, found: bool
) -> None:
    drawing = _joined(SecurityGroupReferencingSupport=support)
    assert (("tgw-1", 22) in _found(drawing, "i-b")) == found
    explained = Network.from_answers(drawing.answers()).explain("i-a", "i-b", "tcp", 22)
    assert explained.reachable == found


def _behind_private_nat(*permissions: Fields) -> Drawing:
    """The attachment's subnet sends what is for an instance of VPC b to a private NAT gateway."""
    drawing = _joined()
    drawing.subnet("subnet-nat", "vpc-b", "10.2.3.0/24")
    drawing.subnet("subnet-inner", "vpc-b", "10.2.1.0/24")
    drawing.group("sg-inner", "vpc-b", *permissions)
    drawing.instance("inner", "subnet-inner", "10.2.1.10", "sg-inner")
    drawing.interface("nat", "subnet-nat", "10.2.3.50", InterfaceType="nat_gateway")
    drawing.lists["NatGateways"].append(
        {"NatGatewayId": "nat-1", "SubnetId": "subnet-nat", "VpcId": "vpc-b", "State": "available",
         "ConnectivityType": "private", "NatGatewayAddresses": [{"PrivateIp": "10.2.3.50"}]}
    )  # fmt: skip
    routes = (route("10.2.1.0/24", "nat-1"), route("10.0.0.0/8", "tgw-1"))
    drawing.table("rtb-entry", "vpc-b", *routes, subnets=("subnet-b",))
    return drawing


def test_behind_a_private_nat_gateway_groups_see_its_address_and_the_finding_its_senders() -> None:
    drawing = _behind_private_nat(tcp(22, "10.2.3.50/32"), tcp(23, "10.1.0.0/16"))
    assert _found(drawing, "i-inner") == {("tgw-1", 22): ("10.1.0.0/16",)}
    network = Network.from_answers(drawing.answers())
    explained = network.explain("i-a", "i-inner", "tcp", 22)
    assert explained.reachable
    assert explained.hops[-2:] == ("subnet-inner", "i-inner")
    assert "nat-1" in explained.hops
    assert not network.explain("i-a", "i-inner", "tcp", 23).reachable


@pytest.mark.parametrize("subnet", ["subnet-nat", "subnet-inner"])
def test_an_answer_that_is_lost_on_either_side_of_a_nat_gateway_closes_the_port(
    subnet: str,
) -> None:
    drawing = _behind_private_nat(tcp(22, "10.2.3.50/32"))
    routes = () if subnet == "subnet-nat" else (route("10.2.3.0/24", "eni-gone", "blackhole"),)
    drawing.table("rtb-closed", "vpc-b", *routes, subnets=(subnet,))
    assert _found(drawing, "i-inner") == {}
    explained = Network.from_answers(drawing.answers()).explain("i-a", "i-inner", "tcp", 22)
    assert not explained.reachable
    assert explained.stopped_by is not None
    assert explained.stopped_by.id == "rtb-closed"


def test_what_is_behind_another_attachment_is_what_the_table_sends_there() -> None:
    drawing = _joined()
    drawing.lists["TransitGatewayAttachments"].append(
        {"TransitGatewayAttachmentId": "att-vpn", "TransitGatewayId": "tgw-1",
         "ResourceType": "vpn", "ResourceId": "vpn-1", "State": "available",
         "Association": {"TransitGatewayRouteTableId": "tgw-rtb-a", "State": "associated"}}
    )  # fmt: skip
    _static(drawing, "tgw-rtb-b", "10.99.0.0/16", "att-vpn")
    findings = Network.from_answers(drawing.answers()).findings()
    found = next(one for one in findings if one.instance_id == "i-b" and one.port_begin == 80)
    assert found.sources == ("10.1.0.0/16", "10.99.0.0/16")
    assert found.notes == ("not accounted for: which addresses are behind vpn-1",)


def test_more_routes_than_aws_lists_are_a_problem() -> None:
    drawing = _joined()
    _static(drawing, "tgw-rtb-b", "10.99.0.0/16", "att-a")
    drawing.lists["TransitGatewayStaticRoutes"][-1]["AdditionalRoutesAvailable"] = True
    problems = Network.from_answers(drawing.answers()).problems
    assert "tgw-rtb-b" in {problem.where for problem in problems}


@pytest.mark.parametrize(
    ("state", "found"), [("associated", True), ("disassociated", False), ("associating", False)]
)
def test_a_direct_connect_gateway_is_an_edge_while_it_is_associated(
    state: str, found: bool
) -> None:
    drawing = public_network()
    drawing.virtual_gateway("vgw-1", "vpc-1")
    drawing.lists["RouteTables"][0]["Routes"].append(route("172.16.0.0/12", "vgw-1"))
    drawing.lists["SecurityGroups"][0]["IpPermissions"] = [tcp(22, "172.16.9.0/24")]
    drawing.lists["DirectConnectGatewayAssociations"].append(
        {"directConnectGatewayId": "dxgw-1", "associationState": state,
         "associatedGateway": {"id": "vgw-1", "type": "virtualPrivateGateway"}}
    )  # fmt: skip
    findings = list(Network.from_answers(drawing.answers()).findings())
    assert bool(findings) == found
    for finding in findings:
        assert (finding.edge_kind, finding.edge_id) == (EdgeKind.DIRECT_CONNECT, "dxgw-1")
        assert [step.id for step in finding.steps[:2]] == ["dxgw-1", "vgw-1"]
        assert finding.sources == ("172.16.9.0/24",)


@pytest.mark.parametrize(
    ("allowed", "silent"),
    [
        (["10.0.0.0/8", "2a05:d018:1::/56"], ""),
        (["10.0.1.0/24", "2a05::/16"], "10.0.0.0/16"),  # no part of a block is announced
        (["192.0.2.0/24"], "10.0.0.0/16, 2a05:d018:1::/56"),
        ([], ""),
    ],
)
def test_addresses_that_a_direct_connect_gateway_does_not_announce_are_noted(
    allowed: list[str], silent: str
) -> None:
    drawing = public_network()
    drawing.virtual_gateway("vgw-1", "vpc-1", "vpn-1")
    drawing.lists["RouteTables"][0]["Routes"].append(route("172.16.0.0/12", "vgw-1"))
    drawing.lists["SecurityGroups"][0]["IpPermissions"] = [tcp(22, "172.16.9.0/24")]
    drawing.lists["DirectConnectGatewayAssociations"].append(
        {"DirectConnectGatewayId": "dxgw-1", "AssociationState": "associated",
         "AssociatedGateway": {"Id": "vgw-1"},
         "AllowedPrefixesToDirectConnectGateway": [{"Cidr": cidr} for cidr in allowed]}
    )  # fmt: skip
    notes = {
        found.edge_id: found.notes for found in Network.from_answers(drawing.answers()).findings()
    }
    behind = "not accounted for: which addresses are behind vgw-1"
    note = f"not accounted for: that dxgw-1 does not announce {silent}"
    assert notes == {"vgw-1": (behind,), "dxgw-1": (behind, note) if silent else (behind,)}


def test_a_transit_gateways_prefixes_are_announced_as_they_are() -> None:
    drawing = _joined()
    table = {"TransitGatewayRouteTableId": "tgw-rtb-dx", "State": "associated"}
    drawing.lists["TransitGatewayAttachments"].append(
        {"TransitGatewayAttachmentId": "att-dx", "TransitGatewayId": "tgw-1",
         "ResourceType": "direct-connect-gateway", "ResourceId": "dxgw-1", "State": "available",
         "Association": table}
    )  # fmt: skip
    _propagate(drawing, "tgw-rtb-dx", "att-b", "vpc-b")
    _static(drawing, "tgw-rtb-b", "10.200.0.0/16", "att-dx")
    drawing.lists["DirectConnectGatewayAssociations"].append(
        {"directConnectGatewayId": "dxgw-1", "associationState": "associated",
         "associatedGateway": {"id": "tgw-1"},
         "allowedPrefixesToDirectConnectGateway": [{"cidr": "10.2.0.0/17"}]}
    )  # fmt: skip
    (notes,) = {
        found.notes
        for found in Network.from_answers(drawing.answers()).findings()
        if "10.200.0.0/16" in found.sources
    }
    assert "not accounted for: that dxgw-1 does not announce 10.2.128.0/17" in notes


@pytest.mark.parametrize("led_back", ["att-v1", "att-v2"])
def test_a_route_to_several_attachments_may_take_each_of_them(led_back: str) -> None:
    drawing = _joined()
    for name in ("att-v1", "att-v2"):
        table = {"TransitGatewayRouteTableId": f"tgw-rtb-{name}", "State": "associated"}
        drawing.lists["TransitGatewayAttachments"].append(
            {"TransitGatewayAttachmentId": name, "TransitGatewayId": "tgw-1",
             "ResourceType": "vpn", "ResourceId": f"vpn-{name}", "State": "available",
             "Association": table}
        )  # fmt: skip
    _propagate(drawing, f"tgw-rtb-{led_back}", "att-b", "vpc-b")
    _static(drawing, "tgw-rtb-b", "10.202.0.0/16", "att-v1")
    of_it = drawing.lists["TransitGatewayStaticRoutes"][-1]["Routes"][0]
    of_it["TransitGatewayAttachments"].append({"TransitGatewayAttachmentId": "att-v2"})
    assert "10.202.0.0/16" in _found(drawing, "i-b")["tgw-1", 80]
    explained = Network.from_answers(drawing.answers()).explain(
        f"vpn-{led_back}", "i-b", "tcp", 80, family=4
    )
    assert explained.sources == ("10.202.0.0/16",)


@pytest.mark.slow
def test_thousands_of_attachments_with_a_table_each_are_evaluated() -> None:
    drawing = _joined()
    for number in range(2_000):
        table = {"TransitGatewayRouteTableId": f"tgw-rtb-{number}", "State": "associated"}
        drawing.lists["TransitGatewayAttachments"].append(
            {"TransitGatewayAttachmentId": f"att-{number}", "TransitGatewayId": "tgw-1",
             "ResourceType": "vpn", "ResourceId": f"vpn-{number}", "State": "available",
             "Association": table}
        )  # fmt: skip
        _static(drawing, f"tgw-rtb-{number}", "10.2.0.0/16", "att-b")
        block = f"10.{100 + (number >> 8)}.{number & 255}.0/24"
        _static(drawing, "tgw-rtb-b", block, f"att-{number}")
    began = time.process_time()
    sources = _found(drawing, "i-b")["tgw-1", 80]
    assert time.process_time() - began < 60
    assert sources[:2] == ("10.1.0.0/16", "10.100.0.0/14")
