"""The AWS calls that the network model reads, and the file name of each answer in a dump.

A dump has a file `NAME.json` for each stem, with one list under the stem's name. Most lists are the
answer of one describe call. A stem with a `parent` is asked once for each object of another stem:
its list then has one object for each parent, `{parent_key: id, …the whole answer}`, or with `flat`
the objects of all answers in one list.

Names are those of Batfish's AWS snapshots, where Batfish has the answer. Members are botocore's.
The calls are those of Inspector's engine (the Sid TirosPolicy of AmazonInspector2ServiceRolePolicy
v26), and those for Classic Load Balancers and security group associations.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Pages = Literal["paginator", "token", "none"]


@dataclass(frozen=True, slots=True)
class Stem:
    """One file of a dump, and the AWS call whose answers it has.

    `list_key` is the answer's member with the objects; it is empty if the whole answer is kept.
    `pages` says how the call is repeated: by botocore's paginator, by `nextToken` where botocore
    has no paginator, or not at all. Of a stem with a `parent`, `argument` receives each parent
    object's `parent_key`; `parent_list` is the list within the parent's objects that has them.
    `arguments` are sent with every call. `everywhere` is False for answers that are the same in
    all Regions of an account.
    """

    name: str
    service: str
    operation: str
    list_key: str
    pages: Pages = "paginator"
    parent: str = ""
    parent_list: str = ""
    parent_key: str = ""
    argument: str = ""
    flat: bool = False
    arguments: Mapping[str, object] = field(default_factory=dict)
    everywhere: bool = True


def _ec2(name: str, operation: str = "", key: str = "", pages: Pages = "paginator") -> Stem:
    return Stem(name, "ec2", operation or f"Describe{name}", key or name, pages)


def _transit_gateway_table(name: str, operation: str, key: str, **arguments: object) -> Stem:
    return Stem(
        name,
        "ec2",
        operation,
        key,
        parent="TransitGatewayRouteTables",
        parent_key="TransitGatewayRouteTableId",
        argument="TransitGatewayRouteTableId",
        arguments=arguments,
    )


def _elbv2(name: str, operation: str, key: str, parent: str, pages: Pages) -> Stem:
    parent_key = "TargetGroupArn" if parent == "TargetGroups" else "LoadBalancerArn"
    return Stem(
        name,
        "elbv2",
        operation,
        key,
        pages,
        parent=parent,
        parent_key=parent_key,
        argument=parent_key,
    )


def _of_direct_connect_gateway(name: str) -> Stem:
    return Stem(
        name,
        "directconnect",
        f"Describe{name}",
        name[0].lower() + name[1:],
        parent="DirectConnectGateways",
        parent_key="directConnectGatewayId",
        argument="directConnectGatewayId",
        flat=True,
        everywhere=False,
    )


def _classic(name: str, operation: str, key: str) -> Stem:
    return Stem(
        name,
        "elb",
        operation,
        key,
        "none",
        parent="LoadBalancersClassic",
        parent_key="LoadBalancerName",
        argument="LoadBalancerName",
    )


def _firewall(name: str, operation: str, parent: str, key: str, argument: str) -> Stem:
    return Stem(
        name,
        "network-firewall",
        operation,
        "",
        "none",
        parent=parent,
        parent_key=key,
        argument=argument,
    )


_ROUTES_THAT_COUNT: Final = [{"Name": "state", "Values": ["active", "blackhole"]}]

_STEMS: Final = (
    _ec2("Addresses", pages="none"),
    _ec2("AvailabilityZones", pages="none"),
    _ec2("CustomerGateways", pages="none"),
    _ec2("EgressOnlyInternetGateways"),
    _ec2("InternetGateways"),
    _ec2("ManagedPrefixLists", key="PrefixLists"),
    _ec2("NatGateways"),
    _ec2("NetworkAcls"),
    _ec2("NetworkInterfaces"),
    _ec2("PrefixLists"),
    _ec2("Reservations", "DescribeInstances"),
    _ec2("RouteTables"),
    _ec2("SecurityGroupVpcAssociations"),
    _ec2("SecurityGroups"),
    _ec2("Subnets"),
    _ec2("TransitGatewayAttachments"),
    _ec2("TransitGatewayConnects"),
    _ec2("TransitGatewayPeeringAttachments"),
    _ec2("TransitGatewayRouteTables"),
    _ec2("TransitGatewayVpcAttachments"),
    _ec2("TransitGateways"),
    _ec2("VpcEndpointServiceConfigurations", key="ServiceConfigurations"),
    _ec2("VpcEndpoints"),
    _ec2("VpcPeeringConnections"),
    _ec2("Vpcs"),
    _ec2("VpnConnections", pages="none"),
    _ec2("VpnGateways", pages="none"),
    Stem(
        "ManagedPrefixListEntries",
        "ec2",
        "GetManagedPrefixListEntries",
        "Entries",
        parent="ManagedPrefixLists",
        parent_key="PrefixListId",
        argument="PrefixListId",
    ),
    _transit_gateway_table(
        "TransitGatewayPropagations",
        "GetTransitGatewayRouteTablePropagations",
        "TransitGatewayRouteTablePropagations",
    ),
    # Batfish's dumps have static routes alone here. Propagated routes of VPN and Direct Connect are
    # in no other answer, so all routes are requested; `Type` says which they are.
    _transit_gateway_table(
        "TransitGatewayStaticRoutes",
        "SearchTransitGatewayRoutes",
        "Routes",
        Filters=_ROUTES_THAT_COUNT,
    ),
    Stem("LoadBalancers", "elbv2", "DescribeLoadBalancers", "LoadBalancers"),
    Stem("TargetGroups", "elbv2", "DescribeTargetGroups", "TargetGroups"),
    _elbv2("LoadBalancerListeners", "DescribeListeners", "Listeners", "LoadBalancers", "paginator"),
    _elbv2(
        "LoadBalancerAttributes",
        "DescribeLoadBalancerAttributes",
        "Attributes",
        "LoadBalancers",
        "none",
    ),
    _elbv2(
        "LoadBalancerTargetHealth",
        "DescribeTargetHealth",
        "TargetHealthDescriptions",
        "TargetGroups",
        "none",
    ),
    _elbv2(
        "TargetGroupAttributes",
        "DescribeTargetGroupAttributes",
        "Attributes",
        "TargetGroups",
        "none",
    ),
    Stem(
        "ListenerRules",
        "elbv2",
        "DescribeRules",
        "Rules",
        parent="LoadBalancerListeners",
        parent_list="Listeners",
        parent_key="ListenerArn",
        argument="ListenerArn",
    ),
    Stem("LoadBalancersClassic", "elb", "DescribeLoadBalancers", "LoadBalancerDescriptions"),
    _classic("ClassicInstanceHealth", "DescribeInstanceHealth", "InstanceStates"),
    _classic(
        "ClassicLoadBalancerAttributes", "DescribeLoadBalancerAttributes", "LoadBalancerAttributes"
    ),
    Stem(
        "VirtualInterfaces",
        "directconnect",
        "DescribeVirtualInterfaces",
        "virtualInterfaces",
        "token",
    ),
    Stem(
        "DirectConnectGateways",
        "directconnect",
        "DescribeDirectConnectGateways",
        "directConnectGateways",
        everywhere=False,
    ),
    _of_direct_connect_gateway("DirectConnectGatewayAssociations"),
    _of_direct_connect_gateway("DirectConnectGatewayAttachments"),
    Stem("FirewallList", "network-firewall", "ListFirewalls", "Firewalls"),
    Stem("FirewallPolicyList", "network-firewall", "ListFirewallPolicies", "FirewallPolicies"),
    Stem("FirewallRuleGroupList", "network-firewall", "ListRuleGroups", "RuleGroups"),
    _firewall("NetworkFirewalls", "DescribeFirewall", "FirewallList", "FirewallArn", "FirewallArn"),
    _firewall(
        "FirewallPolicies",
        "DescribeFirewallPolicy",
        "FirewallPolicyList",
        "Arn",
        "FirewallPolicyArn",
    ),
    _firewall("RuleGroups", "DescribeRuleGroup", "FirewallRuleGroupList", "Arn", "RuleGroupArn"),
)

STEMS: Final[Mapping[str, Stem]] = MappingProxyType({stem.name: stem for stem in _STEMS})
"""Every stem by its name; a stem's parent comes before it."""
