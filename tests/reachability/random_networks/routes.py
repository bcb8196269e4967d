"""Random route tables of a VPC: what EC2 would accept, and blackholes of what is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tests.reachability.random_networks import blocks
from tests.reachability.random_networks.blocks import ANY, ANY_SIX, OUTSIDE, OUTSIDE_SIX, chance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.reachability.random_networks.drawing import Drawing, Item, Vpc


def draw_route_tables(drawing: Drawing, vpc: Vpc) -> None:
    """Draw a VPC's main table, further ones, and sometimes one of its internet gateway."""
    count = 1 + drawing.random.randrange(len(vpc.subnets) + 1)
    tables = []
    for index in range(count):
        table = _table(drawing, vpc)
        if index == 0:
            table["Associations"] += [_association(drawing, table, Main=True)]
        tables.append(table)
    for subnet in vpc.subnets:
        choice = drawing.random.randrange(count + 1)
        if choice < count:  # otherwise the main table is the subnet's, implicitly
            table = tables[choice]
            table["Associations"] += [
                _association(drawing, table, Main=False, SubnetId=subnet["SubnetId"])
            ]
    if vpc.internet_gateway and chance(drawing.random, 0.5 if vpc.endpoint else 0.1):
        gateway = vpc.internet_gateway
        table = drawing.add("RouteTables", _empty(drawing, vpc))
        if vpc.endpoint:
            _inspect(drawing, vpc, table)
        table["Associations"] += [_association(drawing, table, Main=False, GatewayId=gateway)]


def _inspect(drawing: Drawing, vpc: Vpc, table: Item) -> None:
    """What comes for some subnets goes to the endpoint first."""
    for part in drawing.random.sample(range(len(vpc.subnets)), 1):
        route = {"GatewayId": vpc.endpoint, "Origin": "CreateRoute", "State": "active"}
        block = blocks.subnet_block(vpc.number, part)
        table["Routes"] += [{"DestinationCidrBlock": block, **route}]
        if vpc.subnets[part]["Ipv6CidrBlockAssociationSet"]:
            block = blocks.subnet_block_six(vpc.number, part)
            table["Routes"] += [{"DestinationIpv6CidrBlock": block, **route}]


def _association(drawing: Drawing, table: Item, **members: Any) -> Item:
    return {
        "RouteTableAssociationId": drawing.identity("rtbassoc"),
        "RouteTableId": table["RouteTableId"],
        "AssociationState": {"State": "associated"},
        **members,
    }


def _empty(drawing: Drawing, vpc: Vpc) -> Item:
    local = {"GatewayId": "local", "Origin": "CreateRouteTable", "State": "active"}
    routes = [{"DestinationCidrBlock": blocks.vpc_block(vpc.number), **local}]
    if vpc.six:
        routes += [{"DestinationIpv6CidrBlock": blocks.vpc_block_six(vpc.number), **local}]
    return {
        "RouteTableId": drawing.identity("rtb"),
        "VpcId": vpc.id,
        "OwnerId": "111111111111",
        "PropagatingVgws": [],
        "Tags": [],
        "Associations": [],
        "Routes": routes,
    }


def _table(drawing: Drawing, vpc: Vpc) -> Item:
    table = drawing.add("RouteTables", _empty(drawing, vpc))
    random = drawing.random
    targets = _targets(vpc)
    taken: set[str] = {route.get("DestinationCidrBlock", "") for route in table["Routes"]}
    for route in _usual(vpc):
        if not chance(random, 0.4):
            _add(table, dict(route), taken)
    if targets:
        for _ in range(random.randrange(4)):
            _add(table, _route(drawing, vpc, random.choice(targets)), taken)
    if vpc.virtual_gateway and chance(random, 0.6):
        table["PropagatingVgws"] = [{"GatewayId": vpc.virtual_gateway}]
        block = random.choice(["192.168.0.0/16", ANY, "8.8.8.0/24", "10.0.0.0/8", "10.0.0.0/24"])
        table["Routes"] += [
            {
                "DestinationCidrBlock": block,
                "GatewayId": vpc.virtual_gateway,
                "Origin": "EnableVgwRoutePropagation",
                "State": "active",
            }
        ]
    if vpc.nats and chance(random, 0.1):
        # More specific than local: a whole subnet's block, to a middlebox.
        part = random.randrange(len(vpc.subnets))
        route = {
            "DestinationCidrBlock": blocks.subnet_block(vpc.number, part),
            "NatGatewayId": vpc.nats[0],
        }
        _add(table, route, taken)
    return table


