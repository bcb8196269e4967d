"""Where routes lead: gateways, peerings, transit gateways and endpoints, as steps of the walker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.reachability import intervals
from sidelight.reachability.component_types import (
    ACL,
    ATTACHMENT,
    EGRESS_ONLY_GATEWAY,
    ENDPOINT,
    INTERFACE,
    INTERNET_GATEWAY,
    NAT,
    PEERING,
    SUBNET,
    TABLE,
    TRANSIT,
    TRANSIT_TABLE,
    VIRTUAL_GATEWAY,
    VPC,
)
from sidelight.reachability.internet import INTERNET
from sidelight.reachability.network_firewalls import passed
from sidelight.reachability.packets import Bundle, PacketOutcome, Place, Trail, ended
from sidelight.reachability.prefixes import IPV4, IPV6
from sidelight.reachability.records import EGRESS, INGRESS
from sidelight.reachability.results import ReachabilityVerdict as Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidelight.reachability.network_firewalls import FirewallPolicy
    from sidelight.reachability.records import AttachmentRecord, InterfaceRecord, RouteRecord
    from sidelight.reachability.walker import Walker

    Crossing = Callable[[Walker, RouteRecord, Place, Bundle, Trail], Iterator[PacketOutcome]]

_NAT_PROTOCOLS: Final = (1, 6, 17)


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


def _internet_gateway(
    walker: Walker, route: RouteRecord, place: Place, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    gateway = route.target
    if gateway in walker.goals:
        yield PacketOutcome(Verdict.ACCEPTED, bundle, trail, gateway)
        return
    trail = trail.over(place.vpc, gateway)._replace(origin=())
    topology = walker.topology
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
        yield from _out(walker, gateway, bundle._replace(src=public), trail)


def _out(walker: Walker, gateway: str, bundle: Bundle, trail: Trail) -> Iterator[PacketOutcome]:
    """On the internet: to a public address of the network itself, or out of what is known."""
    own = walker.topology.public_addresses(walker.family)
    inside = intervals.intersection(bundle.dst, own)
    if inside:
        yield from from_internet(walker, bundle._replace(dst=inside), trail)
    rest = intervals.difference(bundle.dst, own)
    outside = intervals.intersection(rest, INTERNET[walker.family])
    if outside:
        part = bundle._replace(dst=outside)
        yield PacketOutcome(Verdict.EXITS_NETWORK, part, trail.over("internet"), gateway)
    nowhere = intervals.difference(rest, INTERNET[walker.family])
    if nowhere and walker.explain:
        part = bundle._replace(dst=nowhere)
        yield ended(Verdict.NULL_ROUTED, part, trail, (gateway, INTERNET_GATEWAY, None))


def from_internet(walker: Walker, bundle: Bundle, trail: Trail) -> Iterator[PacketOutcome]:
    """From the internet to public addresses: by the internet gateway of each one's VPC."""
    topology = walker.topology
    for first, last in bundle.dst:
        if first != last or (owner := topology.public.get((walker.family, first))) is None:
            if walker.explain:
                part = bundle._replace(dst=((first, last),))
                yield PacketOutcome(Verdict.NULL_ROUTED, part, trail, "")
            continue
        name, own = owner
        interface = topology.interfaces[name]
        # A VPC's own addresses are never beyond its gateway: they are routed locally.
        inside = topology.vpcs[interface.vpc].blocks if interface.vpc in topology.vpcs else {}
        src = intervals.difference(bundle.src, inside.get(walker.family, ()))
        part = bundle._replace(src=src, dst=((own.number, own.number),))
        gateway = topology.internet_gateway_of(interface.vpc)
        if gateway is None:
            yield ended(Verdict.NULL_ROUTED, part, trail, (interface.vpc, VPC, None))
        elif _closed(walker, interface):
            stop = (gateway, INTERNET_GATEWAY, "BlockPublicAccess")
            yield ended(Verdict.DENIED_IN, part, trail.over(gateway), stop)
        else:
            way = trail.over(gateway).through(gateway, INTERNET_GATEWAY)
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
        yield from cross(walker, table, Place(vpc, ""), bundle, trail)


