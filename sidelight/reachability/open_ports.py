"""The open ports of interfaces, edge by edge; equal interfaces are evaluated once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sidelight.reachability import port_maps
from sidelight.reachability.admissions import Admissions
from sidelight.reachability.edges import NetworkEdge, edges_of
from sidelight.reachability.prefixes import IPV4, IPV6
from sidelight.reachability.records import INGRESS, TCP, UDP
from sidelight.reachability.results import EdgeKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.reachability.admissions import AddressClass
    from sidelight.reachability.filters import Filters
    from sidelight.reachability.intervals import Intervals
    from sidelight.reachability.packets import Trail
    from sidelight.reachability.records import InterfaceRecord
    from sidelight.reachability.routing import Routing
    from sidelight.reachability.topology import Topology

PROTOCOLS: Final = (TCP, UDP)


class OpenRange(NamedTuple):
    """A range of ports that an edge reaches, with the sources that get through and the way."""

    first: int
    last: int
    sources: Intervals
    trail: Trail


class OpenPorts:
    """The open ports of every interface. `evaluations` counts those that were worked out."""

    def __init__(self, topology: Topology, filters: Filters, routing: Routing) -> None:
        self._topology = topology
        self._filters = filters
        self.admissions = Admissions(topology, filters, routing)
        self._edges: dict[str, list[NetworkEdge]] = {}
        self._ranges: dict[tuple[object, ...], tuple[OpenRange, ...]] = {}
        self.evaluations = 0

    def edges(self, vpc: str) -> list[NetworkEdge]:
        """The edges of a VPC."""
        found = self._edges.get(vpc)
        if found is None:
            found = self._edges[vpc] = edges_of(self._topology, vpc)
        return found

    def of(
        self, interface: InterfaceRecord
    ) -> Iterator[tuple[NetworkEdge, int, int, tuple[OpenRange, ...]]]:
        """Each edge, family and protocol that reaches an interface, with the open ranges."""
        if interface.subnet not in self._topology.subnets:
            return
        for edge in self.edges(interface.vpc):
            for family in (IPV4, IPV6):
                numbers = self._numbers(interface, edge, family)
                if not numbers:
                    continue
                for protocol in PROTOCOLS:
                    ranges = self._found(interface, edge, family, protocol, numbers)
                    if ranges:
                        yield edge, family, protocol, ranges

    def _numbers(self, interface: InterfaceRecord, edge: NetworkEdge, family: int) -> list[int]:
        """The addresses of an interface that an edge can send to."""
        if not edge.sources.get(family):
            return []
        if edge.kind != EdgeKind.INTERNET_GATEWAY:
            return [own.number for own in interface.addresses if own.family == family]
        if interface.closed_to_gateways or self._topology.blocked(interface.subnet):
            return []
        return [
            own.number
            for own in interface.addresses
            if own.family == family and own.public is not None
        ]

    def _found(
        self,
        interface: InterfaceRecord,
        edge: NetworkEdge,
        family: int,
        protocol: int,
        numbers: list[int],
    ) -> tuple[OpenRange, ...]:
        subnet = interface.subnet
        classes = {
            self.admissions.class_of(edge, subnet, family, protocol, number) for number in numbers
        }
        key = (edge.way, subnet, family, protocol, frozenset(classes), interface.groups)
        found = self._ranges.get(key)
        if found is None:
            self.evaluations += 1
            found = self._ranges[key] = tuple(
                self._evaluated(interface, edge, family, protocol, sorted(classes))
            )
        return found

    def _evaluated(
        self,
        interface: InterfaceRecord,
        edge: NetworkEdge,
        family: int,
        protocol: int,
        classes: list[AddressClass],
    ) -> Iterator[OpenRange]:
        total: port_maps.PortMap = port_maps.NOTHING
        best: Trail | None = None
        for of in classes:
            for admission in self.admissions.admissions(
                edge, interface.subnet, family, protocol, of
            ):
                opened = self._filters.groups(
                    interface.groups, INGRESS, family, protocol, admission.origin
                )
                permitted = port_maps.intersection(admission.permitted, opened)
                if permitted:
                    best = admission.trail if best is None else best.noting(*admission.trail.notes)
                    total = port_maps.union(total, permitted)
        if best is not None:
            for group in interface.groups:
                best = best.noting(*self._filters.notes(group, INGRESS))
            for first, last, sources in total:
                yield OpenRange(first, last, sources, best)
