"""VPC endpoints as targets of routes: gateway endpoints, appliances and firewalls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.reachability.components.component_types import (
    ACL,
    ENDPOINT,
)
from sidelight.reachability.components.records import INGRESS
from sidelight.reachability.results import ReachabilityVerdict as Verdict
from sidelight.reachability.rules.firewall_passage import passed
from sidelight.reachability.walk.packets import PacketOutcome, Place, Trail, ended

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.reachability.addresses.bundles import Bundle
    from sidelight.reachability.components.network_firewalls import FirewallPolicy
    from sidelight.reachability.components.records import RouteRecord
    from sidelight.reachability.walk.walker import Walker


def endpoint_route(
    walker: Walker, route: RouteRecord, place: Place, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    """Through an endpoint: out to a service, or through an appliance or a firewall."""
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
    # A group's members are not known by their group behind an appliance [VPC guide, "Security group
    # referencing"].
    trail = trail._replace(origin=())
    parts = [bundle]
    if place.subnet != subnet:  # within a subnet no network ACL is met
        acl = walker.topology.acl_of_subnet(subnet)
        permitted = walker.filters.acl(acl, INGRESS, walker.family, walker.protocol)
        trail = trail.through(acl, ACL)
        parts = list(bundle.coming_from(permitted))
        if walker.explain and bundle.without(permitted, by_source=True):
            yield ended(Verdict.DENIED_IN, bundle, trail, (acl, ACL, None))
    trail = trail.through(name, ENDPOINT)
    policy = walker.topology.firewalls.by_endpoint.get(name)
    if policy is None:
        trail = trail.noting(f"not accounted for: what the appliance behind {name} filters")
    for part in parts:
        if policy is None:
            yield from walker.from_within(subnet, part, trail)
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
        yield from walker.from_within(place.subnet, part, trail)
