"""Firewalls and appliances on the way: ingress routes, more specific than local, inspection."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from sidelight.reachability import Network
from tests.reachability.drawing import OPEN, Drawing, entry, route, tcp

if TYPE_CHECKING:
    from sidelight.reachability import ReachabilityFinding


def _inspected(policy: dict[str, Any] | None = None, *groups: dict[str, Any]) -> Drawing:
    """A web server behind an endpoint: the internet gateway's own route table leads to it."""
    drawing = Drawing()
    drawing.vpc("vpc-1", "10.0.0.0/16")
    drawing.internet_gateway("igw-1", "vpc-1")
    drawing.subnet("subnet-fw", "vpc-1", "10.0.0.0/24")
    drawing.subnet("subnet-web", "vpc-1", "10.0.1.0/24")
    to_endpoint = route("10.0.1.0/24", "vpce-1")
    drawing.table("rtb-in", "vpc-1", to_endpoint, gateways=("igw-1",))
    drawing.table("rtb-fw", "vpc-1", route("0.0.0.0/0", "igw-1"), subnets=("subnet-fw",))
    drawing.table("rtb-web", "vpc-1", route("0.0.0.0/0", "vpce-1"), subnets=("subnet-web",))
    drawing.group("sg-1", "vpc-1", tcp(22, "0.0.0.0/0"), tcp(443, "0.0.0.0/0"))
    drawing.instance("web", "subnet-web", "10.0.1.10", "sg-1", public="198.51.100.10")
    drawing.lists["VpcEndpoints"].append(
        {"VpcEndpointId": "vpce-1", "VpcEndpointType": "GatewayLoadBalancer", "VpcId": "vpc-1",
         "State": "available", "SubnetIds": ["subnet-fw"]}
    )  # fmt: skip
    if policy is not None:
        attachment = {"SubnetId": "subnet-fw", "EndpointId": "vpce-1", "Status": "READY"}
        drawing.lists["NetworkFirewalls"].append(
            {
                "Firewall": {"FirewallName": "fw", "VpcId": "vpc-1", "FirewallPolicyArn": "policy"},
                "FirewallStatus": {"SyncStates": {"eu-west-1a": {"Attachment": attachment}}},
            }
        )
        stateless = [
            _reference(one) for one in groups if one["RuleGroupResponse"]["Type"] == "STATELESS"
        ]
        stateful = [
            _reference(one) for one in groups if one["RuleGroupResponse"]["Type"] == "STATEFUL"
        ]
        drawing.lists["FirewallPolicies"].append(
            {
                "FirewallPolicyResponse": {"FirewallPolicyArn": "policy"},
                "FirewallPolicy": {
                    "StatelessDefaultActions": ["aws:forward_to_sfe"],
                    "StatelessRuleGroupReferences": stateless,
                    "StatefulRuleGroupReferences": stateful,
                    **policy,
                },
            }
        )
        drawing.lists["RuleGroups"].extend(groups)
    return drawing


def _reference(group: dict[str, Any]) -> dict[str, Any]:
    arn = group["RuleGroupResponse"]["RuleGroupArn"]
    return {"ResourceArn": arn, "Priority": int(arn.rpartition("-")[2])}


def _stateless(number: int, *rules: tuple[int, str, dict[str, Any]]) -> dict[str, Any]:
    listed = [
        {"Priority": priority, "RuleDefinition": {"Actions": [action], "MatchAttributes": match}}
        for priority, action, match in rules
    ]
    return {
        "RuleGroupResponse": {"RuleGroupArn": f"group-{number}", "Type": "STATELESS"},
        "RuleGroup": {
            "RulesSource": {"StatelessRulesAndCustomActions": {"StatelessRules": listed}}
        },
    }


