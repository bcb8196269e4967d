"""Virtual private gateways: out of a VPC to what VPN and Direct Connect reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.reachability.components.component_types import VIRTUAL_GATEWAY
from sidelight.reachability.results import ReachabilityVerdict as Verdict
from sidelight.reachability.walk.packets import PacketOutcome, Place, Trail, ended

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.reachability.addresses.bundles import Bundle
    from sidelight.reachability.components.records import RouteRecord
    from sidelight.reachability.walk.walker import Walker


def virtual_gateway(
    walker: Walker, route: RouteRecord, place: Place, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    """Out of a VPC to what is connected with its virtual private gateway."""
    name = route.target
    if name in walker.goals:
        yield PacketOutcome(Verdict.ACCEPTED, bundle, trail, name)
        return
    trail = trail.over(place.vpc, name)._replace(origin=())
    if walker.topology.links_of(name) and walker.topology.attached(name, place.vpc):
        note = f"not accounted for: routes that {name} learns from the other side"
        yield PacketOutcome(Verdict.EXITS_NETWORK, bundle, trail.noting(note), name)
    else:
        stop = (name, VIRTUAL_GATEWAY, None)
        yield ended(Verdict.NULL_ROUTED, bundle, trail, stop)
