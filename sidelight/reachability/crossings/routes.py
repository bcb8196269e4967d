"""Where the routes of a table lead: each part of a bundle to the target of its route."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.reachability.components.component_types import TABLE
from sidelight.reachability.crossings.appliances import appliance
from sidelight.reachability.crossings.endpoints import endpoint_route
from sidelight.reachability.crossings.internet import egress_only_gateway, internet_gateway
from sidelight.reachability.crossings.nat import nat_gateway
from sidelight.reachability.crossings.peerings import peering_connection
from sidelight.reachability.crossings.transit import transit_gateway
from sidelight.reachability.crossings.virtual_gateways import virtual_gateway
from sidelight.reachability.results import ReachabilityVerdict as Verdict
from sidelight.reachability.walk.packets import PacketOutcome, Place, Trail, ended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidelight.reachability.addresses.bundles import Bundle
    from sidelight.reachability.components.records import RouteRecord
    from sidelight.reachability.walk.walker import Walker

if TYPE_CHECKING:
    Crossing = Callable[[Walker, RouteRecord, Place, Bundle, Trail], Iterator[PacketOutcome]]


def cross(
    walker: Walker, table: str, place: Place, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    """Each part of a bundle to the target of its route in a table.

    `subnet` is where the packets are; empty for those that enter by a gateway's own route table.
    """
    trail = trail.noting(*walker.routing.notes(table))
    if walker.exhausted(trail):
        yield walker.looped(table, bundle, trail)
        return
    for pair, route in walker.routing.table(table, walker.family).within(bundle.dst):
        part = bundle._replace(dst=(pair,))
        if route is None:
            if walker.explain:
                yield ended(Verdict.NO_ROUTE, part, trail, (table, TABLE, None))
        elif route.blackhole:
            if walker.explain:
                yield ended(Verdict.NULL_ROUTED, part, trail, (table, TABLE, route.id))
        else:
            found = _CROSSINGS.get(route.kind, _elsewhere)
            yield from found(walker, route, place, part, trail.through(table, TABLE, route.id))


def _local(
    walker: Walker, _route: RouteRecord, place: Place, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    yield from walker.in_vpc(place.vpc, bundle, trail.over(place.vpc))


def _elsewhere(
    _walker: Walker, route: RouteRecord, place: Place, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    note = f"not accounted for: what lies behind {route.target} ({route.kind})"
    yield PacketOutcome(
        Verdict.EXITS_NETWORK,
        bundle,
        trail.over(place.vpc, route.target).noting(note),
        route.target,
    )


_CROSSINGS: Final[dict[str, Crossing]] = {
    "local": _local,
    "internet-gateway": internet_gateway,
    "egress-only-internet-gateway": egress_only_gateway,
    "nat-gateway": nat_gateway,
    "peering": peering_connection,
    "transit-gateway": transit_gateway,
    "virtual-gateway": virtual_gateway,
    "endpoint": endpoint_route,
    "network-interface": appliance,
    "instance": appliance,
}
