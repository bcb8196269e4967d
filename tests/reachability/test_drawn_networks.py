"""Networks drawn by hand, for what no recorded network has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.errors import UsageError
from sidelight.model.advisories import Severity
from sidelight.reachability import EdgeKind, Network
from tests.reachability.drawing import (
    OPEN,
    Drawing,
    entry,
    everything,
    public_network,
    route,
    tcp,
)

if TYPE_CHECKING:
    from sidelight.reachability import ReachabilityFinding

Found = dict[tuple[str, int, int], tuple[str, ...]]


def _network(drawing: Drawing) -> Network:
    return Network.from_answers(drawing.answers())


def _findings(drawing: Drawing, instance: str = "") -> list[ReachabilityFinding]:
    return [
        finding for finding in _network(drawing).findings() if instance in ("", finding.instance_id)
    ]


def _open(drawing: Drawing, instance: str = "") -> Found:
    """The sources by edge and ports."""
    return {
        (finding.edge_id, finding.port_begin, finding.port_end): finding.sources
        for finding in _findings(drawing, instance)
    }


def _main_table(*routes: dict[str, object]) -> dict[str, list[object]]:
    local = route("10.0.0.0/16", "local")
    table = {"RouteTableId": "rtb-x", "VpcId": "vpc-1", "Routes": [local, *routes]}
    return {"RouteTables": [{**table, "Associations": [{"Main": True}]}]}


_DETACHING = [{"VpcId": "vpc-1", "State": "detaching"}]


def test_a_port_is_open_to_its_rules_sources_and_no_others() -> None:
    assert _open(public_network()) == {
        ("igw-1", 22, 22): ("203.0.113.7/32",),
        ("igw-1", 443, 443): ("0.0.0.0/0",),
    }
    anywhere = {finding.port_begin: finding.anywhere for finding in _findings(public_network())}
    assert anywhere == {22: False, 443: True}


def test_a_finding_has_inspectors_texts_and_steps() -> None:
    finding = next(one for one in _findings(public_network()) if one.port_begin == 22)
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
    assert _open(drawing) == {
        ("igw-1", 20, 24): ("203.0.113.0/24",),
        ("igw-1", 25, 26): ("198.51.100.0/24", "203.0.113.0/24"),
        ("igw-1", 27, 30): ("203.0.113.0/24",),
    }


def test_icmp_is_no_finding_and_all_protocols_are_tcp_and_udp() -> None:
    drawing = public_network()
    drawing.lists["SecurityGroups"][0]["IpPermissions"] = [tcp(-1, "0.0.0.0/0", protocol="icmp")]
    assert _findings(drawing) == []
    drawing.lists["SecurityGroups"][0]["IpPermissions"] = [everything()]
    found = {(one.protocol, one.port_begin, one.port_end) for one in _findings(drawing)}
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
    assert _findings(drawing) == []


def test_an_instance_that_does_not_run_has_no_findings() -> None:
    drawing = public_network()
    drawing.instance(
        "off", "subnet-1", "10.0.1.11", "sg-1", public="198.51.100.11", state="stopped"
    )
    assert {finding.instance_id for finding in _findings(drawing)} == {"i-web"}


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
    assert _open(drawing) == {("igw-1", 443, 443): ("203.0.113.0/24",)}


def test_an_answer_needs_an_ephemeral_port_that_the_network_acl_lets_out() -> None:
    drawing = public_network()
    closed = [
        entry(1, "allow", "0.0.0.0/0"),
        entry(1, "allow", "0.0.0.0/0", (443, 443), egress=True),
    ]
    drawing.acl("acl-1", "vpc-1", *closed, subnets=("subnet-1",))
    assert _findings(drawing) == []
    drawing.lists["NetworkAcls"][-1]["Entries"].append(
        entry(2, "allow", "203.0.113.0/25", (60000, 60000), egress=True)
    )
    assert _open(drawing)["igw-1", 443, 443] == ("203.0.113.0/25",)


def test_sources_that_are_answered_by_another_way_are_left_out() -> None:
    drawing = public_network()
    drawing.lists["RouteTables"][0]["Routes"].append(route("203.0.113.0/24", "vgw-1"))
    assert ("igw-1", 22, 22) not in _open(drawing)


def test_ipv6_needs_its_own_rules_and_routes() -> None:
    drawing = public_network()
    drawing.instance("six", "subnet-1", "10.0.1.12", "sg-6", ipv6="2a05:d018:1:1::12")
    drawing.group("sg-6", "vpc-1", tcp(443, "::/0"), tcp(22, "2001:db8::/32"))
    assert _open(drawing, "i-six") == {
        ("igw-1", 22, 22): ("2001:db8::/32",),
        ("igw-1", 443, 443): ("::/0",),
    }
    assert {finding.family for finding in _findings(drawing, "i-six")} == {6}


def test_an_egress_only_gateway_lets_nothing_in_and_ipv6_out() -> None:
    drawing = public_network()
    drawing.lists["EgressOnlyInternetGateways"].append(
        {"EgressOnlyInternetGatewayId": "eigw-1",
         "Attachments": [{"VpcId": "vpc-1", "State": "attached"}]}
    )  # fmt: skip
    drawing.table("rtb-1", "vpc-1", route("::/0", "eigw-1"), subnets=("subnet-1",))
    drawing.instance("six", "subnet-1", "10.0.1.12", "sg-6", ipv6="2a05:d018:1:1::12")
    drawing.group("sg-6", "vpc-1", tcp(443, "::/0"))
    assert _findings(drawing, "i-six") == []
    out = _network(drawing).explain("i-six", "2606:4700::1111", "tcp", 443)
    assert (out.verdict, out.hops[-3:]) == (
        "EXITS_NETWORK",
        ("eigw-1", "aws-backbone", "internet"),
    )
    stopped = _network(drawing).explain("internet", "i-six", "tcp", 443, family=6)
    assert not stopped.reachable


@pytest.mark.parametrize(
    ("mode", "found"), [("off", True), ("block-ingress", False), ("block-bidirectional", False)]
)
def test_blocked_public_access_closes_the_internet_gateway(mode: str, found: bool) -> None:
    drawing = public_network()
    drawing.lists["Subnets"][0]["BlockPublicAccessStates"] = {"InternetGatewayBlockMode": mode}
    assert bool(_findings(drawing)) == found


def test_a_shared_subnets_interfaces_belong_to_their_own_account() -> None:
    drawing = public_network()
    drawing.instance(
        "theirs", "subnet-1", "10.0.1.20", "sg-1", public="198.51.100.20", OwnerId="222222222222"
    )
    accounts = {finding.instance_id: finding.account for finding in _findings(drawing)}
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
    assert _open(_peered(), "i-b") == {
        ("pcx-1", 22, 22): ("10.1.0.10/32",),
        ("pcx-1", 80, 80): ("10.1.0.0/16",),
    }
    assert _network(_peered()).explain("i-a", "i-b", "tcp", 22).reachable


def test_a_peering_is_not_transitive() -> None:
    drawing = _peered()
    drawing.vpc("vpc-c", "10.3.0.0/16", route("10.2.0.0/16", "pcx-2"))
    drawing.peering("pcx-2", "vpc-c", "vpc-a")
    drawing.subnet("subnet-c", "vpc-c", "10.3.0.0/24")
    drawing.group("sg-c", "vpc-c")
    drawing.instance("c", "subnet-c", "10.3.0.10", "sg-c")
    explained = _network(drawing).explain("i-c", "10.2.0.10", "tcp", 80)
    assert (explained.reachable, explained.verdict) == (False, "NULL_ROUTED")
    assert all(
        one.sources == ("10.1.0.0/16",) for one in _findings(drawing, "i-b") if one.port_begin == 80
    )


def test_a_virtual_gateway_is_an_edge_if_a_connection_ends_at_it() -> None:
    drawing = public_network()
    drawing.virtual_gateway("vgw-1", "vpc-1")
    drawing.lists["RouteTables"][0]["Routes"].append(route("172.16.0.0/12", "vgw-1"))
    drawing.lists["SecurityGroups"][0]["IpPermissions"] = [tcp(22, "172.16.9.0/24")]
    assert _open(drawing) == {}
    drawing.virtual_gateway("vgw-1", "vpc-1", "vpn-1")
    assert _open(drawing) == {("vgw-1", 22, 22): ("172.16.9.0/24",)}
    finding = _findings(drawing)[0]
    assert (finding.edge_kind, finding.severity) == (EdgeKind.VIRTUAL_GATEWAY, Severity.LOW)


def _balanced(kind: str, *targets: str, health: str = "healthy", **attributes: str) -> Drawing:
    """Two zones: a load balancer's public subnets, and private ones with a server each."""
    drawing = Drawing()
    drawing.vpc("vpc-1", "10.0.0.0/16")
    drawing.internet_gateway("igw-1", "vpc-1")
    public = []
    for number, zone in enumerate("ab"):
        public.append(drawing.subnet(f"subnet-{zone}", "vpc-1", f"10.0.{number}.0/24", zone=zone))
        drawing.subnet(f"subnet-p{zone}", "vpc-1", f"10.0.1{number}.0/24", zone=zone)
        drawing.instance(zone, f"subnet-p{zone}", f"10.0.1{number}.10", "sg-1")
    drawing.table("rtb-public", "vpc-1", route("0.0.0.0/0", "igw-1"), subnets=tuple(public))
    drawing.group("sg-lb", "vpc-1", tcp(443, "0.0.0.0/0"))
    drawing.group("sg-1", "vpc-1", tcp(8080, "sg-lb"))
    drawing.target_group(
        "tg-1", "vpc-1", 8080, dict.fromkeys(targets or ("i-a",), health), **attributes
    )
    nodes = {subnet: f"198.51.100.{200 + number}" for number, subnet in enumerate(public)}
    drawing.load_balancer("lb", kind, {443: "tg-1"}, nodes, "sg-lb")
    return drawing


