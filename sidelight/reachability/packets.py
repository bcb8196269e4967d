"""Bundles of packets on their way: what the walker carries, and where a bundle ends."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from sidelight.reachability import intervals, port_maps
from sidelight.reachability.results import PathComponent, ReachabilityVerdict, Stop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.reachability.intervals import Intervals
    from sidelight.reachability.port_maps import PortMap


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


class Place(NamedTuple):
    """Where a bundle is when it is routed: a VPC and the subnet, empty right behind a gateway."""

    vpc: str
    subnet: str


class Trail(NamedTuple):
    """The way that a bundle has come.

    `origin` are the VPCs whose security group members the sources still are: none behind a gateway
    that hides them. `zone` is the Availability Zone from which a transit gateway took the packets.
    """

    hops: tuple[str, ...] = ()
    components: tuple[PathComponent, ...] = ()
    notes: tuple[str, ...] = ()
    origin: tuple[str, ...] = ()
    steps: int = 0
    zone: str = ""

    def over(self, *hops: str) -> Trail:
        """The trail with hops more; one that the packets are at already is not repeated."""
        ways = pairwise((*(self.hops[-1:] or ("",)), *hops))
        new = [hop for last, hop in ways if hop != last]
        return self._replace(hops=(*self.hops, *new), steps=self.steps + 1)

    def through(self, id_: str, kind: str, rule: str = "") -> Trail:
        """The trail with a component more."""
        if not id_:  # an object that no answer has; a note says so
            return self
        component = PathComponent(id_, kind, rule)
        return self._replace(components=(*self.components, component))

    def noting(self, *notes: str) -> Trail:
        """The trail with notes more, each once."""
        new = tuple(note for note in dict.fromkeys(notes) if note not in self.notes)
        return self._replace(notes=(*self.notes, *new)) if new else self


class PacketOutcome(NamedTuple):
    """Where a bundle ends, and by which way. `at` is the object's id: a goal, or the last one."""

    verdict: ReachabilityVerdict
    bundle: Bundle
    trail: Trail
    at: str
    stop: Stop | None = None


def ended(
    verdict: ReachabilityVerdict,
    bundle: Bundle,
    trail: Trail,
    stop: tuple[str, str, str | None],
) -> PacketOutcome:
    """The outcome of a bundle that an object stops: its id, CloudFormation type and rule."""
    return PacketOutcome(verdict, bundle, trail, stop[0], Stop(*stop))