def _stateful(number: int, *rules: tuple[str, str], **source: Any) -> dict[str, Any]:
    """Rules as `ACTION`, `PROTOCOL SOURCE PORT DIRECTION DESTINATION PORT`."""
    listed = []
    for action, header in rules:
        names = ("Protocol", "Source", "SourcePort", "Direction", "Destination", "DestinationPort")
        fields = dict(zip(names, header.split(), strict=True))
        listed.append({"Action": action, "Header": fields, "RuleOptions": [{"Keyword": "sid"}]})
    return {
        "RuleGroupResponse": {"RuleGroupArn": f"group-{number}", "Type": "STATEFUL"},
        "RuleGroup": {"RulesSource": {"StatefulRules": listed, **source}},
    }


def _found(drawing: Drawing) -> dict[int, tuple[str, ...]]:
    findings = Network.from_answers(drawing.answers()).findings()
    return {finding.port_begin: finding.sources for finding in findings}


def _notes(drawing: Drawing) -> set[str]:
    findings = Network.from_answers(drawing.answers()).findings()
    return {note for finding in findings for note in finding.notes}


_EVERYONE = ("0.0.0.0/0",)


def test_an_appliance_behind_an_endpoint_may_filter_and_the_finding_says_so() -> None:
    drawing = _inspected()
    assert _found(drawing) == {22: _EVERYONE, 443: _EVERYONE}
    assert _notes(drawing) == {"not accounted for: what the appliance behind vpce-1 filters"}
    findings = Network.from_answers(drawing.answers()).findings()
    assert "vpce-1" in {step.id for step in next(findings).steps}


def test_the_way_through_an_endpoint_needs_its_subnets_routes_and_network_acl() -> None:
    drawing = _inspected()
    drawing.lists["RouteTables"] = [
        table for table in drawing.lists["RouteTables"] if table["RouteTableId"] != "rtb-fw"
    ]
    assert _found(drawing) == {}
    drawing = _inspected()
    entries = [entry(1, "deny", "203.0.113.0/24", (22, 22)), *OPEN]
    drawing.acl("acl-fw", "vpc-1", *entries, subnets=("subnet-fw",))
    assert _found(drawing)[443] == _EVERYONE
    assert "203.0.113.0/24" not in _found(drawing)[22]
    assert _found(drawing)[22] != _EVERYONE


def test_answers_that_go_round_the_endpoint_get_out_too() -> None:
    drawing = _inspected()
    drawing.lists["RouteTables"][-1]["Routes"][-1] = route("0.0.0.0/0", "igw-1")
    assert _found(drawing) == {22: _EVERYONE, 443: _EVERYONE}


_TCP = {"Protocols": [6]}


@pytest.mark.parametrize(
    ("rules", "default", "expected"),
    [
        ([], "aws:pass", {22, 443}),
        ([], "aws:drop", set()),
        (
            [(1, "aws:drop", {**_TCP, "DestinationPorts": [{"FromPort": 0, "ToPort": 80}]})],
            "aws:pass",
            {443},
        ),
        (
            [
                (2, "aws:drop", {}),
                (1, "aws:pass", {"DestinationPorts": [{"FromPort": 443, "ToPort": 443}]}),
            ],
            "aws:pass",
            set(),  # the answers from port 443 meet the second rule
        ),
        (
            [
                (3, "aws:drop", {}),
                (2, "aws:pass", {"SourcePorts": [{"FromPort": 443, "ToPort": 443}]}),
                (1, "aws:pass", {"DestinationPorts": [{"FromPort": 443, "ToPort": 443}]}),
            ],
            "aws:pass",
            {443},
        ),
        ([(1, "aws:drop", {"Protocols": [17]})], "aws:pass", {22, 443}),
    ],
    ids=["pass", "drop", "ports", "no-answer", "both-ways", "protocol"],
)
def test_stateless_rules_are_asked_both_ways_by_priority(
    rules: list[tuple[int, str, dict[str, Any]]], default: str, expected: set[int]
) -> None:
    drawing = _inspected({"StatelessDefaultActions": [default]}, _stateless(1, *rules))
    assert set(_found(drawing)) == expected


