"""Random networks of two accounts whose VPCs are peered, and VPC Block Public Access."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Final

from tests.reachability.random_networks.blocks import chance
from tests.reachability.random_networks.drawing import ACCOUNT, Drawing
from tests.reachability.random_networks.hosts import draw_interfaces, draw_nats
from tests.reachability.random_networks.network import (
    STEMS,
    draw_filters,
    draw_network,
    draw_peerings,
    draw_prefix_lists,
    draw_vpc,
)
from tests.reachability.random_networks.routes import draw_route_tables

if TYPE_CHECKING:
    from random import Random

    from tests.reachability.random_networks.drawing import Item

OTHER: Final = "222222222222"
REGION: Final = "us-east-1"
MODES: Final = ("off", "block-ingress", "block-bidirectional")
# What both accounts see: prefix lists are shared, and a peering has two sides.
_COMMON: Final = frozenset(
    {"ManagedPrefixLists", "ManagedPrefixListEntries", "PrefixLists", "VpcPeeringConnections"}
)


def draw_blocked(random: Random) -> dict[str, list[Item]]:
    """Return a random network in which Block Public Access is on for some VPCs and subnets."""
    answers = draw_network(random)
    for item in (*answers["Vpcs"], *answers["Subnets"]):
        if chance(random, 0.5):
            item["BlockPublicAccessStates"] = {"InternetGatewayBlockMode": random.choice(MODES)}
    return answers


def draw_peered(random: Random) -> dict[str, list[Item]]:
    """Return the answers of two or three VPCs, mostly peered; `by_account` distinguishes them."""
    drawing = Drawing(random)
    for name in STEMS:
        drawing.answers[name] = []
    for number in range(2 + random.randrange(2)):
        draw_vpc(drawing, number)
    draw_peerings(drawing)
    draw_prefix_lists(drawing)
    draw_filters(drawing)
    for vpc in drawing.vpcs:
        draw_interfaces(drawing, vpc)
        draw_nats(drawing, vpc)
    for vpc in drawing.vpcs:
        draw_route_tables(drawing, vpc)
    return drawing.answers


def by_account(answers: dict[str, list[Item]]) -> dict[tuple[str, str], dict[str, list[Item]]]:
    """Return the answers as two accounts get them: the first VPC is one's, the others another's."""
    first = answers["Vpcs"][0]["VpcId"]
    own = {vpc["VpcId"]: ACCOUNT if vpc["VpcId"] == first else OTHER for vpc in answers["Vpcs"]}
    gateways = {
        item["VpnGatewayId"]: item["VpcAttachments"][0]["VpcId"] for item in answers["VpnGateways"]
    }
    groups = {item["GroupId"]: own[item["VpcId"]] for item in answers["SecurityGroups"]}
    links = {
        item["directConnectGatewayId"]: item["associatedGateway"]["id"]
        for item in answers["DirectConnectGatewayAssociations"]
    }

    def owner(item: Item) -> str:
        gateway = item.get("VpnGatewayId") or item.get("virtualGatewayId")
        gateway = gateway or links.get(item.get("directConnectGatewayId", ""))
        vpc = item.get("VpcId") or gateways.get(gateway or "")
        attached = [*item.get("Attachments", ()), *item.get("Instances", ())]
        return own[vpc or attached[0]["VpcId"]]

    found: dict[tuple[str, str], dict[str, list[Item]]] = {
        (account, REGION): {name: [] for name in answers} for account in (ACCOUNT, OTHER)
    }
    for name, items in answers.items():
        for item in items:
            accounts = (ACCOUNT, OTHER) if name in _COMMON else (owner(item),)
            for account in accounts:
                found[account, REGION][name].append(_owned(item, account, own, groups))
    return found


def _owned(item: Item, account: str, own: dict[str, str], groups: dict[str, str]) -> Item:
    """Return an item with the ids of the accounts that own it, its sides, and its groups."""
    owned = deepcopy(item)
    if owned.get("OwnerId") == ACCOUNT:
        owned["OwnerId"] = account
    for side in ("RequesterVpcInfo", "AccepterVpcInfo"):
        if side in owned:
            owned[side]["OwnerId"] = own[owned[side]["VpcId"]]
    for rules in ("IpPermissions", "IpPermissionsEgress"):
        for rule in owned.get(rules, ()):
            for pair in rule["UserIdGroupPairs"]:
                pair["UserId"] = groups[pair["GroupId"]]
    return owned
