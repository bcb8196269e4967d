"""Transit gateways: from an attachment by its route table to another, and into a VPC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.reachability.addresses import intervals
from sidelight.reachability.addresses.prefixes import IPV6
from sidelight.reachability.components.component_types import (
    ACL,
    ATTACHMENT,
    SUBNET,
    TRANSIT,
    TRANSIT_TABLE,
    VPC,
)
from sidelight.reachability.components.records import EGRESS, INGRESS
from sidelight.reachability.results import ReachabilityVerdict as Verdict
from sidelight.reachability.walk.packets import PacketOutcome, Place, Trail, ended

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.reachability.addresses.bundles import Bundle
    from sidelight.reachability.components.records import (
        AttachmentRecord,
        RouteRecord,
        TransitRoute,
    )
    from sidelight.reachability.walk.walker import Walker


def transit_gateway(
    walker: Walker, route: RouteRecord, place: Place, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    """To a transit gateway by the VPC's attachment, in a zone where it has an interface."""
    gateway, topology = route.target, walker.topology
    attachment = topology.transit.of_vpc.get((place.vpc, gateway))
    if attachment is None:
        trail = trail.noting(f"not accounted for: {gateway}, to which no answer has an attachment")
    if attachment is None or not attachment.available:
        yield ended(Verdict.NULL_ROUTED, bundle, trail, (gateway, TRANSIT, None))
        return
    zone = topology.zone_of(place.subnet)
    entry = [name for name in attachment.subnets if topology.zone_of(name) == zone]
    if attachment.subnets and not entry:
        # A transit gateway takes packets only in the zones where it has an interface.
        yield ended(Verdict.NULL_ROUTED, bundle, trail, (attachment.id, ATTACHMENT, None))
        return
    if walker.family == IPV6 and not attachment.ipv6:
        yield ended(Verdict.NULL_ROUTED, bundle, trail, (attachment.id, ATTACHMENT, None))
        return
    parts = [bundle]
    if entry:
        # Also where the sender is in that subnet itself [transit gateway guide, "Network ACLs"].
        acl = topology.acl_of_subnet(entry[0])
        permitted = walker.filters.acl(acl, INGRESS, walker.family, walker.protocol)
        parts = list(bundle.coming_from(permitted))
        trail = trail.through(acl, ACL)
        if walker.explain and bundle.without(permitted, by_source=True):
            yield ended(Verdict.DENIED_IN, bundle, trail, (acl, ACL, None))
    if not attachment.group_references:
        trail = trail._replace(origin=())
    trail = trail.over(place.vpc, gateway).through(gateway, TRANSIT)._replace(zone=zone)
    for part in parts:
        yield from _at_gateway(walker, attachment, part, trail)