def test_an_application_load_balancers_target_is_reached_at_its_own_port() -> None:
    drawing = _balanced("application")
    assert _open(drawing) == {("igw-1", 8080, 8080): ("0.0.0.0/0",)}
    assert {finding.instance_id for finding in _findings(drawing)} == {"i-a"}


def test_a_load_balancers_target_must_let_it_in() -> None:
    drawing = _balanced("application")
    drawing.lists["SecurityGroups"][1]["IpPermissions"] = [tcp(8080, "192.168.0.0/16")]
    assert _open(drawing) == {}


@pytest.mark.parametrize(
    ("sender", "opened"), [("10.0.10.50/32", True), ("10.0.0.0/24", False), ("sg-lb", False)]
)
def test_a_nat_gateway_between_a_load_balancer_and_its_target_sends_with_its_address(
    sender: str, opened: bool
) -> None:
    """By a route that is more specific than the local one."""
    drawing = _balanced("application")
    drawing.interface("nat", "subnet-pa", "10.0.10.50", InterfaceType="nat_gateway")
    drawing.lists["NatGateways"].append(
        {
            "NatGatewayId": "nat-1", "SubnetId": "subnet-pa", "VpcId": "vpc-1",
            "State": "available", "ConnectivityType": "private",
            "NatGatewayAddresses": [{"PrivateIp": "10.0.10.50"}],
        }
    )  # fmt: skip
    tables = {table["RouteTableId"]: table for table in drawing.lists["RouteTables"]}
    tables["rtb-public"]["Routes"].append(route("10.0.10.0/24", "nat-1"))
    drawing.lists["SecurityGroups"][1]["IpPermissions"] = [tcp(8080, sender)]
    expected = {("igw-1", 8080, 8080): ("0.0.0.0/0",)}
    assert _open(drawing) == (expected if opened else {})


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], ("0.0.0.0/0",)),
        ([("1", [("source-ip", "203.0.113.0/24")], "fixed-response")], "all but 203.0.113.0/24"),
        ([("1", [("path-pattern", "/api/*")], "fixed-response")], ("0.0.0.0/0",)),
        ([("1", [("path-pattern", "/*")], "fixed-response")], ()),
        (
            [
                ("2", [("path-pattern", "*")], "redirect"),
                ("1", [("source-ip", "203.0.113.7/32")], "tg-1"),
            ],
            ("203.0.113.7/32",),
        ),
    ],
    ids=["none", "sender", "path", "every-path", "order"],
)
def test_a_listeners_rules_decide_which_clients_are_forwarded(
    rules: list[tuple[str, list[tuple[str, str]], str]], expected: tuple[str, ...] | str
) -> None:
    drawing = _balanced("application")
    default = {"IsDefault": True, "Priority": "default",
               "Actions": [{"Type": "forward", "TargetGroupArn": "tg-1"}]}  # fmt: skip
    drawing.lists["ListenerRules"].append(
        {
            "ListenerArn": "listener-lb-443",
            "Rules": [
                default,
                *(
                    {
                        "RuleArn": f"rule-{priority}",
                        "Priority": priority,
                        "Conditions": [
                            {"Field": field, "SourceIpConfig": {"Values": [value]}}
                            if field == "source-ip"
                            else {"Field": field, "Values": [value]}
                            for field, value in conditions
                        ],
                        "Actions": [
                            {"Type": "forward", "TargetGroupArn": action}
                            if action.startswith("tg-")
                            else {"Type": action}
                        ],
                    }
                    for priority, conditions, action in rules
                ),
            ],
        }
    )
    found = _open(drawing).get(("igw-1", 8080, 8080), ())
    if expected == "all but 203.0.113.0/24":
        assert found
        assert "203.0.113.0/24" not in found
        assert "203.0.112.0/24" in found
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("states", "reached"),
    [
        ({"i-a": "healthy", "i-b": "unhealthy"}, {"i-a"}),
        ({"i-a": "unhealthy", "i-b": "unhealthy"}, {"i-a", "i-b"}),
        ({"i-a": "unused", "i-b": "draining"}, set()),
    ],
    ids=["one-healthy", "fails-open", "unused"],
)
def test_a_targets_health_decides(states: dict[str, str], reached: set[str]) -> None:
    drawing = _balanced("application")
    drawing.lists["TargetGroups"].clear()
    drawing.lists["LoadBalancerTargetHealth"].clear()
    drawing.target_group("tg-1", "vpc-1", 8080, states)
    assert {finding.instance_id for finding in _findings(drawing)} == reached


