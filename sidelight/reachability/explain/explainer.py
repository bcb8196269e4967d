"""One question answered: the path from a source to a target, or the control that stops it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

from sidelight.reachability.addresses import intervals
from sidelight.reachability.addresses.bundles import Bundle
from sidelight.reachability.addresses.prefixes import texts_of
from sidelight.reachability.components.component_types import (
    ACL,
    ATTACHMENT,
    EGRESS_ONLY_GATEWAY,
    INTERFACE,
    PEERING,
    TABLE,
    TRANSIT,
    TRANSIT_TABLE,
)
from sidelight.reachability.components.records import EGRESS, GatewayRecord
from sidelight.reachability.crossings.internet import BACKBONE, enter_by_gateway, from_internet
from sidelight.reachability.crossings.routes import cross
from sidelight.reachability.crossings.transit import by_transit_gateway
from sidelight.reachability.results import EdgeKind, Explanation, Stop
from sidelight.reachability.results import ReachabilityVerdict as Verdict
from sidelight.reachability.walk.packets import PacketOutcome, Trail, ended
from sidelight.reachability.walk.replies import reply_ports, reply_to
from sidelight.reachability.walk.translated_answers import behind_nats, nats_passed
from sidelight.reachability.walk.walker import Walker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sidelight.reachability.addresses.intervals import Intervals
    from sidelight.reachability.components.records import AttachmentRecord, InterfaceRecord
    from sidelight.reachability.explain.questions import PacketSource, PacketTarget
    from sidelight.reachability.findings.balanced_ports import BalancedPorts
    from sidelight.reachability.graph.routing import Routing
    from sidelight.reachability.graph.topology import Topology
    from sidelight.reachability.rules.filters import Filters

_NO_GATEWAY = GatewayRecord("", "", ())
_EDGES = ("internet", "gateway", "attachment", "peering")
_ARRIVED = (Verdict.ACCEPTED, Verdict.EXITS_NETWORK)


class Explainer:
    """Answers questions about one network."""

    def __init__(
        self,
        topology: Topology,
        filters: Filters,
        routing: Routing,
        balanced_ports: BalancedPorts,
    ) -> None:
        self._topology = topology
        self._filters = filters
        self._routing = routing
        self._balanced_ports = balanced_ports

    def explain(
        self, sources: Iterable[PacketSource], targets: list[PacketTarget], protocol: int, port: int
    ) -> Explanation:
        """The first pair of a source and a target that works, else the one that gets furthest."""
        best: Explanation | None = None
        for source in sources:
            for target in targets:
                if source.family != target.family or (
                    source.kind == "internet" and target.private and target.family == 4
                ):
                    continue
                found = self._one(source, target, protocol, port)
                if found.reachable:
                    return found
                if best is None or len(found.hops) > len(best.hops):
                    best = found
        if best is None:
            note = "the target has no address that the source could send to"
            return Explanation(False, Verdict.NULL_ROUTED, (), None, (note,))
        return best

    def through_load_balancers(
        self,
        sources: Iterable[PacketSource],
        interfaces: Iterable[InterfaceRecord],
        protocol: int,
        port: int,
    ) -> Explanation | None:
        """A path from the internet or a gateway by a load balancer to a port of an interface.

        None if there is none. The port is the target's own, not the listener's.
        """
        wanted = list(sources)
        through: Explanation | None = None
        arrived: intervals.Intervals = ()
        for interface in interfaces:
            for edge, family, number, ranges in self._balanced_ports.of(interface):
                for source, found in product(wanted, ranges):
                    from_it = edge.goal in (source.id, source.via) or (
                        source.kind == "internet" and edge.kind == EdgeKind.INTERNET_GATEWAY
                    )
                    src = intervals.intersection(source.addresses, found.sources)
                    fits = number == protocol and found.first <= port <= found.last
                    if not (from_it and fits and src and source.family == family):
                        continue
                    if through is None:
                        start = () if source.kind != "internet" else ("internet", BACKBONE)
                        hops = (*start, *found.trail.hops, interface.instance or interface.id)
                        through = Explanation(True, Verdict.ACCEPTED, hops, None, found.trail.notes)
                        of_family = family
                    if family == of_family:
                        arrived = intervals.union(arrived, src)
        return through and replace(through, sources=texts_of(of_family, arrived))

    def _one(
        self, source: PacketSource, target: PacketTarget, protocol: int, port: int
    ) -> Explanation:
        walker = Walker(
            self._topology, self._filters, self._routing, cross, target.family, protocol
        )
        to = ((target.number, target.number),)
        bundle = Bundle(source.addresses, to, ((port, port),), reply_ports(protocol))
        outcomes = list(self._start(walker, source, bundle))
        arrived = [outcome for outcome in outcomes if outcome.verdict in _ARRIVED]
        failed: PacketOutcome | None = None
        for outcome in arrived:
            back, lost = self._returning(walker, source, outcome)
            if back:
                return Explanation(
                    True,
                    outcome.verdict,
                    outcome.trail.hops,
                    None,
                    outcome.trail.notes,
                    texts_of(target.family, back),
                )
            failed = failed or _unanswered(outcome, lost)
        if failed is None:
            failed = max(outcomes, key=lambda outcome: len(outcome.trail.hops), default=None)
        if failed is None:
            return Explanation(False, Verdict.NULL_ROUTED, (source.id,), None)
        return Explanation(
            False, failed.verdict, failed.trail.hops, failed.stop, failed.trail.notes
        )

    def _start(
        self, walker: Walker, source: PacketSource, bundle: Bundle
    ) -> Iterator[PacketOutcome]:
        topology = self._topology
        if source.kind == "interface":
            yield from walker.leave_interface(topology.interfaces[source.id], bundle, Trail())
        elif source.kind == "internet":
            yield from from_internet(walker, bundle, Trail(("internet",)))
        elif source.kind == "vpc":
            trail = Trail((source.id,), origin=(source.id,))
            yield from walker.in_vpc(source.id, bundle, trail)
        elif source.kind == "subnet":
            yield from self._from_subnet(walker, source, bundle)
        elif source.kind == "attachment":
            attachment = topology.transit.attachments[source.via, source.id]
            yield from self._from_attachment(walker, attachment, bundle)
        elif source.kind == "peering":
            yield from self._from_peering(walker, source, bundle)
        else:
            trail = Trail((source.id,))
            if not topology.links_of(source.id):
                stop = (source.id, "AWS::EC2::VPNGateway", None)
                yield ended(Verdict.NULL_ROUTED, bundle, trail, stop)
                return
            for vpc in topology.gateways[source.id].vpcs:
                yield from enter_by_gateway(walker, source.id, vpc, bundle, trail)

    def _from_attachment(
        self, walker: Walker, attachment: AttachmentRecord, bundle: Bundle
    ) -> Iterator[PacketOutcome]:
        """From behind a transit gateway's attachment, as of a VPN: by its associated table."""
        named = attachment.group_references and attachment.kind == "vpc"
        trail = Trail(
            tuple(filter(None, (attachment.resource, attachment.gateway))),
            origin=(attachment.resource,) if named else (),
        ).through(attachment.gateway, TRANSIT)
        if attachment.available:
            yield from by_transit_gateway(walker, attachment, bundle, trail)
        else:
            yield ended(Verdict.NULL_ROUTED, bundle, trail, (attachment.id, ATTACHMENT, None))

    def _from_peering(
        self, walker: Walker, source: PacketSource, bundle: Bundle
    ) -> Iterator[PacketOutcome]:
        """Into the VPC at the near end of a peering connection, whatever the far end's routes."""
        peering = self._topology.peerings[source.id]
        trail = Trail((source.id,)).through(source.id, PEERING)
        if not peering.active:
            yield ended(Verdict.NULL_ROUTED, bundle, trail, (source.id, PEERING, None))
            return
        near, far = peering.sides if peering.sides[0].vpc == source.via else peering.sides[::-1]
        if near.region == far.region:
            trail = trail._replace(origin=(far.vpc,))
        yield from walker.in_vpc(near.vpc, bundle, trail.over(near.vpc))

    def _from_subnet(
        self, walker: Walker, source: PacketSource, bundle: Bundle
    ) -> Iterator[PacketOutcome]:
        """From the router of a subnet: to its own interfaces, or out of it."""
        record = self._topology.subnets[source.id]
        trail = Trail(origin=(record.vpc,))
        inside = intervals.intersection(bundle.dst, record.blocks.get(walker.family, ()))
        if inside:
            yield from walker.deliver(source.id, bundle._replace(dst=inside), trail.over(source.id))
        outside = intervals.difference(bundle.dst, inside)
        if outside:
            yield from walker.leave_subnet(source.id, bundle._replace(dst=outside), trail)

    def _returning(
        self, walker: Walker, source: PacketSource, arrived: PacketOutcome
    ) -> tuple[Intervals, list[PacketOutcome]]:
        """The source addresses that have their answers, and where other answers are lost."""
        if arrived.verdict == Verdict.EXITS_NETWORK:
            return self._answered_from_outside(walker, source, arrived)
        interface = self._topology.interfaces.get(arrived.at)
        if interface is None:
            return arrived.bundle.src, []
        answers = reply_to(arrived.bundle, walker.protocol)
        # The component by which the packets enter: from the internet, the first one behind it.
        goal = arrived.trail.components[0].id if source.kind == "internet" else source.id
        back = Walker(
            self._topology,
            self._filters,
            self._routing,
            cross,
            walker.family,
            walker.protocol,
            replies=True,
            goals=frozenset({goal}) if source.kind in _EDGES else frozenset(),
            only_to_subnets=source.kind == "subnet",
            sessions=self._sessions(arrived),
        )
        if source.kind == "vpc":
            return self._past_own_acl(interface, answers, walker)
        if source.id == interface.subnet:
            return arrived.bundle.src, []
        outcomes = list(back.leave_interface(interface, answers, Trail()))
        outcomes = behind_nats(back, arrived.trail, outcomes)
        returned = [one for one in outcomes if one.verdict == Verdict.ACCEPTED and one.at == goal]
        return intervals.of(pair for one in returned for pair in one.bundle.dst), outcomes

    def _sessions(self, arrived: PacketOutcome) -> dict[str, str]:
        """The egress-only gateways by which packets have left their VPCs, by VPC."""
        return {
            vpc: one.id
            for one in arrived.trail.components
            if one.type == EGRESS_ONLY_GATEWAY
            for vpc in self._topology.gateways.get(one.id, _NO_GATEWAY).vpcs
        }

    def _answered_from_outside(
        self, walker: Walker, source: PacketSource, arrived: PacketOutcome
    ) -> tuple[Intervals, list[PacketOutcome]]:
        """Whether an interface's packets to the internet are answered, also through NAT.

        Of other ways out nothing is known behind them.
        """
        itself = self._topology.interfaces.get(source.id)
        if itself is None or arrived.trail.hops[-1] != "internet":
            return arrived.bundle.src, []
        back = replace(walker, replies=True, branches=[0])
        answers = reply_to(arrived.bundle, walker.protocol)
        if nats_passed(arrived.trail):
            to_nat = list(from_internet(back, answers, Trail()))
            outcomes = behind_nats(back, arrived.trail, to_nat)
        elif self._topology.gateways.get(arrived.at, _NO_GATEWAY).kind == "internet-gateway":
            outcomes = list(from_internet(back, answers, Trail()))
        else:
            outcomes = list(back.in_vpc(itself.vpc, answers, Trail((itself.vpc,))))
        back_again = any(
            one.verdict == Verdict.ACCEPTED and one.at == source.id for one in outcomes
        )
        return arrived.bundle.src if back_again else (), outcomes

    def _past_own_acl(
        self, interface: InterfaceRecord, answers: Bundle, walker: Walker
    ) -> tuple[Intervals, list[PacketOutcome]]:
        """From a VPC's router: answers need only leave the target's own subnet."""
        acl = self._topology.acl_of_subnet(interface.subnet)
        permitted = self._filters.acl(acl, EGRESS, walker.family, walker.protocol)
        back = intervals.of(pair for part in answers.to(permitted) for pair in part.dst)
        trail = Trail((interface.instance or interface.id, interface.subnet))
        return back, [ended(Verdict.DENIED_OUT, answers, trail, (acl, ACL, None))]


def _unanswered(arrived: PacketOutcome, lost: list[PacketOutcome]) -> PacketOutcome:
    """A packet that arrives and has no answer: stopped where the answer is."""
    stopped = [outcome for outcome in lost if outcome.stop is not None]
    last = max(stopped, key=lambda outcome: len(outcome.trail.hops), default=None)
    note = "the packet arrives; its answer is stopped"
    if last is None:
        return arrived._replace(
            verdict=Verdict.NO_ROUTE,
            trail=arrived.trail.noting(f"{note}: no way back is known"),
            stop=_led_away(arrived, lost),
        )
    hops = " ".join(last.trail.hops)
    trail = arrived.trail.noting(f"{note} on {hops}", *last.trail.notes)
    return PacketOutcome(last.verdict, arrived.bundle, trail, last.at, last.stop)


def _led_away(arrived: PacketOutcome, lost: list[PacketOutcome]) -> Stop:
    """The route by which an answer leaves on another way than the one back."""
    for outcome in lost:
        for component in reversed(outcome.trail.components):
            if component.type in (TABLE, TRANSIT_TABLE):
                return Stop(component.id, component.type, component.rule or None)
    return Stop(arrived.at, INTERFACE, None)