def _add(table: Item, route: Item, taken: set[str]) -> None:
    destination = next(value for key, value in route.items() if key.startswith("Destination"))
    if destination in taken:
        return  # one static route a destination
    if destination.startswith("pl-") and any(name.startswith("pl-") for name in taken):
        return  # of two lists with the same block AWS takes either (VPC guide, "Route priority")
    taken.add(destination)
    table["Routes"] += [{"Origin": "CreateRoute", "State": "active", **route}]


def _usual(vpc: Vpc) -> Iterator[Item]:
    """Yield the routes that most networks have, so that many connections come about."""
    if vpc.internet_gateway:
        yield {"DestinationCidrBlock": ANY, "GatewayId": vpc.internet_gateway}
        if vpc.six:
            yield {"DestinationIpv6CidrBlock": ANY_SIX, "GatewayId": vpc.internet_gateway}
    for pcx, peer in vpc.peerings:
        block = blocks.vpc_block(peer.number)
        yield {"DestinationCidrBlock": block, "VpcPeeringConnectionId": pcx}
        if vpc.six and peer.six:
            block = blocks.vpc_block_six(peer.number)
            yield {"DestinationIpv6CidrBlock": block, "VpcPeeringConnectionId": pcx}
    for gateway in vpc.transit_gateways:
        yield {"DestinationCidrBlock": "10.0.0.0/8", "TransitGatewayId": gateway}
        if not vpc.virtual_gateway:
            yield {"DestinationCidrBlock": "192.168.0.0/16", "TransitGatewayId": gateway}
    if vpc.virtual_gateway:
        yield {"DestinationCidrBlock": "192.168.0.0/16", "GatewayId": vpc.virtual_gateway}


class _Target(NamedTuple):
    """What a route may lead to: the families it takes, the route's member, the id, and the peer."""

    families: str
    member: str
    id: str
    peer: Vpc | None = None


def _targets(vpc: Vpc) -> list[_Target]:
    found: list[_Target] = []
    if vpc.internet_gateway:
        found += [_Target("46", "GatewayId", vpc.internet_gateway)] * 3
    if vpc.egress_only:
        found += [_Target("6", "EgressOnlyInternetGatewayId", vpc.egress_only)]
    if vpc.virtual_gateway:
        found += [_Target("46", "GatewayId", vpc.virtual_gateway)]
    if vpc.endpoint:
        found += [_Target("46", "GatewayId", vpc.endpoint)] * 4
    found += [_Target("4", "NatGatewayId", nat) for nat in vpc.nats]
    found += [_Target("46", "VpcPeeringConnectionId", pcx, peer) for pcx, peer in vpc.peerings]
    found += [_Target("46", "TransitGatewayId", gateway) for gateway in vpc.transit_gateways]
    return found


def _route(drawing: Drawing, vpc: Vpc, target: _Target) -> Item:
    random = drawing.random
    route: Item = {target.member: target.id}
    if chance(random, 0.08):
        route["State"] = "blackhole"
    if drawing.lists and "4" in target.families and chance(random, 0.15):
        chosen = random.choice(drawing.lists)
        if not _has_own_block(drawing, vpc, chosen):
            route["DestinationPrefixListId"] = chosen
            return route
    if target.families == "6" or ("6" in target.families and vpc.six and chance(random, 0.3)):
        route["DestinationIpv6CidrBlock"] = _block_six(drawing, vpc, target.peer)
    else:
        route["DestinationCidrBlock"] = _block(drawing, vpc, target.peer)
    return route


def _has_own_block(drawing: Drawing, vpc: Vpc, chosen: str) -> bool:
    """EC2 refuses a prefix list whose blocks are the VPC's own or more specific."""
    own = f"10.{vpc.number}."
    return any(
        entry["Cidr"].startswith(own)
        for answer in drawing.answers["ManagedPrefixListEntries"]
        if answer["PrefixListId"] == chosen
        for entry in answer["Entries"]
    )


def _block(drawing: Drawing, vpc: Vpc, peer: Vpc | None) -> str:
    if peer:
        return drawing.random.choice(
            [blocks.vpc_block(peer.number), blocks.subnet_block(peer.number, 0), "10.0.0.0/8", ANY]
        )
    others = [blocks.vpc_block(it.number) for it in drawing.vpcs if it is not vpc]
    return drawing.random.choice([ANY, ANY, ANY, *OUTSIDE, "10.0.0.0/8", *others])


def _block_six(drawing: Drawing, vpc: Vpc, peer: Vpc | None) -> str:
    if peer and peer.six:
        return drawing.random.choice([blocks.vpc_block_six(peer.number), ANY_SIX])
    others = [blocks.vpc_block_six(it.number) for it in drawing.vpcs if it is not vpc and it.six]
    return drawing.random.choice([ANY_SIX, ANY_SIX, *OUTSIDE_SIX, *others])
