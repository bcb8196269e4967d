"""The edges of a VPC: by what, and from which addresses, packets of others can enter it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from sidelight.reachability.addresses import intervals
from sidelight.reachability.addresses.bundles import Bundle
from sidelight.reachability.addresses.internet import INTERNET
from sidelight.reachability.addresses.prefixes import ALL, IPV4, IPV6
from sidelight.reachability.components import component_types as types
from sidelight.reachability.crossings.internet import enter_by_gateway
from sidelight.reachability.crossings.transit import enter_by_attachment
from sidelight.reachability.results import EdgeKind
from sidelight.reachability.walk.packets import Trail
from sidelight.reachability.walk.replies import reply_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.reachability.addresses.intervals import Intervals
    from sidelight.reachability.components.records import AttachmentRecord
    from sidelight.reachability.graph.topology import Topology
    from sidelight.reachability.walk.packets import PacketOutcome
    from sidelight.reachability.walk.walker import Walker


_BEHIND = "not accounted for: which addresses are behind {}"


class NetworkEdge(NamedTuple):
    """An edge of a VPC, or one of the ways through it.

    `goal` is the gateway or peering that answers must leave by. `sources` are the addresses beyond
    it, by family. A transit gateway has a way for each route table that its other attachments use:
    `table` is that one, and `sources` only those to which the VPC's own table sends answers.
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

    @property
    def way(self) -> tuple[str, str, str, tuple[str, ...]]:
        """The key of the packets that get through: equal for edges that share a gateway."""
        return (self.goal, self.vpc, self.table, self.origin)


def edges_of(topology: Topology, vpc: str) -> list[NetworkEdge]:
    """The edges of a VPC, in a fixed order."""
    return [
        *_internet(topology, vpc),
        *_peerings(topology, vpc),
        *_virtual_gateways(topology, vpc),
        *_transit_gateways(topology, vpc),
    ]


def _internet(topology: Topology, vpc: str) -> Iterator[NetworkEdge]:
    gateway = topology.internet_gateway_of(vpc)
    if gateway is not None:
        kind = EdgeKind.INTERNET_GATEWAY
        sources = {
            family: intervals.intersection(INTERNET[family], outside)
            for family, outside in _elsewhere(topology, vpc).items()
        }
        yield NetworkEdge(kind, gateway, types.INTERNET_GATEWAY, vpc, gateway, sources)


def _peerings(topology: Topology, vpc: str) -> Iterator[NetworkEdge]:
    for peering in topology.peerings_of.get(vpc, ()):
        for near, far in (peering.sides, peering.sides[::-1]):
            if near.vpc != vpc or far.vpc == vpc:
                continue
            sources = {
                family: found
                for family in (IPV4, IPV6)
                if (found := topology.vpc_blocks(far, family))
            }
            origin = (far.vpc,) if near.region == far.region else ()
            yield NetworkEdge(
                EdgeKind.VPC_PEERING, peering.id, types.PEERING, vpc, peering.id, sources, origin
            )


def _virtual_gateways(topology: Topology, vpc: str) -> Iterator[NetworkEdge]:
    sources = _elsewhere(topology, vpc)
    for gateway in topology.gateways_of.get(vpc, ()):
        if gateway.kind != "virtual-gateway":
            continue
        links = topology.links_of(gateway.id)
        if any(link.kind == "vpn" for link in links):
            kind = EdgeKind.VIRTUAL_GATEWAY
            yield NetworkEdge(
                kind,
                gateway.id,
                types.VIRTUAL_GATEWAY,
                vpc,
                gateway.id,
                sources,
                notes=(_BEHIND.format(gateway.id),),
            )
        for link in links:
            if link.kind != "vpn":
                yield NetworkEdge(
                    EdgeKind.DIRECT_CONNECT,
                    link.id,
                    types.DIRECT_CONNECT_GATEWAY
                    if link.kind == "direct-connect-gateway"
                    else types.VIRTUAL_INTERFACE,
                    vpc,
                    gateway.id,
                    sources,
                    notes=(_BEHIND.format(gateway.id),),
                )


