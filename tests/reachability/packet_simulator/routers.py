"""The choice of a route, in a VPC's route table and in a transit gateway's.

Sources: VPC user guide, "How route priority works"; Site-to-Site VPN user guide, "Route tables and
VPN route priority" (a propagated route never precedes the local
route); transit gateway guide, "Routing".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.reachability.packet_simulator.described import holds, net

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.reachability.packet_simulator.described import Described, Item
    from tests.reachability.packet_simulator.packets import Address

TARGETS = (
    "GatewayId",
    "NatGatewayId",
    "TransitGatewayId",
    "VpcPeeringConnectionId",
    "EgressOnlyInternetGatewayId",
    "NetworkInterfaceId",
    "InstanceId",
    "LocalGatewayId",
    "CarrierGatewayId",
)
DESTINATIONS = ("DestinationCidrBlock", "DestinationIpv6CidrBlock")


class Route(NamedTuple):
    """Where a route leads to: an id, or "local"; `alive` is false for a blackhole."""

    target: str
    alive: bool
    block: str


class _Candidate(NamedTuple):
    """Ordered so that the greatest is the route that AWS prefers."""

    length: int
    rank: int
    route: Route


def vpc_route(network: Described, table: Item, address: Address) -> Route | None:
    """Return the route that a VPC's table has for an address."""
    found = [
        _Candidate(net(block).prefixlen, _rank(item), Route(_target(item), _alive(item), block))
        for item in table["Routes"]
        for block in _blocks(network, item)
        if holds(block, address)
    ]
    local = [it for it in found if it.route.target == "local"]
    if local:  # "the local route is most preferred even if the propagated routes are more specific"
        found = [it for it in found if it.rank > 0]
    return max(found, key=lambda it: it[:2]).route if found else None


def _blocks(network: Described, item: Item) -> Iterator[str]:
    for key in DESTINATIONS:
        if item.get(key):
            yield item[key]
    if item.get("DestinationPrefixListId"):
        yield from network.prefix_lists.get(item["DestinationPrefixListId"], [])


def _rank(item: Item) -> int:
    if item.get("Origin") == "EnableVgwRoutePropagation":
        return 0
    return 1 if item.get("DestinationPrefixListId") else 2


def _target(item: Item) -> str:
    # A route to an instance has its interface, too: the interface is where the packet goes.
    for key in ("NetworkInterfaceId", *TARGETS):
        if item.get(key):
            return str(item[key])
    return ""


def _alive(item: Item) -> bool:
    return bool(item.get("State", "active") == "active")


PROPAGATED = {"vpc": 4, "direct-connect-gateway": 3, "connect": 2, "vpn": 1, "peering": 0}


class TransitRoute(NamedTuple):
    """A transit gateway's route: to which attachment, and of what kind that is."""

    attachment: str
    kind: str
    resource: str
    alive: bool


def transit_route(network: Described, table: str, address: Address) -> TransitRoute | None:
    """Return the route of a transit gateway's table: static ones precede propagated ones."""
    best: tuple[int, int] = (-1, -1)
    chosen: TransitRoute | None = None
    for length, rank, route in _transit_candidates(network, table, address):
        if (length, rank) > best:
            best, chosen = (length, rank), route
    return chosen


def _answers(network: Described, name: str, table: str, key: str) -> Iterator[Item]:
    for answer in network.all(name):
        if answer["TransitGatewayRouteTableId"] == table:
            yield from answer[key]


def _transit_candidates(
    network: Described, table: str, address: Address
) -> Iterator[tuple[int, int, TransitRoute]]:
    """Yield routes that have the address, with the length of their prefix and their rank."""
    for item in _answers(network, "TransitGatewayStaticRoutes", table, "Routes"):
        for block in _transit_blocks(network, item):
            if holds(block, address):
                yield net(block).prefixlen, *_ranked(item)
    key = "TransitGatewayRouteTablePropagations"
    for item in _answers(network, "TransitGatewayPropagations", table, key):
        if item["State"] != "enabled" or item["ResourceId"] not in network.vpcs:
            continue
        for block in network.vpc_blocks(item["ResourceId"]):
            if holds(block, address):
                attachment = item["TransitGatewayAttachmentId"]
                route = TransitRoute(attachment, "vpc", item["ResourceId"], alive=True)
                yield net(block).prefixlen, PROPAGATED["vpc"], route


def _ranked(item: Item) -> tuple[int, TransitRoute]:
    ends = item.get("TransitGatewayAttachments") or [{}]
    kind = ends[0].get("ResourceType", "")
    rank = 9 if item.get("Type") == "static" else PROPAGATED.get(kind, 0)
    attachment = ends[0].get("TransitGatewayAttachmentId", "")
    alive = item["State"] == "active"
    return rank, TransitRoute(attachment, kind, ends[0].get("ResourceId", ""), alive)


def _transit_blocks(network: Described, item: Item) -> Iterator[str]:
    if item.get("DestinationCidrBlock"):
        yield item["DestinationCidrBlock"]
    if item.get("PrefixListId"):
        yield from network.prefix_lists.get(item["PrefixListId"], [])
