"""A bundle of packets carried through a network, hop by hop: the semantics of AWS's networks.

The walker splits a bundle wherever a filter or a route treats some of its packets otherwise, so
that each outcome holds for all packets of its bundle. It never samples. docs/reachability.md has
the rules with their sources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sidelight.reachability.addresses import intervals
from sidelight.reachability.addresses.bundles import Bundle
from sidelight.reachability.components.component_types import (
    ACL,
    GROUP,
    INTERFACE,
    NAT,
    SUBNET,
    VPC,
)
from sidelight.reachability.components.records import EGRESS, INGRESS
from sidelight.reachability.results import ReachabilityVerdict as Verdict
from sidelight.reachability.walk.packets import PacketOutcome, Place, Trail, ended

if TYPE_CHECKING:
    from sidelight.reachability.addresses.intervals import Intervals
    from sidelight.reachability.addresses.port_maps import PortMap
    from sidelight.reachability.components.records import FilterRule, InterfaceRecord
    from sidelight.reachability.graph.routing import Routing
    from sidelight.reachability.graph.topology import Topology
    from sidelight.reachability.rules.filters import Filters

STEP_LIMIT: Final = 40  # hops of one path: 10 transit gateways; a longer one is a loop
BRANCH_LIMIT: Final = 20_000  # times that one question's packets are routed

Cross = Callable[["Walker", str, Place, Bundle, Trail], Iterator[PacketOutcome]]
"""Carries a bundle from a place to the targets of the routes of a table."""


@dataclass(frozen=True, slots=True)
class Walker:
    """Carries bundles of one family and protocol.

    With `replies` the packets are answers: security groups, which are stateful, let them pass, and
    they end in front of an object of `goals`, or of one of `ends` that has their addresses behind
    it. `sessions` are the egress-only gateways, by VPC, by which they were asked for. With
    `only_to_subnets` a bundle ends as ACCEPTED when it is in a subnet, before any interface's own
    filters. With `explain` the refused parts are outcomes too; without it only those that arrive
    are, which is faster.
    """

    topology: Topology
    filters: Filters
    routing: Routing
    cross: Cross
    family: int
    protocol: int
    replies: bool = False
    goals: frozenset[str] = frozenset()
    ends: Mapping[str, Intervals] = field(default_factory=dict)
    only_to_subnets: bool = False
    explain: bool = True
    sessions: Mapping[str, str] = field(default_factory=dict)
    branches: list[int] = field(default_factory=lambda: [0])

    # From an interface outwards.

    def leave_interface(
        self, interface: InterfaceRecord, bundle: Bundle, trail: Trail
    ) -> Iterator[PacketOutcome]:
        """From an interface: its security groups' egress rules, then its own subnet or beyond."""
        trail = trail.over(interface.instance or interface.id)._replace(origin=(interface.vpc,))
        if self.replies or not interface.groups:
            parts = [bundle]
        else:
            scope = self.topology.group_scope(interface.vpc)
            permitted = self.filters.groups(
                interface.groups, EGRESS, self.family, self.protocol, scope
            )
            parts = list(bundle.to(permitted))
            if self.explain and bundle.without(permitted, by_source=False):
                stop = (interface.groups[0], GROUP, None)
                yield ended(Verdict.DENIED_OUT, bundle, self._noted(trail, interface, EGRESS), stop)
            trail = self._noted(trail, interface, EGRESS)
        for part in parts:
            yield from self.from_within(interface.subnet, part, trail)

    def from_within(self, subnet: str, bundle: Bundle, trail: Trail) -> Iterator[PacketOutcome]:
        """From a host of a subnet: within it straight, without a route or an ACL, or beyond it."""
        record = self.topology.subnets.get(subnet)
        near = record.blocks.get(self.family, ()) if record else ()
        inside = intervals.intersection(bundle.dst, near)
        if inside:
            yield from self.deliver(subnet, bundle._replace(dst=inside), trail)
        outside = intervals.difference(bundle.dst, near)
        if outside:
            yield from self.leave_subnet(subnet, bundle._replace(dst=outside), trail)

    def leave_subnet(self, subnet: str, bundle: Bundle, trail: Trail) -> Iterator[PacketOutcome]:
        """Out of a subnet: its network ACL's egress entries, then its route table."""
        trail = trail.over(subnet)
        acl = self.topology.acl_of_subnet(subnet)
        trail = trail.through(subnet, SUBNET).through(acl, ACL)
        trail = trail.noting(*self.filters.notes(acl, EGRESS))
        permitted = self.filters.acl(acl, EGRESS, self.family, self.protocol)
        if self.explain and (denied := bundle.without(permitted, by_source=False)):
            rule = self._deciding(acl, EGRESS, denied)
            yield ended(Verdict.DENIED_OUT, bundle, trail, (acl, ACL, rule))
        for part in bundle.to(permitted):
            yield from self.route(subnet, part, trail)

    def route(self, subnet: str, bundle: Bundle, trail: Trail) -> Iterator[PacketOutcome]:
        """By a subnet's route table to the targets of its routes."""
        table = self.topology.table_of_subnet(subnet)
        record = self.topology.subnets.get(subnet)
        place = Place(record.vpc if record else "", subnet)
        yield from self.cross(self, table, place, bundle, trail)

    # Towards an interface.

    def in_vpc(self, vpc: str, bundle: Bundle, trail: Trail) -> Iterator[PacketOutcome]:
        """Within a VPC, by its local routes: to the subnets that have the destinations."""
        if self.exhausted(trail):
            yield self.looped(vpc, bundle, trail)
            return
        for pair, subnet in self.topology.subnet_blocks(vpc, self.family).within(bundle.dst):
            part = bundle._replace(dst=(pair,))
            if subnet is not None:
                yield from self.enter_subnet(subnet, part, trail)
            elif self.explain:
                yield ended(Verdict.NULL_ROUTED, part, trail, (vpc, VPC, None))

    def enter_subnet(self, subnet: str, bundle: Bundle, trail: Trail) -> Iterator[PacketOutcome]:
        """Into a subnet: its network ACL's ingress entries, then the interface."""
        trail = trail.over(subnet)
        acl = self.topology.acl_of_subnet(subnet)
        trail = trail.through(subnet, SUBNET).through(acl, ACL)
        trail = trail.noting(*self.filters.notes(acl, INGRESS))
        yield from self.behind_acl(subnet, acl, bundle, trail)

    def behind_acl(
        self, subnet: str, acl: str, bundle: Bundle, trail: Trail
    ) -> Iterator[PacketOutcome]:
        """Deliver the packets that a network ACL lets into a subnet."""
        permitted = self.filters.acl(acl, INGRESS, self.family, self.protocol)
        if self.explain and (denied := bundle.without(permitted, by_source=True)):
            rule = self._deciding(acl, INGRESS, denied)
            yield ended(Verdict.DENIED_IN, bundle, trail, (acl, ACL, rule))
        for part in bundle.coming_from(permitted):
            yield from self.deliver(subnet, part, trail)

    def deliver(self, subnet: str, bundle: Bundle, trail: Trail) -> Iterator[PacketOutcome]:
        """Within a subnet, to the interfaces that have the destinations."""
        if self.only_to_subnets:
            yield PacketOutcome(Verdict.ACCEPTED, bundle, trail, subnet)
            return
        record = self.topology.subnets.get(subnet)
        vpc = record.vpc if record else ""
        for first, last in bundle.dst:
            if first != last:
                # Only answers and questions from a whole subnet have so many destinations.
                yield PacketOutcome(Verdict.ACCEPTED, bundle, trail, subnet)
                return
            name = self.topology.interface_at(vpc, self.family, first)
            part = bundle._replace(dst=((first, first),))
            if name is None or not self.topology.interfaces[name].attached:
                if self.explain:
                    stop = (subnet, SUBNET, None)
                    yield ended(Verdict.NEIGHBOR_UNREACHABLE, part, trail, stop)
            else:
                yield from self.enter_interface(self.topology.interfaces[name], part, trail)

    def enter_interface(
        self, interface: InterfaceRecord, bundle: Bundle, trail: Trail
    ) -> Iterator[PacketOutcome]:
        """Into an interface: its security groups' ingress rules."""
        if interface.kind == "nat_gateway" and not self.replies:
            nat = self.topology.nat_at(interface)
            trail = trail.over(nat)
            if self.explain:  # a NAT gateway drops what belongs to none of its sessions
                stop = (nat, NAT, None)
                yield ended(Verdict.DENIED_IN, bundle, trail, stop)
            return
        trail = trail.over(interface.instance or interface.id)
        if self.replies:
            yield PacketOutcome(Verdict.ACCEPTED, bundle, trail, interface.id)
            return
        permitted = self.filters.groups(
            interface.groups, INGRESS, self.family, self.protocol, trail.origin
        )
        trail = self._noted(trail, interface, INGRESS)
        if self.explain and bundle.without(permitted, by_source=True):
            group = interface.groups[0] if interface.groups else ""
            stop = (group, GROUP, None) if group else (interface.id, INTERFACE, None)
            yield ended(Verdict.DENIED_IN, bundle, trail, stop)
        for part in bundle.coming_from(permitted):
            yield PacketOutcome(Verdict.ACCEPTED, part, trail, interface.id)

    # What steps share.

    def exhausted(self, trail: Trail) -> bool:
        """Whether a path is too long, or a question has too many; counts the question's steps."""
        self.branches[0] += 1
        return trail.steps > STEP_LIMIT or self.branches[0] > BRANCH_LIMIT

    def looped(self, id_: str, bundle: Bundle, trail: Trail) -> PacketOutcome:
        """The outcome of a path that is too long to be one, or one too many."""
        what = (
            f"the path goes on after {STEP_LIMIT} hops"
            if trail.steps > STEP_LIMIT
            else f"paths beyond the first {BRANCH_LIMIT} steps"
        )
        trail = trail.noting(f"not accounted for: {what}")
        return ended(Verdict.NULL_ROUTED, bundle, trail, (id_, VPC, None))

    def _noted(self, trail: Trail, interface: InterfaceRecord, direction: str) -> Trail:
        for group in interface.groups:
            trail = trail.noting(*self.filters.notes(group, direction))
        return trail.through(",".join(interface.groups), GROUP)

    def _deciding(self, acl: str, direction: str, denied: PortMap) -> str | None:
        """The id of the entry that denies the first of the refused packets."""
        record = self.topology.acls.get(acl)
        port, _, addresses = denied[0]
        rule = first_rule(
            record.rules[direction] if record else (),
            self.family,
            self.protocol,
            addresses[0][0],
            port,
        )
        return rule.id if rule else None


def first_rule(
    rules: tuple[FilterRule, ...], family: int, protocol: int, number: int, port: int
) -> FilterRule | None:
    """The first of an ACL's entries that has one address and port."""
    for rule in rules:
        if (
            rule.protocol in (protocol, -1)
            and rule.first_port <= port <= rule.last_port
            and rule.block is not None
            and rule.block.family == family
            and rule.block.first <= number <= rule.block.last
        ):
            return rule
    return None
