"""Answers that no network has: cycles, missing objects, wrong types, too much of everything."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.errors import UsageError
from sidelight.model.software import Problem
from sidelight.reachability import Answers, Network
from sidelight.reachability.answers.stems import STEMS
from sidelight.reachability.findings import admissions
from sidelight.reachability.walk import walker
from tests.fixtures.hypothesis_profiles import many
from tests.reachability.drawing import (
    ACCOUNT,
    REGION,
    Drawing,
    entry,
    everything,
    public_network,
    route,
    tcp,
)

# The law is that nothing but a UsageError leaves the model, whatever the answers are.
_QUESTIONS = (
    ("internet", "i-web"), ("internet", "198.51.100.10"), ("i-web", "8.8.8.8"),
    ("i-web", "10.2.0.9"),
    ("vpc-1", "i-web"), ("subnet-1", "eni-web"), ("vgw-1", "i-web"), ("10.0.1.77", "10.0.1.10"),
)  # fmt: skip


def _queried_network(answers: Answers) -> Network:
    """Findings and explanations of every kind, and nothing raised but UsageError."""
    network = Network.from_answers(answers)
    list(network.findings())
    for source, target in _QUESTIONS:
        try:
            network.explain(source, target, "tcp", 443)
        except UsageError:
            continue
    return network


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
    | st.sampled_from(["10.0.0.0/8", "vpc-1", "subnet-1", "sg-1", "igw-1", "local", "-1", "tcp"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def _full() -> Drawing:
    """A network with an object of nearly every stem."""
    drawing = public_network()
    drawing.vpc("vpc-2", "10.2.0.0/16", route("10.0.0.0/16", "pcx-1"))
    drawing.peering("pcx-1", "vpc-1", "vpc-2")
    drawing.subnet("subnet-2", "vpc-2", "10.2.0.0/24")
    drawing.group("sg-2", "vpc-2", tcp(80, "sg-1"))
    drawing.instance("two", "subnet-2", "10.2.0.9", "sg-2")
    drawing.virtual_gateway("vgw-1", "vpc-1", "vpn-1")
    drawing.target_group("tg-1", "vpc-1", 443, {"i-web": "healthy"})
    drawing.load_balancer("lb", "application", {443: "tg-1"}, {"subnet-1": "198.51.100.99"}, "sg-1")
    drawing.lists["NatGateways"].append(
        {"NatGatewayId": "nat-1", "SubnetId": "subnet-1", "VpcId": "vpc-1",
         "NatGatewayAddresses": [{"PrivateIp": "10.0.1.50"}]}
    )  # fmt: skip
    drawing.lists["VpcEndpoints"].append({"VpcEndpointId": "vpce-1", "VpcId": "vpc-1"})
    drawing.lists["TransitGatewayAttachments"].append(
        {"TransitGatewayAttachmentId": "att-1", "TransitGatewayId": "tgw-1", "ResourceType": "vpc",
         "ResourceId": "vpc-1", "State": "available"}
    )  # fmt: skip
    return drawing


@pytest.mark.slow
@many(150)
@given(st.data())
def test_a_member_of_another_shape_is_a_problem_and_no_error(data: st.DataObject) -> None:
    drawing = _full()
    for _ in range(data.draw(st.integers(1, 4))):
        stem = data.draw(st.sampled_from(sorted(drawing.lists)))
        if not drawing.lists[stem]:
            continue
        item: Any = data.draw(st.sampled_from(drawing.lists[stem]))
        while isinstance(item, dict) and item:
            key = data.draw(st.sampled_from(sorted(item)))
            value = item[key]
            if isinstance(value, list) and value and data.draw(st.booleans()):
                value = data.draw(st.sampled_from(value))
            if isinstance(value, dict) and value and data.draw(st.booleans()):
                item = value
            else:
                item[key] = data.draw(_JSON)
                break
    _queried_network(drawing.answers())


@many(100)
@given(st.dictionaries(st.sampled_from(sorted(STEMS)), st.lists(_JSON, max_size=4), max_size=6))
def test_lists_of_anything_are_answers(lists: dict[str, list[object]]) -> None:
    _queried_network(Answers({(ACCOUNT, REGION): lists}))


@pytest.mark.parametrize("stem", sorted(_full().lists))
def test_an_answer_that_is_missing_is_a_problem_or_a_note(stem: str) -> None:
    drawing = _full()
    del drawing.lists[stem]
    network = _queried_network(drawing.answers())
    if stem in ("Vpcs", "Subnets", "RouteTables", "SecurityGroups", "NetworkAcls", "Reservations"):
        assert stem in {problem.where for problem in network.problems}


@pytest.mark.parametrize("missing", ["sg-1", "acl-vpc-1"])
def test_an_object_that_was_deleted_between_two_calls_is_noted(missing: str) -> None:
    drawing = public_network()
    drawing.lists["NetworkInterfaces"][0]["Groups"].append({"GroupId": "sg-2"})
    drawing.group("sg-2", "vpc-1", tcp(80, "0.0.0.0/0"))
    for stem in ("SecurityGroups", "NetworkAcls"):
        drawing.lists[stem] = [one for one in drawing.lists[stem] if missing not in one.values()]
    findings = list(Network.from_answers(drawing.answers()).findings())
    assert findings
    for finding in findings:
        assert any(note.startswith("not accounted for: ") for note in finding.notes)


def test_a_rule_that_names_an_unknown_prefix_list_or_group_is_noted() -> None:
    drawing = public_network()
    drawing.lists["SecurityGroups"][0]["IpPermissions"].append(tcp(80, "pl-9", "sg-9"))
    notes = {
        note for one in Network.from_answers(drawing.answers()).findings() for note in one.notes
    }
    assert notes == {
        "not accounted for: prefix list pl-9 of sg-1",
        "not accounted for: members of sg-9, to which sg-1 refers",
    }


def test_groups_that_refer_to_each_other_are_no_circle() -> None:
    drawing = public_network()
    drawing.lists["SecurityGroups"][0]["IpPermissions"] = [everything("sg-1", "sg-2")]
    drawing.group("sg-2", "vpc-1", everything("sg-1", "sg-2"))
    _queried_network(drawing.answers())


def _in_a_circle() -> Drawing:
    """Transit gateways whose peerings send everything round."""
    drawing = public_network()
    drawing.lists["RouteTables"][0]["Routes"].append(route("192.0.2.0/24", "tgw-0"))
    drawing.lists["TransitGatewayAttachments"].append(
        {"TransitGatewayAttachmentId": "att-v", "TransitGatewayId": "tgw-0", "ResourceType": "vpc",
         "ResourceId": "vpc-1", "State": "available",
         "Association": {"TransitGatewayRouteTableId": "tgw-rtb-0", "State": "associated"}}
    )  # fmt: skip
    for number in range(3):
        following = (number + 1) % 3
        for gateway, other in ((number, following), (following, number)):
            drawing.lists["TransitGatewayAttachments"].append(
                {"TransitGatewayAttachmentId": f"att-{number}",
                 "TransitGatewayId": f"tgw-{gateway}", "ResourceType": "peering",
                 "ResourceId": f"tgw-{other}", "State": "available",
                 "Association": {"TransitGatewayRouteTableId": f"tgw-rtb-{gateway}",
                                 "State": "associated"}}
            )  # fmt: skip
        drawing.lists["TransitGatewayStaticRoutes"].append(
            {"TransitGatewayRouteTableId": f"tgw-rtb-{number}",
             "Routes": [{"DestinationCidrBlock": "0.0.0.0/0", "Type": "static", "State": "active",
                         "TransitGatewayAttachments": [
                             {"TransitGatewayAttachmentId": f"att-{number}"}]}]}
        )  # fmt: skip
    return drawing


def test_a_routing_loop_ends() -> None:
    explained = _queried_network(_in_a_circle().answers()).explain("i-web", "192.0.2.1", "tcp", 443)
    assert explained.verdict == "NULL_ROUTED"
    assert any("hops" in note for note in explained.notes)
    assert len(explained.hops) < 100


def test_an_endpoint_that_routes_to_itself_ends() -> None:
    drawing = public_network()
    drawing.lists["VpcEndpoints"].append(
        {"VpcEndpointId": "vpce-1", "VpcEndpointType": "GatewayLoadBalancer", "VpcId": "vpc-1",
         "State": "available", "SubnetIds": ["subnet-1"]}
    )  # fmt: skip
    drawing.lists["RouteTables"][0]["Routes"] = [route("0.0.0.0/0", "vpce-1")]
    network = _queried_network(drawing.answers())
    assert network.explain("i-web", "8.8.8.8", "tcp", 443).verdict == "NULL_ROUTED"


def test_ten_thousand_rules_of_one_group_are_evaluated() -> None:
    drawing = public_network()
    drawing.lists["SecurityGroups"][0]["IpPermissions"] = [
        tcp(443, *(f"203.{high}.{low}.0/24" for high in range(40) for low in range(0, 250, 1)))
    ]
    findings = list(Network.from_answers(drawing.answers()).findings())
    assert len(findings) == 1
    assert findings[0].notes == ()
    assert len(findings[0].sources) < 250  # what is not listed is counted in the last entry
    assert "more ranges" in findings[0].sources[-1]


@pytest.mark.slow
def test_rules_that_would_cost_too_much_are_left_out_with_a_note() -> None:
    drawing = public_network()
    drawing.lists["SecurityGroups"][0]["IpPermissions"] = [
        tcp(number, f"203.{number >> 8}.{number & 255}.0/24", last=65535)
        for number in range(10_000)
    ]
    network = Network.from_answers(drawing.answers())
    findings = list(network.findings())
    assert findings
    assert all("too many rules of sg-1" in one.notes[0] for one in findings)


def test_ten_thousand_acl_entries_and_routes_are_evaluated() -> None:
    drawing = public_network()
    drawing.acl(
        "acl-1",
        "vpc-1",
        *(
            entry(number, "deny", f"203.{number >> 8}.{number & 255}.0/24")
            for number in range(1, 10_000)
        ),
        entry(20_000, "allow", "0.0.0.0/0"),
        entry(20_000, "allow", "0.0.0.0/0", egress=True),
        subnets=("subnet-1",),
    )
    drawing.lists["RouteTables"][0]["Routes"] += [
        route(f"198.{18 + (number >> 8)}.{number & 255}.0/24", "pcx-1") for number in range(10_000)
    ]
    found = {one.port_begin: one for one in Network.from_answers(drawing.answers()).findings()}
    assert set(found) == {443}
    assert not found[443].anywhere


def test_overlapping_vpcs_and_subnets_are_each_their_own() -> None:
    drawing = public_network()
    drawing.vpc("vpc-2", "10.0.0.0/16")
    drawing.subnet("subnet-2", "vpc-2", "10.0.1.0/24")
    drawing.subnet("subnet-3", "vpc-2", "10.0.0.0/16")
    drawing.group("sg-2", "vpc-2", everything())
    drawing.instance("twin", "subnet-2", "10.0.1.10", "sg-2")
    drawing.peering("pcx-1", "vpc-1", "vpc-2")
    network = _queried_network(drawing.answers())
    with pytest.raises(UsageError, match="several have this address"):
        network.explain("10.0.1.10", "8.8.8.8", "tcp", 443)


@pytest.mark.parametrize(
    ("source", "target", "protocol", "port"),
    [
        ("i-none", "i-web", "tcp", 22),
        ("internet", "i-none", "tcp", 22),
        ("internet", "nonsense", "tcp", 22),
        ("internet", "i-web", "smtp", 22),
        ("internet", "i-web", "all", 22),
        ("internet", "i-web", "tcp", 65536),
        ("internet", "i-web", "tcp", -1),
    ],
)
def test_a_question_about_what_is_not_there_is_a_usage_error(
    source: str, target: str, protocol: str, port: int
) -> None:
    with pytest.raises(UsageError):
        Network.from_answers(public_network().answers()).explain(source, target, protocol, port)


def test_problems_name_the_account_region_and_kind() -> None:
    drawing = public_network()
    drawing.lists["SecurityGroups"] += [{"GroupName": "no id"}, "no object"]
    drawing.lists["SecurityGroups"][0]["IpPermissions"].append(tcp(1, "300.0.0.0/8"))
    problems = Network.from_answers(drawing.answers()).problems
    where = f"{ACCOUNT}/{REGION}/SecurityGroups"
    assert set(problems) == {
        Problem(where, "an object without an id"),
        Problem(where, "an entry that is not an object"),
        Problem("sg-1", "a rule with no CIDR block that can be read"),
    }


def test_paths_that_branch_without_end_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attachments in many subnets, each of whose route tables sends everything back."""
    drawing = public_network()
    zones = [f"subnet-z{number}" for number in range(12)]
    for number, name in enumerate(zones):
        drawing.subnet(name, "vpc-1", f"10.0.{100 + number}.0/24")
        everywhere = [route("0.0.0.0/0", "tgw-1"), route("10.0.1.0/24", "tgw-1")]
        drawing.table(f"rtb-{name}", "vpc-1", *everywhere, subnets=(name,))
    for number in (1, 2):
        ids = {"TransitGatewayAttachmentId": f"att-{number}", "TransitGatewayId": "tgw-1"}
        drawing.lists["TransitGatewayAttachments"].append(
            {**ids, "ResourceType": "vpc", "ResourceId": f"vpc-{number}", "State": "available",
             "Association": {"TransitGatewayRouteTableId": "tgw-rtb-1", "State": "associated"}}
        )  # fmt: skip
        subnets = zones if number == 1 else []
        drawing.lists["TransitGatewayVpcAttachments"].append(
            {**ids, "VpcId": f"vpc-{number}", "State": "available", "SubnetIds": subnets}
        )
    drawing.vpc("vpc-2", "10.2.0.0/16")
    drawing.lists["TransitGatewayStaticRoutes"].append(
        {"TransitGatewayRouteTableId": "tgw-rtb-1",
         "Routes": [{"DestinationCidrBlock": cidr, "State": "active", "Type": "static",
                     "TransitGatewayAttachments": [{"TransitGatewayAttachmentId": name}]}
                    for cidr, name in (("10.0.0.0/16", "att-1"), ("10.2.0.0/16", "att-2"))]}
    )  # fmt: skip
    for module in (admissions, walker):
        monkeypatch.setattr(module, "BRANCH_LIMIT", 20)
    network = _queried_network(drawing.answers())
    assert "subnet-1" in {problem.where for problem in network.problems}