def _egress_only(
    walker: Walker, route: RouteRecord, place: Place, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    """Out to the internet over IPv6, and never in."""
    trail = trail.over(place.vpc, route.target)._replace(origin=())
    open_ = walker.topology.blocked(place.subnet) != "block-bidirectional"
    if walker.family == IPV6 and open_ and not walker.replies:
        yield from _out(walker, route.target, bundle, trail)
    else:
        stop = (route.target, EGRESS_ONLY_GATEWAY, None)
        yield ended(Verdict.DENIED_IN, bundle, trail, stop)


def _nat(
    walker: Walker, route: RouteRecord, place: Place, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    name = route.target
    nat = walker.topology.nats.get(name)
    trail = trail.over(place.vpc, name).through(name, NAT)._replace(origin=())
    if nat is None:
        trail = trail.noting(f"not accounted for: {name}, which is not in the answers")
        yield PacketOutcome(Verdict.EXITS_NETWORK, bundle, trail, name)
        return
    usable = nat.available and nat.address is not None
    if walker.family != IPV4 or walker.protocol not in _NAT_PROTOCOLS or walker.replies:
        yield ended(Verdict.DENIED_IN, bundle, trail, (name, NAT, None))
    elif not usable or nat.address is None:
        yield ended(Verdict.NULL_ROUTED, bundle, trail, (name, NAT, None))
    else:
        translated = bundle._replace(src=((nat.address, nat.address),))
        acl = walker.topology.acl_of_subnet(nat.subnet)
        permitted = walker.filters.acl(acl, INGRESS, walker.family, walker.protocol)
        came = list(bundle.coming_from(permitted))
        if place.subnet == nat.subnet:
            came = [bundle]
        if not came:
            yield ended(Verdict.DENIED_IN, bundle, trail.over(nat.subnet), (acl, ACL, None))
        for part in came:
            sent = translated._replace(ports=part.ports)
            yield from walker.from_within(nat.subnet, sent, trail)


def _peering(
    walker: Walker, route: RouteRecord, place: Place, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    name = route.target
    peering = walker.topology.peerings.get(name)
    trail = trail.over(place.vpc)
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


def _transit(
    walker: Walker, route: RouteRecord, place: Place, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    gateway, topology = route.target, walker.topology
    attachment = topology.transit.of_vpc.get((place.vpc, gateway))
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
        if gateway in walker.goals:
            yield PacketOutcome(Verdict.ACCEPTED, part, trail, gateway)
        else:
            yield from by_transit_gateway(walker, attachment, part, trail)


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
        far = transit.attachments.get((attachment.gateway, route.attachments[0]))
        if far is None:
            other = route.attachments[0]
            way = way.noting(f"not accounted for: {other}, which is not in the answers")
            yield PacketOutcome(Verdict.EXITS_NETWORK, part, way, other)
        elif not far.available:
            yield ended(Verdict.NULL_ROUTED, part, way, (far.id, ATTACHMENT, None))
        else:
            yield from _from_attachment(walker, far, part, way)


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
            yield from cross(walker, table, place, part, trail)


def _virtual_gateway(
    walker: Walker, route: RouteRecord, place: Place, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
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


def _endpoint(
    walker: Walker, route: RouteRecord, place: Place, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    name = route.target
    endpoint = walker.topology.endpoints.get(name)
    trail = trail.over(place.vpc, name)
    if endpoint is None or endpoint.kind == "Gateway":
        yield PacketOutcome(Verdict.EXITS_NETWORK, bundle, trail._replace(origin=()), name)
        return
    subnet = walker.topology.subnet_of_endpoint(endpoint)
    if not endpoint.available or subnet is None:
        yield ended(Verdict.NULL_ROUTED, bundle, trail, (name, ENDPOINT, None))
        return
    acl = walker.topology.acl_of_subnet(subnet)
    permitted = walker.filters.acl(acl, INGRESS, walker.family, walker.protocol)
    # A group's members are not known by their group behind an appliance [VPC guide, "Security group
    # referencing"].
    trail = trail.through(acl, ACL).through(name, ENDPOINT)._replace(origin=())
    if walker.explain and bundle.without(permitted, by_source=True):
        yield ended(Verdict.DENIED_IN, bundle, trail, (acl, ACL, None))
    policy = walker.topology.firewalls.by_endpoint.get(name)
    if policy is None:
        trail = trail.noting(f"not accounted for: what the appliance behind {name} filters")
    for part in bundle.coming_from(permitted):
        if policy is None:
            yield from walker.leave_subnet(subnet, part, trail)
        else:
            yield from _firewall(walker, policy, Place(name, subnet), part, trail)


def _firewall(
    walker: Walker, policy: FirewallPolicy, place: Place, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    """Through a firewall; `place` has the endpoint and its subnet."""
    through, whole = passed(policy, bundle, walker.family, walker.protocol, replies=walker.replies)
    trail = trail.noting(*policy.notes)
    if not whole:
        trail = trail.noting(f"not accounted for: the last of the too many rules of {place.vpc}")
    if not through and walker.explain:
        yield ended(Verdict.DENIED_IN, bundle, trail, (place.vpc, ENDPOINT, None))
    for part in through:
        yield from walker.leave_subnet(place.subnet, part, trail)


def _interface(
    walker: Walker, route: RouteRecord, place: Place, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    """To an interface that is no packet's destination: an appliance of the network's own."""
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
    "internet-gateway": _internet_gateway,
    "egress-only-internet-gateway": _egress_only,
    "nat-gateway": _nat,
    "peering": _peering,
    "transit-gateway": _transit,
    "virtual-gateway": _virtual_gateway,
    "endpoint": _endpoint,
    "network-interface": _interface,
    "instance": _interface,
}
