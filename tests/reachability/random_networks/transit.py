"""Random transit gateways: attachments, route tables, propagation, static routes, peering."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.reachability.random_networks import blocks
from tests.reachability.random_networks.blocks import ANY, chance
from tests.reachability.random_networks.drawing import ACCOUNT

if TYPE_CHECKING:
    from tests.reachability.random_networks.drawing import Drawing, Item, Vpc


def draw_transit_gateways(drawing: Drawing) -> None:
    """Draw none, one, or two transit gateways that are peered."""
    count = drawing.random.choices(range(3), [5, 4, 1])[0]
    gateways = [_gateway(drawing) for _ in range(count)]
    shares: dict[str, list[Item]] = {gateway["TransitGatewayId"]: [] for gateway in gateways}
    for vpc in drawing.vpcs:
        for gateway in gateways:
            if not chance(drawing.random, 0.25):
                shares[gateway["TransitGatewayId"]] += [_attachment(drawing, gateway, vpc)]
    if count == 2:
        for end in _peering(drawing, gateways):
            shares[end["TransitGatewayId"]] += [end]
    for gateway in gateways:
        identity = gateway["TransitGatewayId"]
        if shares[identity] and not chance(drawing.random, 0.7):
            shares[identity] += [_vpn(drawing, identity)]
        _tables(drawing, identity, shares[identity])


def _support(drawing: Drawing) -> str:
    return "enable" if not chance(drawing.random, 0.4) else "disable"


def _gateway(drawing: Drawing) -> Item:
    return drawing.add(
        "TransitGateways",
        {
            "TransitGatewayId": drawing.identity("tgw"),
            "OwnerId": ACCOUNT,
            "State": "available",
            "Options": {"SecurityGroupReferencingSupport": _support(drawing)},
        },
    )


def _attachment(drawing: Drawing, gateway: Item, vpc: Vpc) -> Item:
    zones: dict[str, str] = {}
    for subnet in vpc.subnets:
        zones.setdefault(subnet["AvailabilityZone"], subnet["SubnetId"])
    chosen = sorted(zones)
    if len(chosen) > 1 and chance(drawing.random, 0.3):
        chosen = chosen[:1]
    attachment = {
        "TransitGatewayAttachmentId": drawing.identity("tgw-attach"),
        "TransitGatewayId": gateway["TransitGatewayId"],
        "State": "available",
    }
    drawing.add(
        "TransitGatewayVpcAttachments",
        {
            **attachment,
            "VpcId": vpc.id,
            "VpcOwnerId": ACCOUNT,
            "SubnetIds": [zones[zone] for zone in chosen],
            "Options": {
                "SecurityGroupReferencingSupport": _support(drawing),
                "ApplianceModeSupport": "disable",
                "Ipv6Support": "enable",
            },
        },
    )
    vpc.transit_gateways.append(gateway["TransitGatewayId"])
    return _described(drawing, attachment, "vpc", vpc.id)


def _described(drawing: Drawing, attachment: Item, kind: str, resource: str) -> Item:
    return drawing.add(
        "TransitGatewayAttachments",
        {
            **attachment,
            "TransitGatewayOwnerId": ACCOUNT,
            "ResourceOwnerId": ACCOUNT,
            "ResourceType": kind,
            "ResourceId": resource,
            "Tags": [],
        },
    )


def _peering(drawing: Drawing, gateways: list[Item]) -> list[Item]:
    ids = [gateway["TransitGatewayId"] for gateway in gateways]
    attachment = {
        "TransitGatewayAttachmentId": drawing.identity("tgw-attach"),
        "State": "available",
    }
    return [
        _described(drawing, {**attachment, "TransitGatewayId": one}, "peering", other)
        for one, other in (ids, reversed(ids))
    ]


def _vpn(drawing: Drawing, gateway: str) -> Item:
    attachment = {
        "TransitGatewayAttachmentId": drawing.identity("tgw-attach"),
        "TransitGatewayId": gateway,
        "State": "available",
    }
    if chance(drawing.random, 0.3):
        return _described(drawing, attachment, "direct-connect-gateway", drawing.identity("dxgw"))
    vpn = drawing.identity("vpn")
    drawing.add(
        "VpnConnections",
        {
            "VpnConnectionId": vpn,
            "CustomerGatewayId": drawing.identity("cgw"),
            "TransitGatewayId": gateway,
            "State": "available",
            "Type": "ipsec.1",
            "Category": "VPN",
            "Options": {"StaticRoutesOnly": True},
        },
    )
    return _described(drawing, attachment, "vpn", vpn)


def _tables(drawing: Drawing, gateway: str, attachments: list[Item]) -> None:
    random = drawing.random
    tables = []
    for index in range(1 + random.randrange(2)):
        table = drawing.identity("tgw-rtb")
        tables.append(table)
        drawing.add(
            "TransitGatewayRouteTables",
            {
                "TransitGatewayRouteTableId": table,
                "TransitGatewayId": gateway,
                "State": "available",
                "DefaultAssociationRouteTable": index == 0,
                "DefaultPropagationRouteTable": index == 0,
            },
        )
    for attachment in attachments:
        if not chance(random, 0.1):
            attachment["Association"] = {
                "State": "associated",
                "TransitGatewayRouteTableId": random.choice(tables),
            }
    for table in tables:
        _routes(drawing, table, attachments)


def _routes(drawing: Drawing, table: str, attachments: list[Item]) -> None:
    random = drawing.random
    enabled = [it for it in attachments if it["ResourceType"] == "vpc" and not chance(random, 0.3)]
    drawing.add(
        "TransitGatewayPropagations",
        {
            "TransitGatewayRouteTableId": table,
            "TransitGatewayRouteTablePropagations": [
                {**_end(it), "State": "enabled"} for it in enabled
            ],
        },
    )
    numbers = [vpc.number for vpc in drawing.vpcs]
    routes = [
        {
            "DestinationCidrBlock": blocks.vpc_block(numbers[index]),
            "Type": "propagated",
            "State": "active",
            "TransitGatewayAttachments": [_end(it)],
        }
        for it in enabled
        for index, vpc in enumerate(drawing.vpcs)
        if vpc.id == it["ResourceId"]
    ]
    taken: set[str] = set()
    for _ in range(random.randrange(4)):
        if not attachments:
            break
        number = random.choice(numbers)
        block = random.choice(
            [
                ANY,
                blocks.vpc_block(number),
                blocks.subnet_block(number, 0),
                "192.168.0.0/16",
                "10.0.0.0/8",
            ]
        )
        if block in taken:
            continue
        taken.add(block)
        # A static route takes the place of a propagated one of the same destination in the answer.
        routes = [route for route in routes if route["DestinationCidrBlock"] != block]
        route: Item = {"DestinationCidrBlock": block, "Type": "static", "State": "active"}
        if chance(random, 0.2):
            route["State"] = "blackhole"
        else:
            route["TransitGatewayAttachments"] = [_end(random.choice(attachments))]
        routes.append(route)
    drawing.add(
        "TransitGatewayStaticRoutes",
        {
            "TransitGatewayRouteTableId": table,
            "Routes": routes,
            "AdditionalRoutesAvailable": False,
        },
    )


def _end(attachment: Item) -> Item:
    return {
        "TransitGatewayAttachmentId": attachment["TransitGatewayAttachmentId"],
        "ResourceType": attachment["ResourceType"],
        "ResourceId": attachment["ResourceId"],
    }
