"""Bundles of packets on their way: what the walker carries, and where a bundle ends."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from sidelight.reachability.results import PathComponent, ReachabilityVerdict, Stop

if TYPE_CHECKING:
    from sidelight.reachability.addresses.bundles import Bundle
    from sidelight.reachability.addresses.intervals import Intervals


class Place(NamedTuple):
    """Where a bundle is when it is routed: a VPC and the subnet, empty right behind a gateway."""

    vpc: str
    subnet: str


class Trail(NamedTuple):
    """The way that a bundle has come.

    `origin` are the VPCs whose security group members the sources still are: none behind a gateway
    that hides them. `zone` is the Availability Zone from which a transit gateway took the packets.
    `senders` are the addresses that the first NAT gateway put its own in place of.
    """

    hops: tuple[str, ...] = ()
    components: tuple[PathComponent, ...] = ()
    notes: tuple[str, ...] = ()
    origin: tuple[str, ...] = ()
    steps: int = 0
    zone: str = ""
    senders: Intervals = ()

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