def test_a_network_load_balancer_keeps_the_clients_address() -> None:
    drawing = _balanced("network")
    drawing.lists["SecurityGroups"][1]["IpPermissions"] = [tcp(8080, "203.0.113.0/24")]
    assert _open(drawing) == {("igw-1", 8080, 8080): ("203.0.113.0/24",)}
    drawing = _balanced("network", preserve_client_ip__enabled="false")
    drawing.lists["SecurityGroups"][1]["IpPermissions"] = [tcp(8080, "203.0.113.0/24")]
    assert _open(drawing) == {}


def test_without_cross_zone_balancing_a_target_needs_a_node_in_its_zone() -> None:
    drawing = _balanced("network", "i-a", "i-b")
    assert {finding.instance_id for finding in _findings(drawing)} == {"i-a", "i-b"}
    closed = [entry(1, "deny", "0.0.0.0/0"), *OPEN]
    drawing.acl("acl-b", "vpc-1", *closed, subnets=("subnet-b",))
    assert {finding.instance_id for finding in _findings(drawing)} == {"i-a"}
    drawing.lists["TargetGroupAttributes"].append(
        {"TargetGroupArn": "tg-1",
         "Attributes": [{"Key": "load_balancing.cross_zone.enabled", "Value": "true"}]}
    )  # fmt: skip
    assert {finding.instance_id for finding in _findings(drawing)} == {"i-a", "i-b"}


