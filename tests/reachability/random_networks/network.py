"""A random network of up to three VPCs, as describe answers in the shapes that EC2 gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.reachability.random_networks import blocks
from tests.reachability.random_networks.balancing import draw_load_balancers
from tests.reachability.random_networks.blocks import ZONES, chance
from tests.reachability.random_networks.drawing import ACCOUNT, Drawing, Vpc
from tests.reachability.random_networks.hosts import draw_interfaces, draw_nats
from tests.reachability.random_networks.inspection import draw_endpoints
from tests.reachability.random_networks.routes import draw_route_tables
from tests.reachability.random_networks.rules import acl_entries, permissions, prefix_list
from tests.reachability.random_networks.transit import draw_transit_gateways

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from tests.reachability.random_networks.drawing import Item


STEMS = (
    "Addresses",
    "EgressOnlyInternetGateways",
    "InternetGateways",
    "ManagedPrefixLists",
    "NatGateways",
    "NetworkAcls",
    "NetworkInterfaces",
    "PrefixLists",
    "Reservations",
    "RouteTables",
    "SecurityGroups",
    "Subnets",
    "TransitGatewayAttachments",
    "TransitGatewayRouteTables",
    "TransitGatewayVpcAttachments",
    "TransitGateways",
    "TransitGatewayPropagations",
    "TransitGatewayStaticRoutes",
    "VpcEndpoints",
    "VpcPeeringConnections",
    "Vpcs",
    "VpnConnections",
    "VpnGateways",
    "ManagedPrefixListEntries",
    "LoadBalancers",
    "LoadBalancerListeners",
    "ListenerRules",
    "LoadBalancerAttributes",
    "TargetGroups",
    "LoadBalancerTargetHealth",
    "TargetGroupAttributes",
    "LoadBalancersClassic",
    "ClassicInstanceHealth",
    "ClassicLoadBalancerAttributes",
    "VpcEndpointServiceConfigurations",
    "NetworkFirewalls",
    "FirewallPolicies",
    "RuleGroups",
    "VirtualInterfaces",
    "DirectConnectGatewayAssociations",
)


def draw_network(random: Random) -> dict[str, list[Item]]:
    """Return the answers of a random network; one with few features is the simplest."""
    drawing = Drawing(random)
    for name in STEMS:
        drawing.answers[name] = []
    for number in range(1 + random.choices(range(3), [5, 4, 2])[0]):
        draw_vpc(drawing, number)
    draw_peerings(drawing)
    draw_prefix_lists(drawing)
    draw_transit_gateways(drawing)
    draw_filters(drawing)
    for vpc in drawing.vpcs:
        draw_interfaces(drawing, vpc)
        draw_nats(drawing, vpc)
        draw_endpoints(drawing, vpc)
        draw_load_balancers(drawing, vpc)
    for vpc in drawing.vpcs:
        draw_route_tables(drawing, vpc)
    return drawing.answers


def draw_vpc(drawing: Drawing, number: int) -> None:
    random = drawing.random
    vpc = Vpc(number, drawing.identity("vpc"), six=chance(random, 0.4))
    block = blocks.vpc_block(number)
    item: Item = {
        "VpcId": vpc.id,
        "CidrBlock": block,
        "State": "available",
        "OwnerId": ACCOUNT,
        "IsDefault": False,
        "CidrBlockAssociationSet": [
            {
                "AssociationId": drawing.identity("vpc-cidr-assoc"),
                "CidrBlock": block,
                "CidrBlockState": {"State": "associated"},
            }
        ],
    }
    if vpc.six:
        item["Ipv6CidrBlockAssociationSet"] = [
            {
                "AssociationId": drawing.identity("vpc-cidr-assoc"),
                "Ipv6CidrBlock": blocks.vpc_block_six(number),
                "Ipv6CidrBlockState": {"State": "associated"},
            }
        ]
    drawing.add("Vpcs", item)
    drawing.vpcs.append(vpc)
    for part in range(1 + random.randrange(3)):
        _draw_subnet(drawing, vpc, part)
    if chance(random, 0.8):
        vpc.internet_gateway = drawing.identity("igw")
        drawing.add(
            "InternetGateways",
            {
                "InternetGatewayId": vpc.internet_gateway,
                "OwnerId": ACCOUNT,
                "Attachments": [{"State": "available", "VpcId": vpc.id}],
                "Tags": [],
            },
        )
    if vpc.six and chance(random, 0.4):
        vpc.egress_only = drawing.identity("eigw")
        drawing.add(
            "EgressOnlyInternetGateways",
            {
                "EgressOnlyInternetGatewayId": vpc.egress_only,
                "Attachments": [{"State": "attached", "VpcId": vpc.id}],
                "Tags": [],
            },
        )
    if chance(random, 0.3):
        _draw_virtual_gateway(drawing, vpc)


def _draw_subnet(drawing: Drawing, vpc: Vpc, part: int) -> None:
    item: Item = {
        "SubnetId": drawing.identity("subnet"),
        "VpcId": vpc.id,
        "CidrBlock": blocks.subnet_block(vpc.number, part),
        "AvailabilityZone": drawing.random.choice(ZONES),
        "State": "available",
        # A shared subnet has another owner; traffic does not see that.
        "OwnerId": "222222222222" if chance(drawing.random, 0.1) else ACCOUNT,
        "Ipv6CidrBlockAssociationSet": [],
    }
    if vpc.six and not chance(drawing.random, 0.3):
        item["Ipv6CidrBlockAssociationSet"] = [
            {
                "AssociationId": drawing.identity("subnet-cidr-assoc"),
                "Ipv6CidrBlock": blocks.subnet_block_six(vpc.number, part),
                "Ipv6CidrBlockState": {"State": "associated"},
            }
        ]
    vpc.subnets.append(drawing.add("Subnets", item))


def _draw_virtual_gateway(drawing: Drawing, vpc: Vpc) -> None:
    vpc.virtual_gateway = drawing.identity("vgw")
    drawing.add(
        "VpnGateways",
        {
            "VpnGatewayId": vpc.virtual_gateway,
            "State": "available",
            "Type": "ipsec.1",
            "AmazonSideAsn": 64512,
            "VpcAttachments": [{"State": "attached", "VpcId": vpc.id}],
        },
    )
    if chance(drawing.random, 0.3):
        _draw_direct_connect(drawing, vpc.virtual_gateway)
    elif not chance(drawing.random, 0.2):
        drawing.add(
            "VpnConnections",
            {
                "VpnConnectionId": drawing.identity("vpn"),
                "CustomerGatewayId": drawing.identity("cgw"),
                "VpnGatewayId": vpc.virtual_gateway,
                "State": "available",
                "Type": "ipsec.1",
                "Category": "VPN",
                "Options": {"StaticRoutesOnly": True},
                "Routes": [{"DestinationCidrBlock": "192.168.0.0/16", "State": "available"}],
            },
        )


def _draw_direct_connect(drawing: Drawing, gateway: str) -> None:
    """A private virtual interface of the gateway's own, or a Direct Connect gateway's."""
    random = drawing.random
    circuit: Item = {
        "virtualInterfaceId": drawing.identity("dxvif"),
        "virtualInterfaceType": "private",
        "virtualInterfaceState": random.choice(["available", "available", "deleted"]),
    }
    if chance(random, 0.5):
        circuit["virtualGatewayId"] = gateway
    else:
        circuit["directConnectGatewayId"] = drawing.identity("dxgw")
        drawing.add(
            "DirectConnectGatewayAssociations",
            {
                "directConnectGatewayId": circuit["directConnectGatewayId"],
                "associationState": random.choice(["associated", "associated", "disassociating"]),
                "associatedGateway": {"id": gateway, "type": "virtualPrivateGateway"},
            },
        )
    drawing.add("VirtualInterfaces", circuit)


def draw_peerings(drawing: Drawing) -> None:
    for one, other in _pairs(drawing.vpcs):
        if not chance(drawing.random, 0.6):
            continue
        identity = drawing.identity("pcx")
        code = "deleted" if chance(drawing.random, 0.1) else "active"
        drawing.add(
            "VpcPeeringConnections",
            {
                "VpcPeeringConnectionId": identity,
                "RequesterVpcInfo": _peer(one),
                "AccepterVpcInfo": _peer(other),
                "Status": {"Code": code, "Message": code.title()},
                "Tags": [],
            },
        )
        if code == "active":
            one.peerings.append((identity, other))
            other.peerings.append((identity, one))


def _peer(vpc: Vpc) -> Item:
    block = blocks.vpc_block(vpc.number)
    peer: Item = {
        "VpcId": vpc.id,
        "CidrBlock": block,
        "CidrBlockSet": [{"CidrBlock": block}],
        "OwnerId": ACCOUNT,
        "Region": "us-east-1",
    }
    if vpc.six:
        peer["Ipv6CidrBlockSet"] = [{"Ipv6CidrBlock": blocks.vpc_block_six(vpc.number)}]
    return peer


def _pairs(vpcs: list[Vpc]) -> Iterator[tuple[Vpc, Vpc]]:
    for index, one in enumerate(vpcs):
        for other in vpcs[index + 1 :]:
            yield one, other


def draw_prefix_lists(drawing: Drawing) -> None:
    for _ in range(drawing.random.randrange(3)):
        described, entries = prefix_list(drawing.random, drawing.number(), drawing.known())
        drawing.add("ManagedPrefixLists", described)
        drawing.add("ManagedPrefixListEntries", entries)
        drawing.lists.append(described["PrefixListId"])


def draw_filters(drawing: Drawing) -> None:
    random = drawing.random
    for vpc in drawing.vpcs:
        vpc.groups = [drawing.identity("sg") for _ in range(1 + random.randrange(3))]
    for vpc in drawing.vpcs:
        named = [*vpc.groups, *(group for _, peer in vpc.peerings for group in peer.groups)]
        if vpc.transit_gateways:
            named += [group for other in drawing.vpcs for group in other.groups]
        for group in vpc.groups:
            drawing.add("SecurityGroups", _group(drawing, vpc, group, named))
        _draw_acls(drawing, vpc)


def _group(drawing: Drawing, vpc: Vpc, group: str, named: list[str]) -> Item:
    random = drawing.random
    inside = permissions(random, drawing.known(), drawing.known_six(), named, drawing.lists)
    if chance(random, 0.2):
        out = permissions(random, drawing.known(), drawing.known_six(), named, drawing.lists)
    else:
        out = [
            {
                "IpProtocol": "-1",
                "IpRanges": [{"CidrIp": blocks.ANY}],
                "Ipv6Ranges": [{"CidrIpv6": blocks.ANY_SIX}],
                "PrefixListIds": [],
                "UserIdGroupPairs": [],
            }
        ]
    return {
        "GroupId": group,
        "GroupName": group,
        "Description": "drawn",
        "OwnerId": ACCOUNT,
        "VpcId": vpc.id,
        "IpPermissions": inside,
        "IpPermissionsEgress": out,
    }


def _draw_acls(drawing: Drawing, vpc: Vpc) -> None:
    chosen: dict[int, list[Item]] = {}
    count = 1 + drawing.random.randrange(3)
    for subnet in vpc.subnets:
        chosen.setdefault(drawing.random.randrange(count), []).append(subnet)
    for index in range(count):
        identity = drawing.identity("acl")
        # The default ACL of a VPC may be changed, too.
        drawing.add(
            "NetworkAcls",
            {
                "NetworkAclId": identity,
                "VpcId": vpc.id,
                "IsDefault": index == 0,
                "OwnerId": ACCOUNT,
                "Tags": [],
                "Associations": [
                    {
                        "NetworkAclAssociationId": drawing.identity("aclassoc"),
                        "NetworkAclId": identity,
                        "SubnetId": subnet["SubnetId"],
                    }
                    for subnet in chosen.get(index, [])
                ],
                "Entries": acl_entries(drawing.random, drawing.known(), drawing.known_six()),
            },
        )