@pytest.mark.parametrize(
    ("options", "rules", "expected"),
    [
        ({}, [("DROP", "TCP ANY ANY FORWARD ANY 22")], {443: _EVERYONE}),
        ({}, [("DROP", "TCP ANY ANY FORWARD ANY 22"), ("PASS", "TCP ANY ANY FORWARD ANY ANY")],
         {22: _EVERYONE, 443: _EVERYONE}),
        ({"StatefulEngineOptions": {"RuleOrder": "STRICT_ORDER"}},
         [("DROP", "TCP ANY ANY FORWARD ANY 22"), ("PASS", "TCP ANY ANY FORWARD ANY ANY")],
         {443: _EVERYONE}),
        ({"StatefulEngineOptions": {"RuleOrder": "STRICT_ORDER"},
          "StatefulDefaultActions": ["aws:drop_strict"]},
         [("PASS", "TCP 203.0.113.0/24 ANY FORWARD $HOME_NET 443")], {443: ("203.0.113.0/24",)}),
        ({}, [("REJECT", "TCP ANY ANY FORWARD ANY [22,80:90]")], {443: _EVERYONE}),
        ({}, [("DROP", "TCP ANY ANY FORWARD ANY !443")], {443: _EVERYONE}),
        ({}, [("DROP", "UDP ANY ANY FORWARD ANY ANY")], {22: _EVERYONE, 443: _EVERYONE}),
        ({}, [("ALERT", "IP ANY ANY FORWARD ANY ANY")], {22: _EVERYONE, 443: _EVERYONE}),
        ({}, [("DROP", "TCP $HOME_NET ANY ANY ANY 22")], {22: _EVERYONE, 443: _EVERYONE}),
        ({}, [("DROP", "TCP $HOME_NET 22 ANY ANY ANY")], {443: _EVERYONE}),
    ],
    ids=["drop", "pass-first", "strict", "drop-strict", "ports", "not", "udp", "alert", "outbound",
         "any-direction"],
)  # fmt: skip
def test_stateful_rules_are_asked_of_the_first_packet(
    options: dict[str, Any], rules: list[tuple[str, str]], expected: dict[int, tuple[str, ...]]
) -> None:
    drawing = _inspected(options, _stateful(1, *rules))
    assert _found(drawing) == expected


@pytest.mark.parametrize(
    ("group", "note"),
    [
        (_stateful(1, RulesString="drop tcp any any -> any any (sid:1;)"), "by Suricata rules"),
        (_stateful(1, RulesSourceList={"Targets": [".example.com"]}), "by a list of domains"),
        (_stateful(1, ("DROP", "HTTP ANY ANY FORWARD ANY ANY")), "by a rule for HTTP"),
    ],
    ids=["suricata", "domains", "application"],
)
def test_other_rules_may_filter_and_the_finding_says_so(group: dict[str, Any], note: str) -> None:
    drawing = _inspected({}, group)
    assert _found(drawing) == {22: _EVERYONE, 443: _EVERYONE}
    assert _notes(drawing) == {f"not accounted for: firewall fw may filter {note}"}


def test_a_firewalls_missing_policy_is_not_accounted_for() -> None:
    drawing = _inspected({}, _stateful(1, ("DROP", "TCP ANY ANY FORWARD ANY 22")))
    drawing.lists["FirewallPolicies"].clear()
    assert _found(drawing) == {22: _EVERYONE, 443: _EVERYONE}
    assert _notes(drawing) == {
        "not accounted for: the policy of firewall fw, which is not in the answers"
    }


def test_an_appliances_interface_is_where_the_known_way_ends() -> None:
    drawing = _inspected()
    drawing.lists["RouteTables"][-3]["Routes"][-1] = route("10.0.1.0/24", "eni-fw")
    drawing.interface("fw", "subnet-fw", "10.0.0.9", SourceDestCheck=False)
    assert _found(drawing) == {}
    explained = Network.from_answers(drawing.answers()).explain("internet", "i-web", "tcp", 443)
    assert explained.verdict == "EXITS_NETWORK"
    assert explained.notes == ("not accounted for: what eni-fw forwards",)
    drawing.lists["NetworkInterfaces"][-1]["SourceDestCheck"] = True
    explained = Network.from_answers(drawing.answers()).explain("internet", "i-web", "tcp", 443)
    assert explained.stopped_by is not None
    assert (explained.verdict, explained.stopped_by.rule) == ("DENIED_IN", "SourceDestCheck")