def test_a_network_load_balancer_may_be_in_front_of_an_application_load_balancer() -> None:
    drawing = _balanced("application")
    arn = drawing.lists["LoadBalancers"][0]["LoadBalancerArn"]
    for node in drawing.lists["NetworkInterfaces"]:
        if node.get("Description"):
            del node["Association"]
    assert _open(drawing) == {}
    drawing.target_group("tg-2", "vpc-1", 443, {arn: "healthy"}, kind="alb")
    drawing.load_balancer("front", "network", {443: "tg-2"}, {"subnet-a": "198.51.100.99"})
    assert _open(drawing) == {("igw-1", 8080, 8080): ("0.0.0.0/0",)}
    # The application load balancer sees the client's address.
    drawing.lists["SecurityGroups"][0]["IpPermissions"] = [tcp(443, "203.0.113.0/24")]
    assert _open(drawing) == {("igw-1", 8080, 8080): ("203.0.113.0/24",)}


def test_a_target_group_of_both_protocols_always_keeps_the_clients_address() -> None:
    drawing = _balanced("network", preserve_client_ip__enabled="false")
    drawing.lists["SecurityGroups"][1]["IpPermissions"] = [tcp(8080, "203.0.113.0/24")]
    drawing.lists["TargetGroups"][0]["Protocol"] = "TCP_UDP"
    assert _open(drawing) == {("igw-1", 8080, 8080): ("203.0.113.0/24",)}


