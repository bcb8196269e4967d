"""NAT gateways: out with another source address, and in with answers alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.reachability.addresses import intervals
from sidelight.reachability.addresses.prefixes import IPV4, IPV6, prefix
from sidelight.reachability.components.component_types import (
    ACL,
    NAT,
)
from sidelight.reachability.components.records import INGRESS
from sidelight.reachability.results import ReachabilityVerdict as Verdict
from sidelight.reachability.walk.packets import PacketOutcome, Place, Trail, ended

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.reachability.addresses.bundles import Bundle
    from sidelight.reachability.components.records import NatRecord, RouteRecord
    from sidelight.reachability.walk.walker import Walker

_NAT_PROTOCOLS: Final = (1, 6, 17)
_WELL_KNOWN = prefix("64:ff9b::/96")  # of NAT64 [RFC 6052]
_NAT64: Final = ((_WELL_KNOWN.first, _WELL_KNOWN.last),) if _WELL_KNOWN else ()


def nat_gateway(
    walker: Walker, route: RouteRecord, place: Place, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    """Through a NAT gateway: with its address, from its subnet. Answers end at it."""
    name = route.target
    nat = walker.topology.nats.get(name)
    trail = trail.over(place.vpc, name).through(name, NAT)._replace(origin=())
    if nat is None:
        trail = trail.noting(f"not accounted for: {name}, which is not in the answers")
        yield PacketOutcome(Verdict.EXITS_NETWORK, bundle, trail, name)
        return
    if walker.replies:
        yield from _answers(walker, nat, place, bundle, trail)
        return
    unknown = _not_modelled(walker, nat, bundle)
    if unknown and nat.available:
        yield PacketOutcome(Verdict.EXITS_NETWORK, bundle, trail.noting(unknown), name)
        return
    usable = nat.available and nat.address is not None
    if walker.family != IPV4 or walker.protocol not in _NAT_PROTOCOLS:
        yield ended(Verdict.DENIED_IN, bundle, trail, (name, NAT, None))
    elif not usable or nat.address is None:
        yield ended(Verdict.NULL_ROUTED, bundle, trail, (name, NAT, None))
    else:
        translated = bundle._replace(src=((nat.address, nat.address),))
        acl = walker.topology.acl_of_subnet(nat.subnet)
        permitted = walker.filters.acl(acl, INGRESS, walker.family, walker.protocol)
        arriving = list(bundle.coming_from(permitted))
        if place.subnet == nat.subnet:
            arriving = [bundle]
        if not arriving:
            yield ended(Verdict.DENIED_IN, bundle, trail.over(nat.subnet), (acl, ACL, None))
        for part in arriving:
            sent = translated._replace(ports=part.ports)
            way = trail._replace(senders=trail.senders or part.src)
            yield from walker.from_within(nat.subnet, sent, way)


def _answers(
    walker: Walker, nat: NatRecord, place: Place, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    """Answers end at the gateway's own address, which a route may have; it drops all others."""
    own = ((nat.address, nat.address),) if nat.available and nat.address is not None else ()
    answers = bundle._replace(dst=intervals.intersection(bundle.dst, own))
    others = bundle._replace(dst=intervals.difference(bundle.dst, own))
    if others.dst:
        yield ended(Verdict.DENIED_IN, others, trail, (nat.id, NAT, None))
    if not answers.dst:
        return
    arriving = [answers]
    if place.subnet != nat.subnet:
        acl = walker.topology.acl_of_subnet(nat.subnet)
        permitted = walker.filters.acl(acl, INGRESS, walker.family, walker.protocol)
        arriving = list(answers.coming_from(permitted))
        if not arriving:
            yield ended(Verdict.DENIED_IN, answers, trail.over(nat.subnet), (acl, ACL, None))
    for part in arriving:
        yield PacketOutcome(Verdict.ACCEPTED, part, trail, nat.id)


def _not_modelled(walker: Walker, nat: NatRecord, bundle: Bundle) -> str:
    """A note on what of a NAT gateway the model does not follow; empty if there is nothing."""
    if walker.family == IPV6 and intervals.is_subset(bundle.dst, _NAT64):
        return f"not accounted for: where {nat.id} sends IPv6 packets on as IPv4 (NAT64)"
    if walker.family == IPV4 and not nat.subnet:
        return f"not accounted for: the zones of the regional NAT gateway {nat.id}"
    return ""
