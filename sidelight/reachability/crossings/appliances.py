"""Network interfaces as targets of routes: appliances of the network's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.reachability.components.component_types import INTERFACE
from sidelight.reachability.results import ReachabilityVerdict as Verdict
from sidelight.reachability.walk.packets import PacketOutcome, Place, Trail, ended

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.reachability.addresses.bundles import Bundle
    from sidelight.reachability.components.records import RouteRecord
    from sidelight.reachability.walk.walker import Walker


def appliance(
    walker: Walker, route: RouteRecord, place: Place, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    """To an interface that is not a packet's destination: an appliance of the network's own."""
    name = route.target
    if route.kind == "instance":
        of_it = walker.topology.interfaces_of.get(name, [])
        name = of_it[0] if of_it else name
    interface = walker.topology.interfaces.get(name)
    trail = trail.over(place.vpc, interface.instance or name if interface else name)
    if interface is None:
        yield ended(Verdict.NULL_ROUTED, bundle, trail, (name, INTERFACE, None))
    elif not interface.forwards:
        yield ended(Verdict.DENIED_IN, bundle, trail, (name, INTERFACE, "SourceDestCheck"))
    else:
        note = f"not accounted for: what {interface.instance or name} forwards"
        yield PacketOutcome(Verdict.EXITS_NETWORK, bundle, trail.noting(note), name)