def test_a_classic_load_balancer_forwards_to_its_instances() -> None:
    drawing = _balanced("application")
    for stem in (
        "LoadBalancers",
        "LoadBalancerListeners",
        "TargetGroups",
        "LoadBalancerTargetHealth",
    ):
        drawing.lists[stem].clear()
    for node in drawing.lists["NetworkInterfaces"]:
        if node.get("Description"):
            node["Description"] = "ELB old"
    drawing.lists["LoadBalancersClassic"].append(
        {
            "LoadBalancerName": "old",
            "VPCId": "vpc-1",
            "SecurityGroups": ["sg-lb"],
            "Subnets": ["subnet-a", "subnet-b"],
            "Instances": [{"InstanceId": "i-a"}],
            "ListenerDescriptions": [
                {"Listener": {"Protocol": "TCP", "LoadBalancerPort": 443, "InstancePort": 8080}}
            ],
        }
    )
    assert _open(drawing) == {("igw-1", 8080, 8080): ("0.0.0.0/0",)}


def test_an_explanation_finds_the_way_through_a_load_balancer() -> None:
    network = _network(_balanced("application"))
    explained = network.explain("internet", "i-a", "tcp", 8080)
    assert explained.reachable
    assert explained.hops[:3] == ("internet", "aws-backbone", "igw-1")
    assert explained.hops[-1] == "i-a"
    assert not network.explain("internet", "i-a", "tcp", 443).reachable
    assert not network.explain("internet", "i-b", "tcp", 8080).reachable


def test_a_private_link_service_is_an_edge_of_our_own() -> None:
    drawing = _balanced("network")
    for node in drawing.lists["NetworkInterfaces"]:
        node.pop("Association", None)
    assert _open(drawing) == {}
    drawing.lists["VpcEndpointServiceConfigurations"].append(
        {
            "ServiceId": "vpce-svc-1",
            "ServiceState": "Available",
            "NetworkLoadBalancerArns": [drawing.lists["LoadBalancers"][0]["LoadBalancerArn"]],
        }
    )
    finding = _findings(drawing)[0]
    assert (finding.edge_kind, finding.edge_id) == (EdgeKind.PRIVATE_LINK, "vpce-svc-1")
    assert (finding.port_begin, finding.sources) == (8080, ("0.0.0.0/0",))
    assert finding.notes == ("not accounted for: whose endpoints vpce-svc-1 accepts",)


def test_a_group_of_another_vpc_that_is_associated_counts() -> None:
    drawing = public_network()
    drawing.vpc("vpc-2", "10.2.0.0/16")
    drawing.group("sg-2", "vpc-2", tcp(80, "0.0.0.0/0"))
    drawing.lists["NetworkInterfaces"][0]["Groups"] = [{"GroupId": "sg-2"}]
    drawing.lists["SecurityGroupVpcAssociations"].append(
        {"GroupId": "sg-2", "VpcId": "vpc-1", "State": "associated"}
    )
    assert _open(drawing) == {("igw-1", 80, 80): ("0.0.0.0/0",)}


def test_what_if_rules_or_objects_were_not_there() -> None:
    network = _network(public_network())
    assert (
        not network.without(["sg-1/ingress/tcp/443-443/0.0.0.0/0"])
        .explain("internet", "i-web", "tcp", 443)
        .reachable
    )
    for ids in (["rtb-vpc-1/0.0.0.0/0"], ["igw-1"], ["acl-vpc-1/egress/100"]):
        assert list(network.without(ids).findings()) == []
    with pytest.raises(UsageError, match="no such rule"):
        network.without(["sg-1/ingress/tcp/1-1/0.0.0.0/0"])


def test_what_if_other_objects_were_there() -> None:
    network = _network(public_network())
    changed = Drawing()
    changed.lists.clear()
    changed.group("sg-1", "vpc-1", tcp(3389, "0.0.0.0/0"))
    assert {one.port_begin for one in network.with_changes(changed.answers()).findings()} == {3389}
    assert {one.port_begin for one in network.findings()} == {22, 443}


@pytest.mark.parametrize(
    ("rule", "verdict", "kind"),
    [
        ("sg-1/ingress/tcp/443-443/0.0.0.0/0", "DENIED_IN", "AWS::EC2::SecurityGroup"),
        ("acl-vpc-1/ingress/100", "DENIED_IN", "AWS::EC2::NetworkAcl"),
        ("acl-vpc-1/egress/100", "DENIED_OUT", "AWS::EC2::NetworkAcl"),
        ("rtb-vpc-1/0.0.0.0/0", "NO_ROUTE", "AWS::EC2::RouteTable"),
    ],
)
def test_an_explanation_names_the_control_that_stops_the_packet_or_its_answer(
    rule: str, verdict: str, kind: str
) -> None:
    explained = _network(public_network()).without([rule]).explain("internet", "i-web", "tcp", 443)
    assert explained.stopped_by is not None
    assert (explained.verdict, explained.stopped_by.type) == (verdict, kind)
    assert not explained.reachable


