"""Bundles of packets as products of four sets, cut exactly by rules that are such products too."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sidelight.reachability.addresses import intervals, port_maps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.reachability.addresses.intervals import Intervals
    from sidelight.reachability.addresses.port_maps import PortMap


class Bundle(NamedTuple):
    """All packets with source, destination, destination port and source port out of four sets."""

    src: Intervals
    dst: Intervals
    ports: Intervals
    src_ports: Intervals = ((0, 65535),)

    def to(self, permitted: PortMap) -> Iterator[Bundle]:
        """The parts whose destination and port are in the set."""
        for low, high, addresses in permitted:
            dst = intervals.intersection(self.dst, addresses)
            ports = intervals.intersection(self.ports, ((low, high),))
            if dst and ports:
                yield Bundle(self.src, dst, ports, self.src_ports)

    def coming_from(self, permitted: PortMap) -> Iterator[Bundle]:
        """The parts whose source and destination port are in the set."""
        for low, high, addresses in permitted:
            src = intervals.intersection(self.src, addresses)
            ports = intervals.intersection(self.ports, ((low, high),))
            if src and ports:
                yield Bundle(src, self.dst, ports, self.src_ports)

    def without(self, permitted: PortMap, *, by_source: bool) -> PortMap:
        """The (peer address, port) pairs of the bundle that are not in the set."""
        peers = self.src if by_source else self.dst
        return port_maps.difference(port_maps.on_ports(self.ports, peers), permitted)


class Match(NamedTuple):
    """The packets that a rule matches: a product of sets. None is every value."""

    src: Intervals | None = None
    dst: Intervals | None = None
    ports: Intervals | None = None
    src_ports: Intervals | None = None


def cut(bundle: Bundle, match: Match) -> tuple[Bundle | None, list[Bundle]]:
    """The part of a bundle that a rule matches, and the rest in disjoint pieces (at most four)."""
    rest: list[Bundle] = []
    inside = bundle
    for field in Match._fields:
        wanted: Intervals | None = getattr(match, field)
        if wanted is None:
            continue
        own: Intervals = getattr(inside, field)
        common = intervals.intersection(own, wanted)
        if common == own:
            continue
        outside = intervals.difference(own, common)
        rest.append(inside._replace(**{field: outside}))
        if not common:
            return None, [bundle]
        inside = inside._replace(**{field: common})
    return inside, rest