def _at_gateway(
    walker: Walker, attachment: AttachmentRecord, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    """From a VPC in a transit gateway: at the goal, or on by its tables."""
    gateway = attachment.gateway
    if gateway in walker.goals:
        yield PacketOutcome(Verdict.ACCEPTED, bundle, trail, gateway)
    # By another gateway the answers of a finding's edge leave in ways that have `ends`.
    elif walker.explain or walker.goals.isdisjoint(walker.topology.transit.of_gateway):
        yield from by_transit_gateway(walker, attachment, bundle, trail)


def by_transit_gateway(
    walker: Walker, attachment: AttachmentRecord, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    """From an attachment by its associated route table to other attachments."""
    transit = walker.topology.transit
    if walker.exhausted(trail):
        yield walker.looped(attachment.gateway, bundle, trail)
        return
    routes = transit.table(attachment.table, walker.family)
    for pair, route in routes.within(bundle.dst):
        part = bundle._replace(dst=(pair,))
        if route is None:
            if walker.explain:
                stop = (attachment.table or attachment.id, TRANSIT_TABLE, None)
                yield ended(Verdict.NO_ROUTE, part, trail, stop)
            continue
        way = trail.through(attachment.table, TRANSIT_TABLE, route.id)
        if route.blackhole or not route.attachments:
            if walker.explain:
                rule = (attachment.table, TRANSIT_TABLE, route.id)
                yield ended(Verdict.NULL_ROUTED, part, way, rule)
            continue
        other = _chosen(walker, attachment.gateway, route)
        far = transit.attachments.get((attachment.gateway, other))
        if far is None:
            way = way.noting(f"not accounted for: {other}, which is not in the answers")
            yield PacketOutcome(Verdict.EXITS_NETWORK, part, way, other)
        elif far.id in walker.goals:
            yield PacketOutcome(Verdict.ACCEPTED, part, way, far.id)
        else:
            yield from _through_attachment(walker, far, part, way)


def _through_attachment(
    walker: Walker, far: AttachmentRecord, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    """Out of a transit gateway: to those who are at this end, and on to others behind it."""
    ends = walker.ends.get(far.id, ())
    arriving = intervals.intersection(bundle.dst, ends)
    if arriving:
        yield PacketOutcome(Verdict.ACCEPTED, bundle._replace(dst=arriving), trail, far.id)
    if not far.available:
        yield ended(Verdict.NULL_ROUTED, bundle, trail, (far.id, ATTACHMENT, None))
        return
    rest = intervals.difference(bundle.dst, ends) if ends else bundle.dst
    if rest:
        yield from _from_attachment(walker, far, bundle._replace(dst=rest), trail)


def _chosen(walker: Walker, gateway: str, route: TransitRoute) -> str:
    """The attachment that a route of several, as of VPN connections, may send packets to.

    Each is possible: a goal if it is one of them, else one that carries packets.
    """
    attachments = walker.topology.transit.attachments
    usable = (
        name
        for name in route.attachments
        if (found := attachments.get((gateway, name))) is not None and found.available
    )
    goals = (name for name in route.attachments if name in walker.goals or walker.ends.get(name))
    return next(goals, next(usable, route.attachments[0]))


def _from_attachment(
    walker: Walker, far: AttachmentRecord, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    if far.kind == "vpc" and far.resource in walker.topology.vpcs:
        if not far.group_references:
            trail = trail._replace(origin=())
        yield from enter_by_attachment(walker, far, bundle, trail.over(far.resource))
    elif far.kind == "peering" and (peer := walker.topology.transit.peer_of(far)) is not None:
        trail = trail.over(peer.gateway).through(peer.gateway, TRANSIT)._replace(origin=())
        yield from by_transit_gateway(walker, peer, bundle, trail)
    else:
        if far.kind in ("vpc", "peering"):
            trail = trail.noting(f"not accounted for: {far.resource}, which is not in the answers")
        elif far.kind not in ("vpn", "direct-connect-gateway"):
            trail = trail.noting(f"not accounted for: what lies behind {far.id} ({far.kind})")
        yield PacketOutcome(Verdict.EXITS_NETWORK, bundle, trail.over(far.resource), far.id)


def enter_by_attachment(
    walker: Walker, attachment: AttachmentRecord, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    """Into a VPC from a transit gateway's interfaces: by their subnets' ACLs and route tables.

    The gateway keeps to the sender's zone if the attachment is in it. Where the zone is not known,
    what one of the attachment's subnets lets in counts. No ACL sees what the gateway brings into
    the subnet of its own interface [transit gateway guide, "Network ACLs"].
    """
    if walker.family == IPV6 and not attachment.ipv6:
        yield ended(Verdict.NULL_ROUTED, bundle, trail, (attachment.id, ATTACHMENT, None))
        return
    topology, vpc = walker.topology, attachment.resource
    known = [name for name in sorted(attachment.subnets) if name in topology.subnets]
    if not known:
        yield from walker.in_vpc(vpc, bundle, trail)
        return
    for pair, subnet in topology.subnet_blocks(vpc, walker.family).within(bundle.dst):
        part = bundle._replace(dst=(pair,))
        for name in _entries(walker, known, subnet, trail.zone):
            if name == subnet:
                yield from walker.deliver(subnet, part, trail.over(subnet).through(subnet, SUBNET))
            else:
                yield from _onward(walker, Place(vpc, name), part, trail)


def _entries(walker: Walker, known: list[str], subnet: str | None, zone: str) -> list[str]:
    """The attachment's subnets by which a sender's packets may enter: one of each kind."""
    topology = walker.topology
    zones = [zone] if not subnet else [zone, topology.zone_of(subnet)]
    if zone:
        for preferred in zones:
            of_zone = [name for name in known if topology.zone_of(name) == preferred]
            if of_zone:
                return of_zone[:1]
    kinds = {
        (topology.acl_of_subnet(name), topology.table_of_subnet(name), name == subnet): name
        for name in known
    }
    return sorted(kinds.values())


def _onward(walker: Walker, place: Place, bundle: Bundle, trail: Trail) -> Iterator[PacketOutcome]:
    """From an attachment's subnet, by its ACL and its route table."""
    acl = walker.topology.acl_of_subnet(place.subnet)
    permitted = walker.filters.acl(acl, EGRESS, walker.family, walker.protocol)
    if walker.explain and bundle.without(permitted, by_source=False):
        yield ended(Verdict.DENIED_IN, bundle, trail, (acl, ACL, None))
    table = walker.topology.table_of_subnet(place.subnet)
    for part in bundle.to(permitted):
        yield from _by_table_of_attachment(walker, table, place, part, trail)


def _by_table_of_attachment(
    walker: Walker, table: str, place: Place, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    """The hop of the VPC is in the trail already: local routes add it once."""
    for pair, route in walker.routing.table(table, walker.family).within(bundle.dst):
        part = bundle._replace(dst=(pair,))
        if route is None or route.kind == "local":
            yield from walker.in_vpc(place.vpc, part, trail)
        elif route.kind == "virtual-gateway":
            # Not edge to edge: a VPC carries nothing from one gateway to another of its gateways.
            yield ended(Verdict.NULL_ROUTED, part, trail, (place.vpc, VPC, None))
        else:
            yield from walker.cross(walker, table, place, part, trail)