def test_an_explanation_says_from_where_a_port_is_reached() -> None:
    network = _network(public_network())
    assert network.explain("internet", "i-web", "tcp", 22).sources == ("203.0.113.7/32",)
    assert network.explain("203.0.113.7", "i-web", "tcp", 22).reachable
    assert not network.explain("203.0.113.8", "i-web", "tcp", 22).reachable


def test_a_target_without_a_public_address_is_not_reached_from_the_internet() -> None:
    drawing = public_network()
    drawing.instance("inner", "subnet-1", "10.0.1.30", "sg-1")
    explained = _network(drawing).explain("internet", "i-inner", "tcp", 443)
    assert (explained.verdict, explained.hops) == ("NULL_ROUTED", ("internet",))
    assert explained.stopped_by is not None
    assert explained.stopped_by.id == "eni-inner"


def test_a_gateway_that_is_not_attached_carries_nothing_out() -> None:
    drawing = public_network()
    drawing.lists["InternetGateways"][0]["Attachments"] = []
    explained = _network(drawing).explain("i-web", "8.8.8.8", "tcp", 443)
    assert (explained.reachable, explained.verdict) == (False, "NULL_ROUTED")


def test_a_groups_members_are_unknown_behind_an_endpoint() -> None:
    drawing = public_network()
    drawing.subnet("subnet-2", "vpc-1", "10.0.2.0/24")
    drawing.subnet("subnet-fw", "vpc-1", "10.0.3.0/24")
    drawing.group("sg-2", "vpc-1", tcp(80, "sg-1"), tcp(81, "10.0.1.0/24"))
    drawing.instance("two", "subnet-2", "10.0.2.10", "sg-2")
    assert _network(drawing).explain("i-web", "i-two", "tcp", 80).reachable
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
    assert not _network(drawing).explain("i-web", "i-two", "tcp", 80).reachable
    assert _network(drawing).explain("i-web", "i-two", "tcp", 81).reachable


def test_a_subnets_router_is_answered_where_it_is() -> None:
    drawing = public_network()
    drawing.subnet("subnet-2", "vpc-1", "10.0.2.0/24")
    drawing.lists["SecurityGroups"][0]["IpPermissions"].append(tcp(80, "10.0.2.0/25"))
    network = _network(drawing)
    for source in ("subnet-2", "vpc-1", "10.0.2.77"):
        assert network.explain(source, "i-web", "tcp", 80).reachable, source
    assert network.explain("subnet-2", "i-web", "tcp", 80).sources == ("10.0.2.0/25",)
    assert not network.explain("10.0.2.200", "i-web", "tcp", 80).reachable
    drawing.acl("acl-1", "vpc-1", entry(1, "allow", "0.0.0.0/0"), subnets=("subnet-1",))
    for source in ("subnet-2", "vpc-1", "10.0.2.77"):
        explained = _network(drawing).explain(source, "i-web", "tcp", 80)
        assert (explained.reachable, explained.verdict) == (False, "DENIED_OUT"), source


def test_a_listener_that_authenticates_is_noted() -> None:
    drawing = _balanced("application")
    listener = drawing.lists["LoadBalancerListeners"][0]["Listeners"][0]
    listener["DefaultActions"].insert(0, {"Type": "authenticate-oidc", "Order": 1})
    assert _findings(drawing)[0].notes == (
        "not accounted for: that listener-lb-443 authenticates clients",
    )


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
    explained = _network(drawing).explain("i-inner", target, "tcp", 443)
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
    assert _network(drawing).explain(source, "8.8.8.8", "tcp", 443).reachable == reachable


