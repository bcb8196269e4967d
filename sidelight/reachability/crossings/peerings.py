"""VPC peering connections: to the peer's VPC, and not beyond it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.reachability.addresses import intervals
from sidelight.reachability.components.component_types import PEERING
from sidelight.reachability.results import ReachabilityVerdict as Verdict
from sidelight.reachability.walk.packets import PacketOutcome, Place, Trail, ended

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.reachability.addresses.bundles import Bundle
    from sidelight.reachability.components.records import RouteRecord
    from sidelight.reachability.walk.walker import Walker


def peering_connection(
    walker: Walker, route: RouteRecord, place: Place, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    """To the peer's VPC, if the packets are of this side's VPC."""
    name = route.target
    peering = walker.topology.peerings.get(name)
    trail = trail.over(place.vpc)
    if peering is None:
        trail = trail.noting(f"not accounted for: {name}, which is not in the answers")
    sides = [] if peering is None else [side for side in peering.sides if side.vpc == place.vpc]
    if peering is None or not peering.active or not sides:
        yield ended(Verdict.NULL_ROUTED, bundle, trail, (name, PEERING, None))
        return
    near = sides[0]
    far = peering.sides[1] if peering.sides[0] == near else peering.sides[0]
    own = walker.topology.vpc_blocks(near, walker.family)
    # Not transitive: what comes from elsewhere, by another peering or a gateway, does not pass.
    src = intervals.intersection(bundle.src, own)
    if src != bundle.src and walker.explain:
        part = bundle._replace(src=intervals.difference(bundle.src, own))
        yield ended(Verdict.NULL_ROUTED, part, trail, (name, PEERING, None))
    if not src:
        return
    bundle = bundle._replace(src=src)
    if name in walker.goals:
        yield PacketOutcome(Verdict.ACCEPTED, bundle, trail, name)
        return
    if near.region != far.region:
        trail = trail._replace(origin=())
    trail = trail.over(far.vpc).through(name, PEERING)
    if far.vpc not in walker.topology.vpcs:
        trail = trail.noting(f"not accounted for: {far.vpc}, which is not in the answers")
        yield PacketOutcome(Verdict.EXITS_NETWORK, bundle, trail, name)
    else:
        yield from walker.in_vpc(far.vpc, bundle, trail)
