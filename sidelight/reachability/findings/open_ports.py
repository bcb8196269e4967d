"""The open ports of interfaces, edge by edge; equal interfaces are evaluated once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sidelight.reachability.addresses import intervals, port_maps
from sidelight.reachability.addresses.prefixes import IPV4, IPV6
from sidelight.reachability.components.records import INGRESS, TCP, UDP
from sidelight.reachability.findings.admissions import Admissions
from sidelight.reachability.findings.edges import edges_of
from sidelight.reachability.findings.network_edge import NetworkEdge
from sidelight.reachability.results import EdgeKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sidelight.reachability.addresses.intervals import Intervals
    from sidelight.reachability.components.records import InterfaceRecord
    from sidelight.reachability.findings.admissions import AddressClass
    from sidelight.reachability.graph.routing import Routing
    from sidelight.reachability.graph.topology import Topology
    from sidelight.reachability.rules.filters import Filters
    from sidelight.reachability.walk.packets import Trail

PROTOCOLS: Final = (TCP, UDP)


class OpenRange(NamedTuple):
    """A range of ports that an edge reaches, with the sources that get through and the way."""

    first: int
    last: int
    sources: Intervals
    trail: Trail

    def joined_with(self, other: OpenRange) -> OpenRange:
        """The range with another one's sources and notes too; both have the same ports."""
        return self._replace(
            sources=intervals.union(self.sources, other.sources),
            trail=self.trail.noting(*other.trail.notes),
        )


class InterfaceClass(NamedTuple):
    """The properties that equal interfaces share. Without `groups` no security group counts."""

    subnet: str
    groups: tuple[str, ...] | None


Reached = tuple[NetworkEdge, int, int, tuple[OpenRange, ...]]
"""An edge, a family and a protocol that reach an interface, and the open ranges."""


class OpenPorts:
    """The open ports of every interface. `evaluations` counts evaluated classes."""

    def __init__(self, topology: Topology, filters: Filters, routing: Routing) -> None:
        self._topology = topology
        self._filters = filters
        self.admissions = Admissions(topology, filters, routing)
        self._edges: dict[str, list[list[NetworkEdge]]] = {}
        self._joined: dict[tuple[object, ...], tuple[OpenRange, ...]] = {}
        self.evaluations = 0

    def forget(self) -> None:
        """Free the cached results; a result is evaluated again where it is needed again."""
        self._joined.clear()
        self._edges.clear()
        self.admissions.forget()
        self._filters.forget()

    def edges(self, vpc: str) -> list[list[NetworkEdge]]:
        """The edges of a VPC, each as the ways through it."""
        found = self._edges.get(vpc)
        if found is None:
            ways: dict[tuple[str, str], list[NetworkEdge]] = {}
            for edge in edges_of(self._topology, vpc):
                ways.setdefault((edge.kind, edge.id), []).append(edge)
            found = self._edges[vpc] = list(ways.values())
        return found

    def of(self, interface: InterfaceRecord, *, filtered: bool = True) -> Iterator[Reached]:
        """Return the ranges that reach an interface.

        An interface that is not `filtered` has no security groups that count, as the nodes of a
        Network Load Balancer without any.
        """
        if interface.subnet not in self._topology.subnets:
            return
        of = InterfaceClass(interface.subnet, interface.groups if filtered else None)
        for ways in self.edges(interface.vpc):
            for family in (IPV4, IPV6):
                numbers = self._numbers(interface, ways, family)
                if not numbers:
                    continue
                for protocol in PROTOCOLS:
                    ranges = self._through(of, ways, family, protocol, numbers)
                    if ranges:
                        yield _joined(ways), family, protocol, ranges

    def _numbers(
        self, interface: InterfaceRecord, ways: list[NetworkEdge], family: int
    ) -> list[int]:
        """The addresses of an interface that an edge can send to."""
        if not any(way.sources.get(family) for way in ways):
            return []
        if ways[0].kind != EdgeKind.INTERNET_GATEWAY:
            return [own.number for own in interface.addresses if own.family == family]
        if interface.closed_to_gateways or self._topology.blocked(interface.subnet):
            return []
        return [
            own.number
            for own in interface.addresses
            if own.family == family and own.public is not None
        ]

    def _through(
        self,
        of: InterfaceClass,
        ways: list[NetworkEdge],
        family: int,
        protocol: int,
        numbers: list[int],
    ) -> tuple[OpenRange, ...]:
        keys = tuple(self._key(of, way, family, protocol, numbers) for way in ways)
        found = self._joined.get(keys)
        if found is None:
            self.evaluations += 1
            parts: list[port_maps.PortMap] = []
            best: Trail | None = None
            for way, key in zip(ways, keys, strict=True):
                permitted, trail = self._evaluated(of, way, family, protocol, key[-1])
                if trail is not None:
                    best = trail if best is None else best.noting(*trail.notes)
                    parts.append(permitted)
            found = self._joined[keys] = (
                ()
                if best is None
                else tuple(
                    OpenRange(first, last, src, best)
                    for first, last, src in port_maps.union_all(parts)
                )
            )
        return found

    def _key(
        self, of: InterfaceClass, way: NetworkEdge, family: int, protocol: int, numbers: list[int]
    ) -> tuple[Any, ...]:
        """The key of a way's result: interfaces with equal keys are equal."""
        classes = frozenset(
            self.admissions.class_of(way, of.subnet, family, protocol, number) for number in numbers
        )
        return (way.way, of, family, protocol, classes)

    def _evaluated(
        self,
        of: InterfaceClass,
        way: NetworkEdge,
        family: int,
        protocol: int,
        classes: Iterable[AddressClass],
    ) -> tuple[port_maps.PortMap, Trail | None]:
        parts: list[port_maps.PortMap] = []
        best: Trail | None = None
        for one in sorted(classes):
            for admission in self.admissions.admissions(way, of.subnet, family, protocol, one):
                opened = (
                    admission.permitted
                    if of.groups is None
                    else self._filters.groups(
                        of.groups, INGRESS, family, protocol, admission.origin
                    )
                )
                permitted = admission.opened_by(opened)
                if permitted:
                    best = admission.trail if best is None else best.noting(*admission.trail.notes)
                    parts.append(permitted)
        for group in of.groups or ():
            best = best and best.noting(*self._filters.notes(group, INGRESS))
        return port_maps.union_all(parts), best


def _joined(ways: list[NetworkEdge]) -> NetworkEdge:
    """The edge of several ways: beyond it are the addresses beyond each of them."""
    if len(ways) == 1:
        return ways[0]
    sources = {
        family: intervals.of(pair for way in ways for pair in way.sources.get(family, ()))
        for family in (IPV4, IPV6)
    }
    return ways[0]._replace(sources=sources)