def test_every_address_of_an_interface_counts_and_the_primary_one_is_a_target() -> None:
    drawing = public_network()
    drawing.lists["SecurityGroups"][0]["IpPermissions"] = [tcp(8080, "0.0.0.0/0")]
    web = drawing.lists["NetworkInterfaces"][0]
    del web["Association"]
    web["PrivateIpAddresses"] = [
        {"PrivateIpAddress": "10.0.1.11", "Primary": False},
        {"PrivateIpAddress": "10.0.1.10", "Primary": True},
    ]
    assert _findings(drawing) == []
    drawing.lists["Addresses"].append(
        {
            "NetworkInterfaceId": "eni-web",
            "PrivateIpAddress": "10.0.1.11",
            "PublicIp": "198.51.100.77",
        }
    )
    assert _open(drawing) == {("igw-1", 8080, 8080): ("0.0.0.0/0",)}
    assert _network(drawing).explain("internet", "198.51.100.77", "tcp", 8080).reachable
    drawing.lists["Addresses"].clear()
    drawing.target_group("tg-1", "vpc-1", 8080, {"i-web": "healthy"})
    drawing.load_balancer("lb", "application", {80: "tg-1"}, {"subnet-1": "198.51.100.9"}, "sg-lb")
    drawing.group("sg-lb", "vpc-1", tcp(80, "0.0.0.0/0"), egress=[tcp(8080, "10.0.1.10/32")])
    assert _open(drawing) == {("igw-1", 8080, 8080): ("0.0.0.0/0",)}


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
    assert bool(_open(drawing, "i-six")) is reachable
    assert _network(drawing).explain("i-six", "2600::1", "tcp", 443).reachable is reachable
    table = drawing.lists["RouteTables"][0]
    table["Routes"] = [one for one in table["Routes"] if one.get("GatewayId") != "igw-1"]
    table["Routes"].append(route("::/0", "eigw-1"))
    assert _network(drawing).explain("i-six", "2600::1", "tcp", 443).reachable is reachable


def test_every_address_of_a_delegated_prefix_is_reached() -> None:
    drawing = public_network()
    drawing.group("sg-6", "vpc-1", tcp(22, "::/0"))
    delegated = [{"Ipv6Prefix": "2a05:d018:1:1:a::/80"}]
    drawing.instance("pod", "subnet-1", "10.0.1.12", "sg-6", Ipv6Prefixes=delegated)
    network = _network(drawing)
    for address in ("2a05:d018:1:1:a::", "2a05:d018:1:1:a::7", "2a05:d018:1:1:a:ffff:ffff:ffff"):
        assert network.explain("internet", address, "tcp", 22).hops[-1] == "i-pod"
        assert network.explain(address, "2600::1", "tcp", 443).reachable
    assert not network.explain("internet", "2a05:d018:1:1:b::", "tcp", 22).reachable


def test_a_finding_has_the_clients_of_all_rules_that_forward_to_its_target() -> None:
    drawing = _balanced("application")
    listener = drawing.lists["LoadBalancerListeners"][0]["Listeners"][0]["ListenerArn"]
    forward = [{"Type": "forward", "TargetGroupArn": "tg-1"}]

    def rule(priority: str, client: str) -> dict[str, object]:
        sender = {"Field": "source-ip", "SourceIpConfig": {"Values": [client]}}
        return {"RuleArn": priority, "Priority": priority, "Conditions": [sender],
                "Actions": forward}  # fmt: skip

    rules = [rule("1", "203.0.113.7/32"), rule("2", "8.8.8.8/32")]
    last: dict[str, object] = {"IsDefault": True, "Actions": [{"Type": "fixed-response"}]}
    drawing.lists["ListenerRules"].append({"ListenerArn": listener, "Rules": [*rules, last]})
    clients = ("8.8.8.8/32", "203.0.113.7/32")
    assert _open(drawing) == {("igw-1", 8080, 8080): clients}
    assert _network(drawing).explain("internet", "i-a", "tcp", 8080).sources == clients
    last["Actions"] = forward
    assert _open(drawing) == {("igw-1", 8080, 8080): ("0.0.0.0/0",)}
    assert [finding.anywhere for finding in _findings(drawing)] == [True]


@pytest.mark.parametrize("keeps", ["true", "false"])
def test_a_load_balancers_own_group_must_let_it_send(keeps: str) -> None:
    drawing = _balanced("network", preserve_client_ip__enabled=keeps)
    own = next(one for one in drawing.lists["SecurityGroups"] if one["GroupId"] == "sg-lb")
    for egress, reached in (
        ([tcp(8080, "sg-1")], True),
        ([tcp(8080, "10.0.0.0/16")], True),
        ([tcp(443, "0.0.0.0/0")], False),
        ([], False),
    ):
        own["IpPermissionsEgress"] = egress
        assert bool(_open(drawing)) is reached


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
    assert _network(drawing).explain("i-1", "i-2", "tcp", 22).reachable is reachable


