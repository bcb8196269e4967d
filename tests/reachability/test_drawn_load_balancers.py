"""Load balancers drawn by hand: targets, health, listeners, answers and their own groups."""

from __future__ import annotations

import pytest

from sidelight.reachability import EdgeKind
from tests.reachability.drawing import OPEN, Drawing, entry, route, tcp
from tests.reachability.drawn_findings import findings_of, network_of, open_ports


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
    assert open_ports(drawing) == {("igw-1", 8080, 8080): ("0.0.0.0/0",)}
    assert {finding.instance_id for finding in findings_of(drawing)} == {"i-a"}


def test_a_load_balancers_target_must_let_it_in() -> None:
    drawing = _balanced("application")
    drawing.lists["SecurityGroups"][1]["IpPermissions"] = [tcp(8080, "192.168.0.0/16")]
    assert open_ports(drawing) == {}


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
    assert open_ports(drawing) == (expected if opened else {})


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
    found = open_ports(drawing).get(("igw-1", 8080, 8080), ())
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
    assert {finding.instance_id for finding in findings_of(drawing)} == reached


def test_a_network_load_balancer_keeps_the_clients_address() -> None:
    drawing = _balanced("network")
    drawing.lists["SecurityGroups"][1]["IpPermissions"] = [tcp(8080, "203.0.113.0/24")]
    assert open_ports(drawing) == {("igw-1", 8080, 8080): ("203.0.113.0/24",)}
    drawing = _balanced("network", preserve_client_ip__enabled="false")
    drawing.lists["SecurityGroups"][1]["IpPermissions"] = [tcp(8080, "203.0.113.0/24")]
    assert open_ports(drawing) == {}


def test_without_cross_zone_balancing_a_target_needs_a_node_in_its_zone() -> None:
    drawing = _balanced("network", "i-a", "i-b")
    assert {finding.instance_id for finding in findings_of(drawing)} == {"i-a", "i-b"}
    closed = [entry(1, "deny", "0.0.0.0/0"), *OPEN]
    drawing.acl("acl-b", "vpc-1", *closed, subnets=("subnet-b",))
    assert {finding.instance_id for finding in findings_of(drawing)} == {"i-a"}
    drawing.lists["TargetGroupAttributes"].append(
        {"TargetGroupArn": "tg-1",
         "Attributes": [{"Key": "load_balancing.cross_zone.enabled", "Value": "true"}]}
    )  # fmt: skip
    assert {finding.instance_id for finding in findings_of(drawing)} == {"i-a", "i-b"}


def test_a_network_load_balancer_may_be_in_front_of_an_application_load_balancer() -> None:
    drawing = _balanced("application")
    arn = drawing.lists["LoadBalancers"][0]["LoadBalancerArn"]
    for node in drawing.lists["NetworkInterfaces"]:
        if node.get("Description"):
            del node["Association"]
    assert open_ports(drawing) == {}
    drawing.target_group("tg-2", "vpc-1", 443, {arn: "healthy"}, kind="alb")
    drawing.load_balancer("front", "network", {443: "tg-2"}, {"subnet-a": "198.51.100.99"})
    assert open_ports(drawing) == {("igw-1", 8080, 8080): ("0.0.0.0/0",)}
    # The application load balancer sees the client's address.
    drawing.lists["SecurityGroups"][0]["IpPermissions"] = [tcp(443, "203.0.113.0/24")]
    assert open_ports(drawing) == {("igw-1", 8080, 8080): ("203.0.113.0/24",)}


def test_a_target_group_of_both_protocols_always_keeps_the_clients_address() -> None:
    drawing = _balanced("network", preserve_client_ip__enabled="false")
    drawing.lists["SecurityGroups"][1]["IpPermissions"] = [tcp(8080, "203.0.113.0/24")]
    drawing.lists["TargetGroups"][0]["Protocol"] = "TCP_UDP"
    assert open_ports(drawing) == {("igw-1", 8080, 8080): ("203.0.113.0/24",)}


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
    assert open_ports(drawing) == {("igw-1", 8080, 8080): ("0.0.0.0/0",)}


def test_an_explanation_finds_the_way_through_a_load_balancer() -> None:
    network = network_of(_balanced("application"))
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
    assert open_ports(drawing) == {}
    drawing.lists["VpcEndpointServiceConfigurations"].append(
        {
            "ServiceId": "vpce-svc-1",
            "ServiceState": "Available",
            "NetworkLoadBalancerArns": [drawing.lists["LoadBalancers"][0]["LoadBalancerArn"]],
        }
    )
    finding = findings_of(drawing)[0]
    assert (finding.edge_kind, finding.edge_id) == (EdgeKind.PRIVATE_LINK, "vpce-svc-1")
    assert (finding.port_begin, finding.sources) == (8080, ("0.0.0.0/0",))
    assert finding.notes == ("not accounted for: whose endpoints vpce-svc-1 accepts",)


def test_a_listener_that_authenticates_is_noted() -> None:
    drawing = _balanced("application")
    listener = drawing.lists["LoadBalancerListeners"][0]["Listeners"][0]
    listener["DefaultActions"].insert(0, {"Type": "authenticate-oidc", "Order": 1})
    assert findings_of(drawing)[0].notes == (
        "not accounted for: that listener-lb-443 authenticates clients",
    )


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
    assert open_ports(drawing) == {("igw-1", 8080, 8080): clients}
    assert network_of(drawing).explain("internet", "i-a", "tcp", 8080).sources == clients
    last["Actions"] = forward
    assert open_ports(drawing) == {("igw-1", 8080, 8080): ("0.0.0.0/0",)}
    assert [finding.anywhere for finding in findings_of(drawing)] == [True]


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
        assert bool(open_ports(drawing)) is reached


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
    assert bool(open_ports(drawing)) is reached


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
    found = findings_of(drawing)
    assert {finding.family for finding in found} == families
    assert {finding.sources for finding in found} <= {("0.0.0.0/0",), ("::/0",)}


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
    assert open_ports(drawing) == {("igw-1", 8080, 8080): ("::/0",)}
    # An internal one of both families has addresses that the internet does not reach.
    for node in nodes:
        node["DenyAllIgwTraffic"] = True
    assert open_ports(drawing) == {}
