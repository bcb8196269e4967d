"""Ways in by one transit gateway whose answers leave by another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidelight.reachability import EdgeKind, Network
from sidelight.reachability.crossings import transit
from tests.reachability.drawing import Drawing, public_network, route, tcp

if TYPE_CHECKING:
    import pytest

PREMISES = "192.168.0.0/16"
GATEWAYS = ("tgw-1", "tgw-2")


def _two_gateways(answers_by: str) -> Drawing:
    """Two VPCs at two gateways; the second one's answers go by the gateway named."""
    drawing = Drawing()
    for number, letter in ((1, "a"), (2, "b")):
        vpc = drawing.vpc(f"vpc-{letter}", f"10.{number}.0.0/16", route("0.0.0.0/0", answers_by))
        drawing.subnet(f"subnet-{letter}", vpc, f"10.{number}.0.0/24")
        drawing.group(f"sg-{letter}", vpc, tcp(22, "10.0.0.0/8"), tcp(443, PREMISES))
        drawing.instance(letter, f"subnet-{letter}", f"10.{number}.0.10", f"sg-{letter}")
        for gateway in GATEWAYS:
            _attach(drawing, gateway, letter, "vpc", vpc)
    for gateway in GATEWAYS:
        drawing.lists["TransitGateways"].append({"TransitGatewayId": gateway})
    return drawing


def _attach(drawing: Drawing, gateway: str, letter: str, kind: str, resource: str) -> str:
    name = f"att-{letter}-{gateway}" if kind != "peering" else "att-peering"
    ids = {"TransitGatewayAttachmentId": name, "TransitGatewayId": gateway}
    drawing.lists["TransitGatewayAttachments"].append(
        {**ids, "ResourceType": kind, "ResourceId": resource, "State": "available",
         "Association": {"TransitGatewayRouteTableId": f"rtb-{gateway}", "State": "associated"}}
    )  # fmt: skip
    if kind == "vpc":
        drawing.lists["TransitGatewayVpcAttachments"].append(
            {**ids, "VpcId": resource, "State": "available", "SubnetIds": [f"subnet-{letter}"]}
        )
    return name


def _routes(drawing: Drawing, gateway: str, led: dict[str, str]) -> None:
    routes: list[dict[str, Any]] = [
        {"DestinationCidrBlock": cidr, "Type": "static", "State": "active",
         "TransitGatewayAttachments": [{"TransitGatewayAttachmentId": attachment}]}
        for cidr, attachment in led.items()
    ]  # fmt: skip
    drawing.lists["TransitGatewayStaticRoutes"].append(
        {"TransitGatewayRouteTableId": f"rtb-{gateway}", "Routes": routes}
    )


def _found(drawing: Drawing) -> dict[tuple[str, int, str], tuple[str, ...]]:
    findings = list(Network.from_answers(drawing.answers()).findings())
    assert {found.edge_kind for found in findings} <= {EdgeKind.TRANSIT_GATEWAY}
    return {
        (found.instance_id, found.port_begin, found.edge_id): found.sources for found in findings
    }


def _sent_by(drawing: Drawing, vpc: str, gateway: str) -> None:
    for table in drawing.lists["RouteTables"]:
        if table["VpcId"] == vpc:
            table["Routes"][-1] = route("0.0.0.0/0", gateway)


def test_a_vpc_that_sends_by_one_gateway_has_its_answers_by_the_other() -> None:
    drawing = _two_gateways("tgw-2")
    _sent_by(drawing, "vpc-a", "tgw-1")
    _routes(drawing, "tgw-1", {"10.2.0.0/16": "att-b-tgw-1"})
    _routes(drawing, "tgw-2", {"10.1.0.0/16": "att-a-tgw-2"})
    # From b to a the packets take the second gateway, and the answers the first.
    assert _found(drawing) == {
        ("i-b", 22, "tgw-1"): ("10.1.0.0/16",),
        ("i-a", 22, "tgw-2"): ("10.2.0.0/16",),
    }
    network = Network.from_answers(drawing.answers())
    assert network.explain("i-a", "i-b", "tcp", 22).reachable
    assert network.explain("i-b", "i-a", "tcp", 22).reachable


