"""Laws that hold for every network: what a change may do, and what must change nothing."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.reachability import Answers, Network
from tests.fixtures.hypothesis_profiles import many
from tests.reachability.drawing import Drawing, everything, route, tcp

if TYPE_CHECKING:
    import random

_CIDRS = (
    "0.0.0.0/0",
    "203.0.113.0/24",
    "203.0.113.128/25",
    "10.0.0.0/8",
    "10.2.0.0/16",
    "10.2.0.10/32",
)
_PORTS = ((22, 22), (0, 65535), (80, 443), (443, 443), (1024, 65535), (400, 50000))
_cidr, _ports = st.sampled_from(_CIDRS), st.sampled_from(_PORTS)

Entry = tuple[int, str, str, tuple[int, int], bool]
_ENTRY = st.tuples(
    st.integers(1, 30), st.sampled_from(("allow", "deny")), _cidr, _ports, st.booleans()
)
_TARGETS = ("igw-1", "pcx-1", "vgw-1", "tgw-1", "nat-1")
_ROUTE = st.tuples(_cidr, st.sampled_from(_TARGETS))
_PERMISSION = st.tuples(_ports, st.sampled_from((*_CIDRS, "sg-2", "sg-1")))


@st.composite
def _drawings(draw: st.DrawFn) -> Drawing:
    """Two VPCs that a peering and a transit gateway join, with random filters and routes."""
    drawing = Drawing()
    for number in (1, 2):
        vpc, other = f"vpc-{number}", 3 - number
        routes = dict(draw(st.lists(_ROUTE, max_size=3)))
        routes.setdefault(f"10.{other}.0.0/16", "pcx-1" if draw(st.booleans()) else "tgw-1")
        drawing.vpc(vpc, f"10.{number}.0.0/16", *(route(*pair) for pair in routes.items()))
        drawing.internet_gateway(f"igw-{number}", vpc)
        drawing.subnet(f"subnet-{number}", vpc, f"10.{number}.0.0/24")
        if draw(st.booleans()):
            entries: dict[tuple[int, bool], Entry] = {}
            for one in draw(st.lists(_ENTRY, max_size=6)):
                entries[one[0], one[4]] = one
            drawing.acl(
                f"acl-{number}", vpc, *(_entry(*one) for one in entries.values()),
                subnets=(f"subnet-{number}",),
            )  # fmt: skip
        permissions = draw(st.lists(_PERMISSION, min_size=1, max_size=4))
        drawing.group(f"sg-{number}", vpc, *(_permission(*one) for one in permissions))
        drawing.instance(
            str(number), f"subnet-{number}", f"10.{number}.0.10", f"sg-{number}",
            public=f"198.51.100.{number}",
        )  # fmt: skip
    drawing.peering("pcx-1", "vpc-1", "vpc-2")
    drawing.virtual_gateway("vgw-1", "vpc-1", "vpn-1")
    _join(drawing)
    return drawing


def _entry(
    number: int, action: str, cidr: str, ports: tuple[int, int], egress: bool
) -> dict[str, Any]:
    return {
        "RuleNumber": number, "RuleAction": action, "Egress": egress, "Protocol": "6",
        "CidrBlock": cidr, "PortRange": {"From": ports[0], "To": ports[1]},
    }  # fmt: skip


def _permission(ports: tuple[int, int], peer: str) -> dict[str, Any]:
    return tcp(ports[0], peer, last=ports[1])


def _join(drawing: Drawing) -> None:
    for number in (1, 2):
        ids = {"TransitGatewayAttachmentId": f"att-{number}", "TransitGatewayId": "tgw-1"}
        association = {"TransitGatewayRouteTableId": "tgw-rtb-1", "State": "associated"}
        resource = {"ResourceType": "vpc", "ResourceId": f"vpc-{number}", "State": "available"}
        drawing.lists["TransitGatewayAttachments"].append(
            {**ids, **resource, "Association": association}
        )
        subnets = {
            "VpcId": f"vpc-{number}",
            "State": "available",
            "SubnetIds": [f"subnet-{number}"],
        }
        drawing.lists["TransitGatewayVpcAttachments"].append({**ids, **subnets})
    enabled = [
        {
            "TransitGatewayAttachmentId": f"att-{number}",
            "ResourceId": f"vpc-{number}",
            "State": "enabled",
        }
        for number in (1, 2)
    ]
    drawing.lists["TransitGatewayPropagations"].append(
        {"TransitGatewayRouteTableId": "tgw-rtb-1", "TransitGatewayRouteTablePropagations": enabled}
    )


Cell = tuple[str, str, str, int, str]


def _cells(network: Network) -> set[Cell]:
    """The findings as small cells: instance, edge, protocol, port and source, at chosen points."""
    cells = set()
    for found in network.findings():
        for port in (0, 21, 22, 80, 100, 443, 1024, 50000, 65535):
            if found.port_begin <= port <= found.port_end:
                for source in found.sources:
                    cells.add((found.instance_id, found.edge_id, found.protocol, port, source))
    return cells


def _reached(network: Network) -> set[tuple[Any, ...]]:
    """Who reaches whom at some ports, from the internet, the gateway and each other."""
    reached = set()
    for source in ("internet", "vgw-1", "i-1", "i-2", "203.0.113.200", "203.0.113.1"):
        for target in ("i-1", "i-2"):
            for port in (22, 443, 5000):
                if source != target and network.explain(source, target, "tcp", port).reachable:
                    reached.add((source, target, port))
    return reached


_FEW = many(60)


@_FEW
@given(_drawings())
def test_a_deny_in_front_of_all_entries_opens_nothing(drawing: Drawing) -> None:
    before = _reached(Network.from_answers(drawing.answers()))
    for acl in drawing.lists["NetworkAcls"]:
        acl["Entries"].append(_entry(0, "deny", "203.0.113.0/25", (0, 65535), False))
    assert _reached(Network.from_answers(drawing.answers())) <= before


@_FEW
@given(_drawings())
def test_removing_a_permission_opens_nothing(drawing: Drawing) -> None:
    before = _reached(Network.from_answers(drawing.answers()))
    for group in drawing.lists["SecurityGroups"]:
        group["IpPermissions"].pop()
    assert _reached(Network.from_answers(drawing.answers())) <= before


def _other_routes(drawing: Drawing) -> list[tuple[list[dict[str, Any]], dict[str, Any]]]:
    return [
        (table["Routes"], one)
        for table in drawing.lists["RouteTables"]
        for one in table["Routes"]
        if one.get("GatewayId") != "local"
    ]


@_FEW
@given(_drawings(), st.data())
def test_a_route_that_becomes_a_blackhole_opens_nothing(
    drawing: Drawing, data: st.DataObject
) -> None:
    before = _reached(Network.from_answers(drawing.answers()))
    _, chosen = data.draw(st.sampled_from(_other_routes(drawing)))
    chosen["State"] = "blackhole"
    assert _reached(Network.from_answers(drawing.answers())) <= before


@pytest.mark.slow
@_FEW
@given(_drawings(), st.data())
def test_removing_a_route_opens_nothing_unless_a_wider_one_takes_its_packets(
    drawing: Drawing, data: st.DataObject
) -> None:
    before = _reached(Network.from_answers(drawing.answers()))
    routes, chosen = data.draw(st.sampled_from(_other_routes(drawing)))
    routes.remove(chosen)
    block = ip_network(chosen["DestinationCidrBlock"])
    wider = any(
        block.subnet_of(ip_network(one["DestinationCidrBlock"]))  # type: ignore[arg-type]
        for one in routes
    )
    after = _reached(Network.from_answers(drawing.answers()))
    assert wider or after <= before


@_FEW
@given(_drawings(), st.randoms(use_true_random=False))
def test_the_order_of_answers_changes_nothing(drawing: Drawing, chance: random.Random) -> None:
    before = list(Network.from_answers(drawing.answers()).findings())
    for objects in drawing.lists.values():
        chance.shuffle(objects)
        for item in objects:
            for key in ("Entries", "Routes", "IpPermissions", "Associations"):
                if isinstance(item.get(key), list):
                    chance.shuffle(item[key])
    assert list(Network.from_answers(drawing.answers()).findings()) == before


@_FEW
@given(_drawings())
def test_other_ids_change_nothing_but_the_ids(drawing: Drawing) -> None:
    before = _cells(Network.from_answers(drawing.answers()))
    text = json.dumps(drawing.lists)
    for prefix in ("vpc", "subnet", "sg", "acl", "i", "eni", "att"):
        for number in "12":
            text = text.replace(f'"{prefix}-{number}"', f'"{prefix}-z{number}"')
    renamed = Answers({("111111111111", "eu-west-1"): json.loads(text)})
    after = {
        (instance.replace("i-z", "i-"), *rest)
        for instance, *rest in _cells(Network.from_answers(renamed))
    }
    assert after == before


@_FEW
@given(_drawings())
def test_a_finding_is_what_the_explanation_of_its_sources_says(drawing: Drawing) -> None:
    """Findings are worked out from the edge inwards, explanations hop by hop."""
    network = Network.from_answers(drawing.answers())
    findings = list(network.findings())
    for found in findings:
        if found.edge_id.startswith("igw-"):
            source = found.sources[0].partition("/")[0]
            source = "203.0.113.1" if source == "0.0.0.0" else source  # noqa: S104
            explained = network.explain(source, found.interface_id, "tcp", found.port_begin)
            if found.protocol == "TCP":
                assert explained.reachable, (found, explained)
    for source in ("203.0.113.1", "203.0.113.200"):
        for target in ("1", "2"):
            for port in (22, 443, 5000):
                explained = network.explain(source, f"i-{target}", "tcp", port)
                assert explained.reachable == any(
                    found.instance_id == f"i-{target}"
                    and found.edge_id.startswith("igw-")
                    and found.protocol == "TCP"
                    and found.port_begin <= port <= found.port_end
                    and _has(found.sources, source)
                    for found in findings
                )


@_FEW
@given(_drawings())
def test_an_edges_explanation_has_the_same_sources_as_its_findings(drawing: Drawing) -> None:
    network = Network.from_answers(drawing.answers())
    findings = list(network.findings())
    for source, edges in (("internet", ("igw-1", "igw-2")), ("vgw-1", ("vgw-1",))):
        for target in ("i-1", "i-2"):
            for port in (22, 443, 5000):
                found = [
                    one
                    for one in findings
                    if one.instance_id == target
                    and one.edge_id in edges
                    and one.protocol == "TCP"
                    and one.port_begin <= port <= one.port_end
                ]
                explained = network.explain(source, target, "tcp", port)
                assert explained.reachable == bool(found)
                if found and not found[0].anywhere:
                    assert explained.sources == found[0].sources


def _has(sources: tuple[str, ...], address: str) -> bool:
    return any(ip_address(address) in ip_network(source) for source in sources)


def test_equal_interfaces_are_evaluated_once() -> None:
    counts = []
    for size in (10, 200):
        drawing = Drawing()
        drawing.vpc("vpc-1", "10.0.0.0/16", route("0.0.0.0/0", "igw-1"))
        drawing.internet_gateway("igw-1", "vpc-1")
        for subnet in (0, 1):
            drawing.subnet(f"subnet-{subnet}", "vpc-1", f"10.0.{subnet}.0/24")
            for number in range(size):
                drawing.instance(
                    f"{subnet}-{number}", f"subnet-{subnet}", f"10.0.{subnet}.{number + 4}",
                    f"sg-{number % 5}", public=f"198.51.{subnet}.{number + 4}",
                )  # fmt: skip
        for number in range(5):
            drawing.group(f"sg-{number}", "vpc-1", tcp(22 + number, "0.0.0.0/0"))
        network = Network.from_answers(drawing.answers())
        assert sum(1 for _ in network.findings()) == 2 * size
        counts.append(dict(network.evaluations))
    assert counts[0] == counts[1]
    assert counts[0]["interfaces"] == 2 * 5 * 2  # subnets, groups, protocols
    assert counts[0]["subnets"] == 2 * 2


@pytest.mark.parametrize("copies", [1, 40])
def test_the_evaluations_of_a_subnet_do_not_grow_with_its_rules(copies: int) -> None:
    drawing = Drawing()
    drawing.vpc("vpc-1", "10.0.0.0/16", route("0.0.0.0/0", "igw-1"))
    drawing.internet_gateway("igw-1", "vpc-1")
    drawing.subnet("subnet-1", "vpc-1", "10.0.1.0/24")
    peers = [f"203.0.{number}.0/24" for number in range(copies)]
    drawing.group("sg-1", "vpc-1", everything(*peers))
    drawing.instance("web", "subnet-1", "10.0.1.10", "sg-1", public="198.51.100.10")
    network = Network.from_answers(drawing.answers())
    assert {found.protocol for found in network.findings()} == {"TCP", "UDP"}
    assert network.evaluations["subnets"] == 2
    assert network.evaluations["filters"] <= 6
