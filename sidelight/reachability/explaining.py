"""One question answered: the path from a source to a target, or the control that stops it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

from sidelight.reachability import intervals
from sidelight.reachability.component_types import ACL, NAT
from sidelight.reachability.crossings import cross, enter_by_gateway, from_internet
from sidelight.reachability.packets import Bundle, PacketOutcome, Trail, ended
from sidelight.reachability.prefixes import texts_of
from sidelight.reachability.records import EGRESS, GatewayRecord
from sidelight.reachability.replies import reply_ports, reply_to
from sidelight.reachability.results import EdgeKind, Explanation
from sidelight.reachability.results import ReachabilityVerdict as Verdict
from sidelight.reachability.walker import Walker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sidelight.reachability.balanced_ports import BalancedPorts
    from sidelight.reachability.filters import Filters
    from sidelight.reachability.intervals import Intervals
    from sidelight.reachability.questions import PacketSource, PacketTarget
    from sidelight.reachability.records import InterfaceRecord
    from sidelight.reachability.routing import Routing
    from sidelight.reachability.topology import Topology

_NO_GATEWAY = GatewayRecord("", "", ())
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
        for interface in interfaces:
            for edge, family, number, ranges in self._balanced_ports.of(interface):
                for source, found in product(wanted, ranges):
                    from_it = source.id == edge.goal or (
                        source.kind == "internet" and edge.kind == EdgeKind.INTERNET_GATEWAY
                    )
                    src = intervals.intersection(source.addresses, found.sources)
                    fits = number == protocol and found.first <= port <= found.last
                    if from_it and fits and src and source.family == family:
                        start = () if source.id == edge.goal else ("internet",)
                        hops = (*start, *found.trail.hops, interface.instance or interface.id)
                        texts = texts_of(family, src)
                        return Explanation(
                            True, Verdict.ACCEPTED, hops, None, found.trail.notes, texts
                        )
        return None

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
        else:
            trail = Trail((source.id,))
            if not topology.links_of(source.id):
                stop = (source.id, "AWS::EC2::VPNGateway", None)
                yield ended(Verdict.NULL_ROUTED, bundle, trail, stop)
                return
            for vpc in topology.gateways[source.id].vpcs:
                yield from enter_by_gateway(walker, source.id, vpc, bundle, trail)

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
        # The gateway by which the packets came: from the internet it is the first hop behind it.
        goal = arrived.trail.hops[1] if source.kind == "internet" else source.id
        back = Walker(
            self._topology,
            self._filters,
            self._routing,
            cross,
            walker.family,
            walker.protocol,
            replies=True,
            goals=frozenset({goal}) if source.kind in ("internet", "gateway") else frozenset(),
            only_to_subnets=source.kind == "subnet",
        )
        if source.kind == "vpc":
            return self._past_own_acl(interface, answers, walker)
        if source.id == interface.subnet:
            return arrived.bundle.src, []
        outcomes = list(back.leave_interface(interface, answers, Trail()))
        # Behind NAT the answer's way ends at the NAT gateway, which has the session.
        translated = any(one.type == NAT for one in arrived.trail.components)
        returned = [
            outcome
            for outcome in outcomes
            if outcome.verdict == Verdict.ACCEPTED
            and (outcome.at == goal or (translated and self._is_nat(outcome.at)))
        ]
        return intervals.of(pair for one in returned for pair in one.bundle.dst), outcomes

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
        nats = [one.id for one in arrived.trail.components if one.type == NAT]
        if nats:
            outcomes = list(self._through_nat(back, nats, answers, source, itself))
        elif self._topology.gateways.get(arrived.at, _NO_GATEWAY).kind == "internet-gateway":
            outcomes = list(from_internet(back, answers, Trail()))
        else:
            outcomes = list(back.in_vpc(itself.vpc, answers, Trail((itself.vpc,))))
        back_again = any(
            one.verdict == Verdict.ACCEPTED and one.at == source.id for one in outcomes
        )
        return arrived.bundle.src if back_again else (), outcomes

    def _through_nat(
        self,
        back: Walker,
        nats: list[str],
        answers: Bundle,
        source: PacketSource,
        itself: InterfaceRecord,
    ) -> Iterator[PacketOutcome]:
        """Answers to the last NAT gateway, and if they get there from the first to the sender."""
        to_nat = list(from_internet(back, answers, Trail()))
        if not any(self._is_nat(one.at) and one.verdict == Verdict.ACCEPTED for one in to_nat):
            yield from to_nat
            return
        subnet = self._topology.nats[nats[0]].subnet
        to_sender = answers._replace(dst=source.addresses)
        if subnet == itself.subnet:
            yield from back.deliver(subnet, to_sender, Trail((nats[0],)))
        else:
            yield from back.leave_subnet(subnet, to_sender, Trail((nats[0],)))

    def _is_nat(self, name: str) -> bool:
        """Whether an answer ends at a NAT gateway, which has the session that it belongs to."""
        interface = self._topology.interfaces.get(name)
        return interface is not None and interface.kind == "nat_gateway"

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
            verdict=Verdict.NO_ROUTE, trail=arrived.trail.noting(f"{note}: no way back is known")
        )
    hops = " ".join(last.trail.hops)
    trail = arrived.trail.noting(f"{note} on {hops}", *last.trail.notes)
    return PacketOutcome(last.verdict, arrived.bundle, trail, last.at, last.stop)