def test_answers_that_the_other_gateway_does_not_carry_close_the_way() -> None:
    drawing = _two_gateways("tgw-2")
    _sent_by(drawing, "vpc-a", "tgw-1")
    _routes(drawing, "tgw-1", {"10.2.0.0/16": "att-b-tgw-1"})
    assert _found(drawing) == {}


def test_a_gateway_to_which_no_vpc_sends_is_no_way_in() -> None:
    """Both VPCs are at both gateways, as before a move to the second one: all goes by the first."""
    drawing = _two_gateways("tgw-1")
    for gateway in GATEWAYS:
        blocks = {"10.1.0.0/16": f"att-a-{gateway}", "10.2.0.0/16": f"att-b-{gateway}"}
        _routes(drawing, gateway, blocks)
    assert _found(drawing) == {
        ("i-a", 22, "tgw-1"): ("10.2.0.0/16",),
        ("i-b", 22, "tgw-1"): ("10.1.0.0/16",),
    }


def test_no_answer_is_walked_through_all_vpcs_of_a_second_gateway(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each VPC is at both and sends by the first: that costs what one gateway does."""
    vpcs = 6
    enter, entered = transit.enter_by_attachment, [0]

    def counted(*arguments: Any) -> Any:
        entered[0] += 1
        return enter(*arguments)

    monkeypatch.setattr(transit, "enter_by_attachment", counted)

    def walked(gateways: tuple[str, ...]) -> int:
        entered[0] = 0
        drawing = Drawing()
        for number in range(vpcs):
            name = f"v{number}"
            vpc = drawing.vpc(f"vpc-{name}", f"10.{number}.0.0/16", route("0.0.0.0/0", "tgw-1"))
            drawing.subnet(f"subnet-{name}", vpc, f"10.{number}.0.0/24")
            drawing.group(f"sg-{name}", vpc, tcp(22, "10.0.0.0/8"))
            drawing.instance(name, f"subnet-{name}", f"10.{number}.0.10", f"sg-{name}")
            for gateway in gateways:
                _attach(drawing, gateway, name, "vpc", vpc)
        for gateway in gateways:
            drawing.lists["TransitGateways"].append({"TransitGatewayId": gateway})
            blocks = {f"10.{number}.0.0/16": f"att-v{number}-{gateway}" for number in range(vpcs)}
            _routes(drawing, gateway, blocks)
        network = Network.from_answers(drawing.answers())
        assert len(list(network.findings())) == vpcs
        return entered[0]

    assert walked(GATEWAYS) == walked(GATEWAYS[:1]) < vpcs


def _at_a_peer(answers_by: str) -> Drawing:
    """Premises at the second of two peered gateways, whose packets come by the first."""
    drawing = _two_gateways(answers_by)
    vpn = _attach(drawing, "tgw-2", "vpn", "vpn", "vpn-1")
    for gateway, other in (GATEWAYS, GATEWAYS[::-1]):
        _attach(drawing, gateway, "", "peering", other)
    _routes(drawing, "tgw-1", {"10.2.0.0/16": "att-b-tgw-1", PREMISES: "att-peering"})
    _routes(drawing, "tgw-2", {"10.2.0.0/16": "att-peering", PREMISES: vpn})
    return drawing


def test_premises_behind_a_peer_are_answered_by_the_peer_itself() -> None:
    drawing = _at_a_peer("tgw-2")
    assert _found(drawing) == {("i-b", 443, "tgw-1"): (PREMISES,)}
    (finding,) = Network.from_answers(drawing.answers()).findings()
    assert "not accounted for: which addresses are behind vpn-1" in finding.notes
    path = [part.id for part in finding.full_path]
    assert path[0] == "tgw-1"
    assert path.index("rtb-tgw-2") < path.index("rtb-tgw-1") < path.index("subnet-b")


def test_premises_behind_a_peer_are_answered_over_the_peering() -> None:
    assert _found(_at_a_peer("tgw-1")) == {("i-b", 443, "tgw-1"): (PREMISES,)}


def test_a_known_peer_that_sends_nothing_is_no_way_in() -> None:
    drawing = _at_a_peer("tgw-1")
    for one in drawing.lists["TransitGatewayStaticRoutes"]:
        if one["TransitGatewayRouteTableId"] == "rtb-tgw-2":
            one["Routes"] = [it for it in one["Routes"] if it["DestinationCidrBlock"] == PREMISES]
    assert _found(drawing) == {}


def test_a_peer_that_is_not_in_the_answers_may_send_anything() -> None:
    drawing = _at_a_peer("tgw-1")
    for name in ("TransitGatewayAttachments", "TransitGateways"):
        drawing.lists[name] = [
            one for one in drawing.lists[name] if one["TransitGatewayId"] != "tgw-2"
        ]
    assert _found(drawing) == {("i-b", 443, "tgw-1"): (PREMISES,)}


def test_premises_behind_a_vpc_at_both_gateways_reach_what_is_behind_it() -> None:
    """Between gateways that are not peered, a VPC's own tables lead from one to the other."""
    drawing = _two_gateways("tgw-1")
    hub = drawing.vpc("vpc-h", "100.64.0.0/16")
    drawing.subnet("subnet-h", hub, "100.64.0.0/28")
    vpn = _attach(drawing, "tgw-2", "vpn", "vpn", "vpn-1")
    for gateway in GATEWAYS:
        _attach(drawing, gateway, "h", "vpc", hub)
    drawing.lists["TransitGatewayVpcAttachments"] = [
        one for one in drawing.lists["TransitGatewayVpcAttachments"]
        if (one["VpcId"], one["TransitGatewayId"]) != ("vpc-b", "tgw-2")
    ]  # fmt: skip
    drawing.lists["TransitGatewayAttachments"] = [
        one for one in drawing.lists["TransitGatewayAttachments"]
        if (one["ResourceId"], one["TransitGatewayId"]) != ("vpc-b", "tgw-2")
    ]  # fmt: skip
    drawing.table(
        "rtb-h", hub, route("10.2.0.0/16", "tgw-1"), route(PREMISES, "tgw-2"),
        subnets=("subnet-h",),
    )  # fmt: skip
    _routes(drawing, "tgw-1", {"10.2.0.0/16": "att-b-tgw-1", PREMISES: "att-h-tgw-1"})
    _routes(drawing, "tgw-2", {"10.2.0.0/16": "att-h-tgw-2", PREMISES: vpn})
    assert _found(drawing) == {("i-b", 443, "tgw-1"): (PREMISES,)}


def test_an_address_behind_a_peered_gateway_is_a_target_of_a_load_balancer() -> None:
    drawing = public_network()
    far = drawing.vpc("vpc-b", "10.2.0.0/16", route("10.0.0.0/16", "tgw-2"))
    drawing.subnet("subnet-b", far, "10.2.0.0/24")
    drawing.group("sg-b", far, tcp(8080, "10.0.1.0/24"))
    drawing.instance("b", "subnet-b", "10.2.0.10", "sg-b")
    drawing.lists["RouteTables"][0]["Routes"].append(route("10.2.0.0/16", "tgw-1"))
    drawing.lists["TransitGatewayAttachments"].extend(
        {"TransitGatewayAttachmentId": name, "TransitGatewayId": gateway, "ResourceType": kind,
         "ResourceId": resource, "State": "available",
         "Association": {"TransitGatewayRouteTableId": f"rtb-{gateway}", "State": "associated"}}
        for name, gateway, kind, resource in (
            ("att-1", "tgw-1", "vpc", "vpc-1"), ("att-2", "tgw-2", "vpc", far),
            ("att-peering", "tgw-1", "peering", "tgw-2"),
            ("att-peering", "tgw-2", "peering", "tgw-1"),
        )
    )  # fmt: skip
    _routes(drawing, "tgw-1", {"10.2.0.0/16": "att-peering", "10.0.0.0/16": "att-1"})
    _routes(drawing, "tgw-2", {"10.2.0.0/16": "att-2", "10.0.0.0/16": "att-peering"})
    drawing.group("sg-lb", "vpc-1", tcp(443, "0.0.0.0/0"))
    drawing.target_group("tg", "vpc-1", 8080, {"10.2.0.10": "healthy"}, kind="ip")
    drawing.load_balancer("lb", "application", {443: "tg"}, {"subnet-1": "198.51.100.9"}, "sg-lb")
    found = {
        (one.edge_id, one.port_begin)
        for one in Network.from_answers(drawing.answers()).findings()
        if one.instance_id == "i-b"
    }
    assert {("igw-1", 8080), ("tgw-2", 8080)} <= found