def test_no_acl_is_met_between_an_endpoint_and_hosts_of_its_own_subnet() -> None:
    drawing = _inspected()
    # A server beside the endpoint: its packets out go through it, and what comes in goes on to it.
    drawing.instance("near", "subnet-fw", "10.0.0.20", "sg-1", public="198.51.100.20")
    drawing.lists["RouteTables"][-3]["Routes"].append(route("10.0.0.0/24", "vpce-1"))
    server = {one.port_begin for one in _findings_of(drawing, "i-near")}
    assert server == {22, 443}
    closed = [
        entry(1, "deny", "10.0.0.0/24"),
        entry(1, "deny", "10.0.0.0/24", egress=True),
        *OPEN,
    ]
    drawing.acl("acl-fw", "vpc-1", *closed, subnets=("subnet-fw",))
    assert {one.port_begin for one in _findings_of(drawing, "i-near")} == server


def _findings_of(drawing: Drawing, instance: str) -> list[ReachabilityFinding]:
    findings = Network.from_answers(drawing.answers()).findings()
    return [finding for finding in findings if finding.instance_id == instance]


@pytest.mark.parametrize(
    ("back", "reached"),
    [((1024, 30000), True), ((30001, 65535), False)],
    ids=["the-same-ports", "other-ports"],
)
def test_a_stateless_rule_for_clients_ports_lets_the_same_ports_back(
    back: tuple[int, int], reached: bool
) -> None:
    there = {"SourcePorts": [{"FromPort": 1024, "ToPort": 30000}],
             "DestinationPorts": [{"FromPort": 443, "ToPort": 443}]}  # fmt: skip
    here = {"SourcePorts": [{"FromPort": 443, "ToPort": 443}],
            "DestinationPorts": [{"FromPort": back[0], "ToPort": back[1]}]}  # fmt: skip
    rules = [(1, "aws:pass", there), (2, "aws:pass", here)]
    drawing = _inspected({"StatelessDefaultActions": ["aws:drop"]}, _stateless(1, *rules))
    assert set(_found(drawing)) == ({443} if reached else set())
    explained = Network.from_answers(drawing.answers()).explain("internet", "i-web", "tcp", 443)
    assert explained.reachable == reached


def test_rules_of_a_firewall_that_cost_too_much_are_not_accounted_for() -> None:
    rules = [
        ("DROP", f"TCP 11.{number >> 8}.{number & 255}.0/24 ANY FORWARD ANY {number}:{number + 9}")
        for number in range(5_000)
    ]
    strict = {"StatefulEngineOptions": {"RuleOrder": "STRICT_ORDER"}}
    drawing = _inspected(strict, _stateful(1, *rules))
    began = time.process_time()
    assert "not accounted for: the last of the too many rules of vpce-1" in _notes(drawing)
    assert time.process_time() - began < 60


_STRICT = {
    "StatefulEngineOptions": {"RuleOrder": "STRICT_ORDER"},
    "StatefulDefaultActions": ["aws:drop_strict"],
}


@pytest.mark.parametrize(
    "policy",
    [
        {**_STRICT, "StatefulRuleGroupReferences": [{"ResourceArn": "group-9", "Priority": 9}]},
        {
            "StatelessDefaultActions": ["aws:drop"],
            "StatelessRuleGroupReferences": [{"ResourceArn": "group-9", "Priority": 9}],
        },
    ],
    ids=["stateful", "stateless"],
)
def test_a_rule_group_that_is_in_no_answer_may_let_packets_through(policy: dict[str, Any]) -> None:
    drawing = _inspected(policy)
    assert _found(drawing) == {22: _EVERYONE, 443: _EVERYONE}
    assert _notes(drawing) == {"not accounted for: rule group group-9 of firewall fw"}


