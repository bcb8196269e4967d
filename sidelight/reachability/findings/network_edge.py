"""An edge of a VPC, and the ways through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sidelight.reachability.addresses import intervals
from sidelight.reachability.addresses.prefixes import ALL, IPV4, IPV6, texts_of

if TYPE_CHECKING:
    from sidelight.reachability.addresses.intervals import Intervals
    from sidelight.reachability.components.records import AttachmentRecord, LinkRecord
    from sidelight.reachability.graph.topology import Topology
    from sidelight.reachability.results import EdgeKind

BEHIND: Final = "not accounted for: which addresses are behind {}"
_BLOCKS_SHOWN: Final = 4


class NetworkEdge(NamedTuple):
    """An edge of a VPC, or one of the ways through it.

    `goal` is the gateway or peering that answers must leave by. `sources` are the addresses beyond
    it, by family. A transit gateway has a way for each route table that its other attachments use:
    `table` is that one, and `sources` only those to which the VPC's own table sends answers.

    With `senders` it is the way of these attachments' packets or answers over other VPCs, as for
    inspection, or over other gateways: answers must get to the attachment that has the addresses,
    or to another of `returns`, those of the same VPC or Direct Connect gateway elsewhere.
    """

    kind: EdgeKind
    id: str
    type: str
    vpc: str
    goal: str
    sources: dict[int, Intervals]
    origin: tuple[str, ...] = ()
    near: AttachmentRecord | None = None
    table: str = ""
    notes: tuple[str, ...] = ()
    senders: tuple[AttachmentRecord, ...] = ()
    returns: tuple[AttachmentRecord, ...] = ()

    @property
    def way(self) -> tuple[str, str, str, tuple[str, ...], tuple[str, ...], bool]:
        """The key of the packets that get through: equal for edges that share a gateway."""
        return (self.goal, self.vpc, self.table, self.origin, self.notes, bool(self.senders))

    @property
    def goals(self) -> frozenset[str]:
        """The objects at which all answers have left by the edge."""
        return frozenset() if self.returns else frozenset({self.goal})

    def ends(self, topology: Topology, family: int) -> dict[str, Intervals]:
        """The attachments at which answers to these addresses have left by the edge."""
        outside = elsewhere(topology, self.vpc)[family] if self.returns else ()
        return {far.id: addresses_behind(topology, far, family, outside) for far in self.returns}


def elsewhere(topology: Topology, vpc: str) -> dict[int, Intervals]:
    """All addresses but the VPC's own: routes that are learnt are in no answer."""
    own = topology.vpcs[vpc].blocks if vpc in topology.vpcs else {}
    return {
        family: intervals.difference(ALL[family], own.get(family, ())) for family in (IPV4, IPV6)
    }


def addresses_behind(
    topology: Topology, far: AttachmentRecord, family: int, outside: Intervals
) -> Intervals:
    """The addresses behind an attachment: its VPC's, or all that are outside of the near one's."""
    known = topology.vpcs.get(far.resource)
    return known.blocks.get(family, ()) if known else outside


def not_announced(topology: Topology, vpc: str, link: LinkRecord) -> tuple[str, ...]:
    """A note on a VPC's addresses that a Direct Connect gateway does not announce.

    Its allowed prefixes say which it does [Direct Connect guide, "Allowed prefixes interactions"].
    What the other side sends without an announcement, by routes of its own, is not known.
    """
    record = topology.vpcs.get(vpc)
    if link.announced is None or record is None:
        return ()
    silent: list[str] = []
    for family, own in sorted(record.blocks.items()):
        announced = link.announced.get(family, ())
        unannounced = intervals.difference(own, announced)
        if link.gateway in topology.gateways:  # of a virtual private gateway whole blocks alone
            unannounced = tuple(p for p in own if not intervals.is_subset((p,), announced))
        silent.extend(texts_of(family, unannounced))
    what = ", ".join(silent[:_BLOCKS_SHOWN])
    return (f"not accounted for: that {link.id} does not announce {what}",) if silent else ()
