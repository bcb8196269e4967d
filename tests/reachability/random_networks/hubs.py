"""Random networks whose transit gateway sends everything through one VPC, as for inspection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.reachability.random_networks import blocks
from tests.reachability.random_networks.blocks import chance
from tests.reachability.random_networks.network import draw_network

if TYPE_CHECKING:
    from random import Random

    from tests.reachability.random_networks.drawing import Item

    Answers = dict[str, list[Item]]

PREMISES = "192.168.0.0/16"
VPCS = "10.0.0.0/8"


def draw_hub(random: Random) -> Answers:
    """Draw a network with one transit gateway, at least two VPCs and premises at it, and a hub."""
    while True:
        answers = draw_network(random)
        attachments = answers["TransitGatewayAttachments"]
        kinds = [found["ResourceType"] for found in attachments]
        if (
            len(answers["TransitGateways"]) == 1
            and kinds.count("vpc") > 1
            and set(kinds) != {"vpc"}
        ):
            _make_hub(random, answers)
            return answers


def _make_hub(random: Random, answers: Answers) -> None:
    attachments = answers["TransitGatewayAttachments"]
    hub = random.choice([one for one in attachments if one["ResourceType"] == "vpc"])
    gateway = hub["TransitGatewayId"]
    for found in attachments:
        table = "tgw-rtb-hub" if found is hub else "tgw-rtb-spokes"
        found["Association"] = {"State": "associated", "TransitGatewayRouteTableId": table}
    numbers = {vpc["VpcId"]: int(vpc["CidrBlock"].split(".")[1]) for vpc in answers["Vpcs"]}
    spokes = [_route(blocks.ANY, hub)]
    middle = []
    for found in attachments:
        number = numbers.get(found["ResourceId"])
        block = PREMISES if number is None else blocks.vpc_block(number)
        if not chance(random, 0.1):
            middle.append(_route(block, found))
        if chance(random, 0.2):  # past the hub, one way or both
            spokes.append(_route(block, found))
    for name in ("TransitGatewayRouteTables", "TransitGatewayStaticRoutes"):
        answers[name] = []
    answers["TransitGatewayPropagations"] = []
    for table, routes in (("tgw-rtb-spokes", spokes), ("tgw-rtb-hub", middle)):
        answers["TransitGatewayRouteTables"].append(
            {
                "TransitGatewayRouteTableId": table,
                "TransitGatewayId": gateway,
                "State": "available",
                "DefaultAssociationRouteTable": False,
                "DefaultPropagationRouteTable": False,
            }
        )
        answers["TransitGatewayStaticRoutes"].append(
            {
                "TransitGatewayRouteTableId": table,
                "Routes": routes,
                "AdditionalRoutesAvailable": False,
            }
        )
        answers["TransitGatewayPropagations"].append(
            {"TransitGatewayRouteTableId": table, "TransitGatewayRouteTablePropagations": []}
        )
    _lead_to_the_gateway(random, answers, hub)


def _route(block: str, to: Item) -> Item:
    end = {key: to[key] for key in ("TransitGatewayAttachmentId", "ResourceType", "ResourceId")}
    return {
        "DestinationCidrBlock": block,
        "Type": "static",
        "State": "active",
        "TransitGatewayAttachments": [end],
    }


def _lead_to_the_gateway(random: Random, answers: Answers, hub: Item) -> None:
    """Most tables send what is of others to the gateway, or in the hub to its endpoint first."""
    inspecting = [
        one["VpcEndpointId"] for one in answers["VpcEndpoints"] if one["VpcId"] == hub["ResourceId"]
    ]
    attached = {one["VpcId"] for one in answers["TransitGatewayVpcAttachments"]}
    for table in answers["RouteTables"]:
        if table["VpcId"] not in attached or any(
            "GatewayId" in one for one in table["Associations"]
        ):
            continue
        for block in (VPCS, PREMISES):
            if chance(random, 0.15):
                continue
            target = {"TransitGatewayId": hub["TransitGatewayId"]}
            if inspecting and table["VpcId"] == hub["ResourceId"] and chance(random, 0.4):
                target = {"GatewayId": inspecting[0]}
            _lead(table, block, target)


def draw_gateways(random: Random) -> Answers:
    """Draw a network with two peered transit gateways, and premises at one or both.

    What is of others has routes to either gateway, and from there to any attachment.
    """
    while True:
        answers = draw_network(random)
        kinds = {found["ResourceType"] for found in answers["TransitGatewayAttachments"]}
        if len(answers["TransitGateways"]) == 2 and kinds & {"vpn", "direct-connect-gateway"}:
            _spread_over_gateways(random, answers)
            return answers


def _spread_over_gateways(random: Random, answers: Answers) -> None:
    attachments = answers["TransitGatewayAttachments"]
    at: dict[str, list[Item]] = {}
    gateways: dict[str, list[str]] = {}  # of a VPC
    for found in attachments:
        at.setdefault(found["TransitGatewayId"], []).append(found)
        gateways.setdefault(found["ResourceId"], []).append(found["TransitGatewayId"])
    tables = answers["TransitGatewayRouteTables"]
    for found in attachments:
        names = [
            one["TransitGatewayRouteTableId"]
            for one in tables
            if one["TransitGatewayId"] == found["TransitGatewayId"]
        ]
        found.setdefault(
            "Association",
            {"State": "associated", "TransitGatewayRouteTableId": random.choice(names)},
        )
    owners = {one["TransitGatewayRouteTableId"]: one["TransitGatewayId"] for one in tables}
    blocks_of = [blocks.vpc_block(int(vpc["CidrBlock"].split(".")[1])) for vpc in answers["Vpcs"]]
    for static in answers["TransitGatewayStaticRoutes"]:
        ends = at.get(owners[static["TransitGatewayRouteTableId"]], [])
        for block in (PREMISES, *blocks_of):
            if ends and not chance(random, 0.3):
                static["Routes"] = [
                    one for one in static["Routes"] if one["DestinationCidrBlock"] != block
                ]
                static["Routes"].append(_route(block, _likely_end(random, block, ends, answers)))
    for table in answers["RouteTables"]:
        near = gateways.get(table["VpcId"])
        if near and not any("GatewayId" in one for one in table["Associations"]):
            for block in (VPCS, PREMISES):
                if not chance(random, 0.15):
                    _lead(table, block, {"TransitGatewayId": random.choice(near)})


def _likely_end(random: Random, block: str, ends: list[Item], answers: Answers) -> Item:
    """The attachment that has a block or a peering, mostly."""
    owners = {
        blocks.vpc_block(int(vpc["CidrBlock"].split(".")[1])): vpc["VpcId"]
        for vpc in answers["Vpcs"]
    }
    right = [
        one
        for one in ends
        if one["ResourceType"] == "peering"
        or (
            one["ResourceId"] == owners[block]
            if block in owners
            else one["ResourceType"] in {"vpn", "direct-connect-gateway"}
        )
    ]
    return random.choice(ends if chance(random, 0.15) or not right else right)


def _lead(table: Item, block: str, target: Item) -> None:
    table["Routes"] = [one for one in table["Routes"] if one.get("DestinationCidrBlock") != block]
    route = {"DestinationCidrBlock": block, "Origin": "CreateRoute", "State": "active"}
    table["Routes"].append({**route, **target})