@pytest.mark.parametrize("action", ["aws:pass", "aws:drop"])
def test_a_stateless_rule_by_tcp_flags_is_noted_and_may_let_packets_through(action: str) -> None:
    flags = {"TCPFlags": [{"Flags": ["SYN"], "Masks": ["SYN", "ACK"]}], "Protocols": [6]}
    default = "aws:drop" if action == "aws:pass" else "aws:pass"
    drawing = _inspected({"StatelessDefaultActions": [default]}, _stateless(1, (1, action, flags)))
    assert _found(drawing) == {22: _EVERYONE, 443: _EVERYONE}
    assert _notes(drawing) == {"not accounted for: stateless rules of firewall fw by TCP flags"}


@pytest.mark.parametrize(
    ("addresses", "dropped"),
    [
        ("[0.0.0.0/0,!10.0.0.0/8]", False),
        ("[::/0,!fd00::/8]", True),
        ("[!10.0.0.0/8]", True),
        ("!10.0.0.0/8", True),
    ],
)
def test_a_list_with_exclusions_has_the_addresses_of_its_own_family(
    addresses: str, dropped: bool
) -> None:
    drawing = _inspected(_STRICT, _stateful(1, ("DROP", f"TCP {addresses} ANY FORWARD ANY ANY"),
                                            ("PASS", "TCP ANY ANY FORWARD ANY ANY")))  # fmt: skip
    six = {"Ipv6CidrBlock": "2a05:d018:1::/56"}
    drawing.lists["Vpcs"][0]["Ipv6CidrBlockAssociationSet"] = [six]
    for subnet, part in zip(drawing.lists["Subnets"], ("0", "1"), strict=True):
        block = f"2a05:d018:1:{part}::/64"
        subnet["Ipv6CidrBlockAssociationSet"] = [{"Ipv6CidrBlock": block}]
    ways = {"rtb-in": ("2a05:d018:1:1::/64", "vpce-1"), "rtb-fw": ("::/0", "igw-1"),
            "rtb-web": ("::/0", "vpce-1")}  # fmt: skip
    for table in drawing.lists["RouteTables"]:
        table["Routes"].append(route("2a05:d018:1::/56", "local"))
        if way := ways.get(table["RouteTableId"]):
            table["Routes"].append(route(*way))
    drawing.group("sg-6", "vpc-1", tcp(80, "::/0"))
    drawing.instance("six", "subnet-web", "10.0.1.11", "sg-6", ipv6="2a05:d018:1:1::11")
    assert bool(_found(drawing).get(80)) is not dropped


def test_stateful_groups_are_asked_by_their_priority_in_strict_order() -> None:
    rules = (
        _stateful(1, ("DROP", "TCP ANY ANY FORWARD ANY 22")),
        _stateful(2, ("PASS", "TCP ANY ANY FORWARD ANY ANY")),
    )
    drawing = _inspected({"StatefulEngineOptions": {"RuleOrder": "STRICT_ORDER"}}, *rules)
    drawing.lists["FirewallPolicies"][0]["FirewallPolicy"]["StatefulRuleGroupReferences"].reverse()
    assert _found(drawing) == {443: _EVERYONE}


@pytest.mark.parametrize(
    ("endpoint", "web", "found"),
    [("", "", False), ("off", "", False), ("", "off", False), ("off", "off", True)],
)
def test_blocked_public_access_needs_exclusions_of_endpoint_and_instance(
    endpoint: str, web: str, found: bool
) -> None:
    """AWS: the endpoint's subnet must be excluded, and that is not enough [VPC BPA basics]."""
    drawing = _inspected()
    drawing.lists["Vpcs"][0]["BlockPublicAccessStates"] = {
        "InternetGatewayBlockMode": "block-bidirectional"
    }
    for subnet, mode in zip(drawing.lists["Subnets"], (endpoint, web), strict=True):
        if mode:
            subnet["BlockPublicAccessStates"] = {"InternetGatewayBlockMode": mode}
    assert bool(_found(drawing)) == found