@pytest.mark.parametrize(
    ("first", "reached"), [(1024, True), (40000, True), (65535, True), (None, False)]
)
def test_a_targets_answers_need_the_acl_of_the_load_balancers_subnet(
    first: int | None, reached: bool
) -> None:
    drawing = _balanced("network")
    nodes = [one for one in drawing.lists["NetworkInterfaces"] if one.get("Description")]
    drawing.lists["NetworkInterfaces"].remove(nodes[0])  # the one in the target's own subnet
    answers = [entry(2, "allow", "10.0.0.0/8", (first, 65535))] if first else []
    clients = entry(1, "allow", "0.0.0.0/0", (443, 443))
    out = entry(1, "allow", "0.0.0.0/0", egress=True)
    drawing.acl("acl-b", "vpc-1", clients, *answers, out, subnets=("subnet-b",))
    attribute = {"Key": "load_balancing.cross_zone.enabled", "Value": "true"}
    drawing.lists["TargetGroupAttributes"].append(
        {"TargetGroupArn": "tg-1", "Attributes": [attribute]}
    )
    assert bool(_open(drawing)) is reached


@pytest.mark.parametrize(
    ("kinds", "families"), [([], {4}), (["ipv4"], {4}), (["ipv6"], {6}), (["ipv4", "ipv6"], {4, 6})]
)
def test_a_private_link_service_has_the_families_of_its_endpoints(
    kinds: list[str], families: set[int]
) -> None:
    drawing = _balanced("network")
    for node in drawing.lists["NetworkInterfaces"]:
        node.pop("Association", None)
    arn = drawing.lists["LoadBalancers"][0]["LoadBalancerArn"]
    drawing.lists["SecurityGroups"][0]["IpPermissions"].append(tcp(443, "::/0"))
    drawing.lists["VpcEndpointServiceConfigurations"].append(
        {"ServiceId": "vpce-svc-1", "ServiceState": "Available", "NetworkLoadBalancerArns": [arn],
         "SupportedIpAddressTypes": kinds}
    )  # fmt: skip
    found = _findings(drawing)
    assert {finding.family for finding in found} == families
    assert {finding.sources for finding in found} <= {("0.0.0.0/0",), ("::/0",)}


def test_equal_routes_of_two_prefix_lists_are_said_not_to_be_decided() -> None:
    drawing = public_network()
    for name, blocks in (("pl-1", ("8.0.0.0/8", "9.0.0.0/8")), ("pl-2", ("9.0.0.0/8",))):
        entries = [{"Cidr": block} for block in blocks]
        drawing.lists["ManagedPrefixListEntries"].append({"PrefixListId": name, "Entries": entries})
    routes = drawing.lists["RouteTables"][0]["Routes"]
    routes += [route("pl-1", "igw-1"), route("pl-2", "igw-1")]
    assert not any("chose" in problem.what for problem in _network(drawing).problems)
    routes[-1] = route("pl-2", "tgw-1")
    (problem,) = [one for one in _network(drawing).problems if "chose" in one.what]
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
    assert _open(drawing, "i-n") == {
        ("igw-1", 22, 22): ("0.0.0.0/0",),
        ("igw-1", 1024, 65535): ("::/0",),
    }
    assert not _network(drawing).explain("internet", "i-n", "icmp", 8, family=4).reachable


def test_a_load_balancer_without_public_ipv4_addresses_is_reached_over_ipv6() -> None:
    drawing = _balanced("application")
    drawing.lists["Vpcs"][0]["Ipv6CidrBlockAssociationSet"] = [{"Ipv6CidrBlock": "2600:1::/56"}]
    nodes = [one for one in drawing.lists["NetworkInterfaces"] if one.get("Description")]
    for number, node in enumerate(nodes):
        subnet = next(
            one for one in drawing.lists["Subnets"] if one["SubnetId"] == node["SubnetId"]
        )
        block = f"2600:1:0:{number}::"
        subnet["Ipv6CidrBlockAssociationSet"] = [{"Ipv6CidrBlock": f"{block}/64"}]
        node["Ipv6Addresses"] = [{"Ipv6Address": f"{block}200"}]
        del node["Association"]
    table = next(one for one in drawing.lists["RouteTables"] if one["RouteTableId"] == "rtb-public")
    table["Routes"] += [route("2600:1::/56", "local"), route("::/0", "igw-1")]
    drawing.lists["SecurityGroups"][0]["IpPermissions"] = [tcp(443, "::/0")]
    assert _open(drawing) == {("igw-1", 8080, 8080): ("::/0",)}
    # An internal one of both families has addresses that the internet does not reach.
    for node in nodes:
        node["DenyAllIgwTraffic"] = True
    assert _open(drawing) == {}
