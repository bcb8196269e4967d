"""Internet gateways and egress-only internet gateways: out of a VPC, and into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.reachability.addresses import intervals
from sidelight.reachability.addresses.internet import INTERNET
from sidelight.reachability.addresses.prefixes import IPV6
from sidelight.reachability.components.component_types import (
    EGRESS_ONLY_GATEWAY,
    INTERNET_GATEWAY,
    NAT,
    VPC,
)
from sidelight.reachability.results import ReachabilityVerdict as Verdict
from sidelight.reachability.walk.packets import PacketOutcome, Place, Trail, ended

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.reachability.addresses.bundles import Bundle
    from sidelight.reachability.components.records import (
        InterfaceRecord,
        RouteRecord,
    )
    from sidelight.reachability.walk.walker import Walker


BACKBONE: Final = "aws-backbone"
"""The hop between an internet gateway and the internet, or another internet gateway."""


def internet_gateway(
    walker: Walker, route: RouteRecord, place: Place, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    """Out by an internet gateway: with a public address, and where nothing blocks it."""
    gateway, topology = route.target, walker.topology
    if gateway in walker.goals and not topology.blocked(place.subnet):
        yield PacketOutcome(Verdict.ACCEPTED, bundle, trail, gateway)
        return
    trail = trail.over(place.vpc, gateway)._replace(origin=())
    if not topology.attached(gateway, place.vpc):
        yield ended(Verdict.NULL_ROUTED, bundle, trail, (gateway, INTERNET_GATEWAY, None))
        return
    mode = topology.blocked(place.subnet)
    # In the mode block-ingress only NAT and egress-only gateways reach the internet.
    by_nat = any(component.type == NAT for component in trail.components)
    if mode == "block-bidirectional" or (mode and not by_nat):
        stop = (gateway, INTERNET_GATEWAY, "BlockPublicAccess")
        yield ended(Verdict.DENIED_IN, bundle, trail, stop)
        return
    mapped = intervals.intersection(bundle.src, topology.mapped(place.vpc, walker.family))
    if mapped != bundle.src and walker.explain:
        # Only an address that has a public one passes an internet gateway.
        unmapped = bundle._replace(src=intervals.difference(bundle.src, mapped))
        yield ended(Verdict.DENIED_IN, unmapped, trail, (gateway, INTERNET_GATEWAY, None))
    if mapped:
        public = topology.public_of(place.vpc, walker.family, mapped)
        yield from to_internet(walker, gateway, bundle._replace(src=public), trail)


def egress_only_gateway(
    walker: Walker, route: RouteRecord, place: Place, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    """Out to the internet over IPv6, and never in."""
    trail = trail.over(place.vpc, route.target).through(route.target, EGRESS_ONLY_GATEWAY)
    trail = trail._replace(origin=())
    open_ = walker.topology.blocked(place.subnet) != "block-bidirectional"
    stop = (route.target, EGRESS_ONLY_GATEWAY, None)
    if walker.family != IPV6 or not open_ or walker.replies:
        yield ended(Verdict.DENIED_IN, bundle, trail, stop)
        return
    vpc = walker.topology.vpcs.get(place.vpc)
    advertised = intervals.difference(bundle.src, vpc.private if vpc else ())
    if advertised != bundle.src:
        private = bundle._replace(src=intervals.difference(bundle.src, advertised))
        yield ended(Verdict.DENIED_IN, private, trail, stop)
    if advertised:
        yield from to_internet(walker, route.target, bundle._replace(src=advertised), trail)


def to_internet(
    walker: Walker, gateway: str, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    """On the internet: to a public address of the network itself, or out of what is known."""
    own = walker.topology.public_addresses(walker.family)
    inside = intervals.intersection(bundle.dst, own)
    if inside:
        yield from from_internet(walker, bundle._replace(dst=inside), trail)
    rest = intervals.difference(bundle.dst, own)
    outside = intervals.intersection(rest, INTERNET[walker.family])
    if outside:
        part = bundle._replace(dst=outside)
        yield PacketOutcome(Verdict.EXITS_NETWORK, part, trail.over(BACKBONE, "internet"), gateway)
    nowhere = intervals.difference(rest, INTERNET[walker.family])
    if nowhere and walker.explain:
        part = bundle._replace(dst=nowhere)
        yield ended(Verdict.NULL_ROUTED, part, trail, (gateway, INTERNET_GATEWAY, None))


def from_internet(walker: Walker, bundle: Bundle, trail: Trail) -> Iterator[PacketOutcome]:
    """From the internet to public addresses: by the internet gateway of each one's VPC."""
    topology = walker.topology
    for first, last in bundle.dst:
        routed = intervals.is_subset(((first, last),), INTERNET[walker.family])
        way = trail.over(BACKBONE) if routed else trail
        if first != last or (owner := topology.behind_public(walker.family, first)) is None:
            if walker.explain:
                part = bundle._replace(dst=((first, last),))
                yield PacketOutcome(Verdict.NULL_ROUTED, part, way, "")
            continue
        name, number = owner
        interface = topology.interfaces[name]
        # A VPC's own addresses are never beyond its gateway: they are routed locally.
        inside = topology.vpcs[interface.vpc].blocks if interface.vpc in topology.vpcs else {}
        src = intervals.difference(bundle.src, inside.get(walker.family, ()))
        part = bundle._replace(src=src, dst=((number, number),))
        session = walker.sessions.get(interface.vpc)
        if walker.replies and session is not None:
            way = way.over(session).through(session, EGRESS_ONLY_GATEWAY)
            yield from walker.in_vpc(interface.vpc, part, way)
            continue
        gateway = topology.internet_gateway_of(interface.vpc)
        if gateway is None:
            yield ended(Verdict.NULL_ROUTED, part, way, (interface.vpc, VPC, None))
        elif _closed(walker, interface):
            stop = (gateway, INTERNET_GATEWAY, "BlockPublicAccess")
            yield ended(Verdict.DENIED_IN, part, way.over(gateway), stop)
        else:
            way = way.over(gateway).through(gateway, INTERNET_GATEWAY)
            way = way.noting(*topology.notes_on(gateway))
            yield from enter_by_gateway(walker, gateway, interface.vpc, part, way)


def _closed(walker: Walker, interface: InterfaceRecord) -> bool:
    """Whether nothing comes from the internet: by Block Public Access, or the interface's own."""
    mode = walker.topology.blocked(interface.subnet)
    if mode == "block-ingress" and walker.replies and interface.kind == "nat_gateway":
        return False
    return bool(mode) or interface.closed_to_gateways


def enter_by_gateway(
    walker: Walker, gateway: str, vpc: str, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    """Into a VPC by an internet or virtual private gateway: its own route table, or straight."""
    trail = trail._replace(origin=())
    table = walker.topology.gateway_tables.get(gateway)
    if table is None:
        yield from walker.in_vpc(vpc, bundle, trail.over(vpc))
    else:
        yield from walker.cross(walker, table, Place(vpc, ""), bundle, trail)
