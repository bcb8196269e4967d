"""The packets that an edge lets into a subnet and whose answers get back, once a subnet."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sidelight.model.software import Problem
from sidelight.reachability.addresses import intervals, port_maps
from sidelight.reachability.addresses.bundles import Bundle
from sidelight.reachability.crossings.routes import cross
from sidelight.reachability.findings.edges import enter, left_by
from sidelight.reachability.results import ReachabilityVerdict as Verdict
from sidelight.reachability.walk.packets import Trail
from sidelight.reachability.walk.replies import reply_ports, reply_to
from sidelight.reachability.walk.translated_answers import behind_nats
from sidelight.reachability.walk.walker import BRANCH_LIMIT, Walker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.reachability.addresses.intervals import Intervals
    from sidelight.reachability.addresses.port_maps import PortMap
    from sidelight.reachability.findings.network_edge import NetworkEdge
    from sidelight.reachability.graph.routing import Routing
    from sidelight.reachability.graph.topology import Topology
    from sidelight.reachability.rules.filters import Filters
    from sidelight.reachability.walk.packets import PacketOutcome

# Which of a subnet's bundles have an address: those that arrive, those of answers, and those that
# arrive from a NAT gateway.
AddressClass = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


class Admission(NamedTuple):
    """The (source address, port) pairs that get into a subnet by an edge and are answered.

    `origin` are the VPCs whose security group members the sources are, `trail` the way. Behind a
    NAT gateway the sources are its address, and `senders` those who have sent the packets.
    """

    permitted: PortMap
    origin: tuple[str, ...]
    trail: Trail
    senders: Intervals | None = None

    def opened_by(self, groups: PortMap) -> PortMap:
        """The (sender's address, port) pairs that a security group's rules let in as well."""
        permitted = port_maps.intersection(self.permitted, groups)
        if self.senders is None:
            return permitted
        ports = intervals.of((low, high) for low, high, _ in permitted)
        return port_maps.on_ports(ports, self.senders)


class _TranslatedWay(NamedTuple):
    """A bundle that a NAT gateway has sent on, and the answers that get back to its senders."""

    arriving: PacketOutcome
    answering: list[PacketOutcome]

    def has(self, number: int) -> bool:
        return intervals.contains(self.arriving.bundle.dst, number) and any(
            intervals.contains(one.bundle.src, number) for one in self.answering
        )


class _SubnetBundles(NamedTuple):
    arriving: list[PacketOutcome]
    answering: list[PacketOutcome]
    translated: list[_TranslatedWay]
    uniform: AddressClass | None  # the class of all addresses, if they are all of one


class Admissions:
    """The admissions of edges to subnets, worked out at most once each.

    Addresses of a subnet that the same bundles reach are of one class: they differ in nothing but
    their interfaces' security groups. Nearly every subnet has one class. `evaluations` counts the
    walks.
    """

    def __init__(self, topology: Topology, filters: Filters, routing: Routing) -> None:
        self._topology = topology
        self._filters = filters
        self._routing = routing
        self._bundles: dict[tuple[object, str, int, int], _SubnetBundles] = {}
        self._admissions: dict[tuple[object, ...], list[Admission]] = {}
        self.problems: set[Problem] = set()
        self.evaluations = 0

    def forget(self) -> None:
        """Free what was worked out."""
        self._bundles.clear()
        self._admissions.clear()

    def class_of(
        self, edge: NetworkEdge, subnet: str, family: int, protocol: int, number: int
    ) -> AddressClass:
        """The class of an address of a subnet: equal classes have equal admissions."""
        found = self._of(edge, subnet, family, protocol)
        if found.uniform is not None:
            return found.uniform
        return (
            tuple(
                index
                for index, outcome in enumerate(found.arriving)
                if intervals.contains(outcome.bundle.dst, number)
            ),
            tuple(
                index
                for index, outcome in enumerate(found.answering)
                if intervals.contains(outcome.bundle.src, number)
            ),
            tuple(index for index, way in enumerate(found.translated) if way.has(number)),
        )

    def admissions(
        self, edge: NetworkEdge, subnet: str, family: int, protocol: int, of: AddressClass
    ) -> list[Admission]:
        """The packets that get to the addresses of a class and back, by origin and way."""
        key = (edge.way, subnet, family, protocol, of)
        found = self._admissions.get(key)
        if found is None:
            bundles = self._of(edge, subnet, family, protocol)
            found = self._admissions[key] = _joined(
                [bundles.arriving[index] for index in of[0]],
                [bundles.answering[index] for index in of[1]],
            )
            for index in of[2]:
                found.extend(_translated(bundles.translated[index]))
        return found

    def _of(self, edge: NetworkEdge, subnet: str, family: int, protocol: int) -> _SubnetBundles:
        key = (edge.way, subnet, family, protocol)
        found = self._bundles.get(key)
        if found is None:
            self.evaluations += 1
            found = self._bundles[key] = self._walk(edge, subnet, family, protocol)
        return found

    def _walk(self, edge: NetworkEdge, subnet: str, family: int, protocol: int) -> _SubnetBundles:
        own = self._topology.subnets[subnet].blocks.get(family, ())
        sources = edge.sources.get(family, ())
        if not own or not sources:
            return _SubnetBundles([], [], [], ((), (), ()))
        parts = (self._topology, self._filters, self._routing, cross, family, protocol)
        inward = Walker(*parts, only_to_subnets=True, explain=False)
        entered = list(enter(edge, inward, own))
        inside = [one for one in entered if one.at == subnet and one.bundle.src]
        arriving = [one for one in inside if not one.trail.senders]
        for outcome in entered:
            if outcome.verdict == Verdict.EXITS_NETWORK:
                # Packets for the subnet end at an appliance, or at what no answer has.
                notes = (note for note in outcome.trail.notes if note not in edge.notes)
                self.problems.update(Problem(subnet, note) for note in notes)
        self._note_limit(inward, subnet)
        outward = Walker(
            *parts, replies=True, goals=edge.goals, explain=False,
            ends=edge.ends(self._topology, family),
        )  # fmt: skip
        answers = Bundle(own, sources, reply_ports(protocol))
        leaving = outward.leave_subnet(subnet, answers, Trail())
        answering = list(left_by(outward, leaving))
        translated = [
            _TranslatedWay(one, _answers_to_senders(outward, subnet, one))
            for one in inside
            if one.trail.senders
        ]
        self._note_limit(outward, subnet)
        uniform: AddressClass | None = None
        if (
            not translated
            and all(outcome.bundle.dst == own for outcome in arriving)
            and all(outcome.bundle.src == own for outcome in answering)
        ):
            uniform = (tuple(range(len(arriving))), tuple(range(len(answering))), ())
        return _SubnetBundles(arriving, answering, translated, uniform)

    def _note_limit(self, walker: Walker, subnet: str) -> None:
        if walker.branches[0] > BRANCH_LIMIT:
            self.problems.add(
                Problem(subnet, "too many paths to or from this subnet: not all are evaluated")
            )


def _answers_to_senders(
    outward: Walker, subnet: str, arrived: PacketOutcome
) -> list[PacketOutcome]:
    """The answers to a NAT gateway's packets that leave by the edge to those who sent them."""
    answers = reply_to(arrived.bundle, outward.protocol)
    to_nat = list(outward.from_within(subnet, answers, Trail()))
    return list(left_by(outward, behind_nats(outward, arrived.trail, to_nat)))


def _translated(way: _TranslatedWay) -> Iterator[Admission]:
    """What a NAT gateway sends into a subnet: the sources are its address."""
    arriving = way.arriving
    arrived = port_maps.on_ports(arriving.bundle.ports, arriving.bundle.src)
    for one in way.answering:
        answered = port_maps.on_ports(one.bundle.src_ports, arriving.bundle.src)
        permitted = port_maps.intersection(arrived, answered)
        trail = arriving.trail.noting(*one.trail.notes)
        if permitted:
            yield Admission(permitted, trail.origin, trail, one.bundle.dst)


def _with_answers(answering: list[PacketOutcome], client_ports: Intervals) -> PortMap:
    """The (source address, port) pairs whose answers get back to some of the clients' ports."""
    return port_maps.union_all(
        port_maps.on_ports(outcome.bundle.src_ports, outcome.bundle.dst)
        for outcome in answering
        if intervals.intersection(outcome.bundle.ports, client_ports)
    )


def _joined(arriving: list[PacketOutcome], answering: list[PacketOutcome]) -> list[Admission]:
    """The bundles that arrive and are answered, joined where they have come by the same way."""
    notes = dict.fromkeys(note for outcome in answering for note in outcome.trail.notes)
    by_clients: dict[Intervals, PortMap] = {}
    joined: dict[tuple[object, ...], tuple[Trail, list[PortMap]]] = {}
    for outcome in arriving:
        arrived = port_maps.on_ports(outcome.bundle.ports, outcome.bundle.src)
        # Nothing but a firewall's stateless rules looks at the clients' ports.
        clients = outcome.bundle.src_ports
        if clients not in by_clients:
            by_clients[clients] = _with_answers(answering, clients)
        ports = port_maps.intersection(arrived, by_clients[clients])
        trail = outcome.trail.noting(*notes)
        key = (trail.hops, trail.components, trail.notes, trail.origin)
        joined.setdefault(key, (trail, []))[1].append(ports)
    admissions = [
        Admission(port_maps.union_all(parts), trail.origin, trail)
        for trail, parts in joined.values()
    ]
    return [admission for admission in admissions if admission.permitted]