def _transit_gateways(topology: Topology, vpc: str) -> Iterator[NetworkEdge]:
    transit = topology.transit
    for gateway, near in transit.of_vpc_by_gateway(vpc):
        ways: dict[tuple[str, tuple[str, ...]], list[AttachmentRecord]] = defaultdict(list)
        for far in transit.of_gateway.get(gateway, ()):
            if far.id != near.id:
                named = near.group_references and far.group_references
                ways[far.table, (far.resource,) if named else ()].append(far)
        answer_addresses = {
            family: _answer_addresses(topology, near, family) for family in (IPV4, IPV6)
        }
        for (table, origin), attachments in sorted(ways.items()):
            sources, notes = _beyond(topology, near, attachments, answer_addresses)
            yield NetworkEdge(
                EdgeKind.TRANSIT_GATEWAY, gateway, types.TRANSIT, vpc, gateway, sources, origin,
                near, table, notes,
            )  # fmt: skip


def _answer_addresses(
    topology: Topology, near: AttachmentRecord, family: int
) -> dict[str, Intervals]:
    """The addresses to which an attachment's table sends answers, by the far attachment."""
    answer_addresses: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for cell in topology.transit.table(near.table, family).cells:
        if not cell.value.blackhole and cell.value.attachments:
            answer_addresses[cell.value.attachments[0]].append((cell.first, cell.last))
    return {name: intervals.of(pairs) for name, pairs in answer_addresses.items()}


def _beyond(
    topology: Topology,
    near: AttachmentRecord,
    attachments: list[AttachmentRecord],
    answer_addresses: dict[int, dict[str, Intervals]],
) -> tuple[dict[int, Intervals], tuple[str, ...]]:
    """The addresses behind attachments to which the near one's table sends answers, and notes."""
    sources: dict[int, Intervals] = {}
    elsewhere = _elsewhere(topology, near.resource)
    notes = set()
    for family in (IPV4, IPV6):
        found: list[tuple[int, int]] = []
        for far in attachments:
            known = topology.vpcs.get(far.resource)
            behind = known.blocks.get(family, ()) if known else elsewhere[family]
            through = intervals.intersection(answer_addresses[family].get(far.id, ()), behind)
            found.extend(through)
            if through and known is None:
                notes.add(_BEHIND.format(far.resource))
        sources[family] = intervals.of(found)
    return sources, tuple(sorted(notes))


def _elsewhere(topology: Topology, vpc: str) -> dict[int, Intervals]:
    """All addresses but the VPC's own: routes that are learnt are in no answer."""
    own = topology.vpcs[vpc].blocks if vpc in topology.vpcs else {}
    return {
        family: intervals.difference(ALL[family], own.get(family, ())) for family in (IPV4, IPV6)
    }


def enter(edge: NetworkEdge, walker: Walker, dst: Intervals) -> Iterator[PacketOutcome]:
    """All packets from beyond an edge to some addresses of its VPC."""
    bundle = Bundle(
        edge.sources.get(walker.family, ()), dst, ((0, 65535),), reply_ports(walker.protocol)
    )
    if not bundle.src:
        return
    trail = Trail((edge.goal,), origin=edge.origin, notes=edge.notes)
    if edge.near is not None:
        routes = walker.topology.transit.table(edge.table, walker.family)
        for pair, route in routes.within(dst):
            if route is not None and not route.blackhole and edge.near.id in route.attachments[:1]:
                part = bundle._replace(dst=(pair,))
                way = trail.through(edge.table, types.TRANSIT_TABLE, route.id)
                yield from enter_by_attachment(walker, edge.near, part, way)
    elif edge.kind == EdgeKind.VPC_PEERING:
        yield from walker.in_vpc(edge.vpc, bundle, trail)
    else:
        yield from enter_by_gateway(walker, edge.goal, edge.vpc, bundle, trail)
