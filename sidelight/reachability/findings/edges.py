"""The edges of a VPC: by what, and from which addresses, packets of others can enter it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.reachability.addresses import intervals
from sidelight.reachability.addresses.bundles import Bundle
from sidelight.reachability.addresses.internet import INTERNET
from sidelight.reachability.addresses.prefixes import IPV4, IPV6
from sidelight.reachability.components import component_types as types
from sidelight.reachability.crossings.internet import enter_by_gateway
from sidelight.reachability.crossings.transit import by_transit_gateway, enter_by_attachment
from sidelight.reachability.findings.network_edge import (
    BEHIND,
    NetworkEdge,
    elsewhere,
    not_announced,
)
from sidelight.reachability.findings.transit_edges import transit_edges
from sidelight.reachability.results import EdgeKind
from sidelight.reachability.results import ReachabilityVerdict as Verdict
from sidelight.reachability.walk.packets import Trail
from sidelight.reachability.walk.replies import reply_ports

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sidelight.reachability.addresses.intervals import Intervals
    from sidelight.reachability.graph.topology import Topology
    from sidelight.reachability.walk.packets import PacketOutcome
    from sidelight.reachability.walk.walker import Walker


def edges_of(topology: Topology, vpc: str) -> list[NetworkEdge]:
    """The edges of a VPC, in a fixed order."""
    return [
        *_internet(topology, vpc),
        *_peerings(topology, vpc),
        *_virtual_gateways(topology, vpc),
        *transit_edges(topology, vpc),
    ]


def _internet(topology: Topology, vpc: str) -> Iterator[NetworkEdge]:
    gateway = topology.internet_gateway_of(vpc)
    if gateway is not None:
        kind = EdgeKind.INTERNET_GATEWAY
        sources = {
            family: intervals.intersection(INTERNET[family], outside)
            for family, outside in elsewhere(topology, vpc).items()
        }
        notes = topology.notes_on(gateway)
        yield NetworkEdge(kind, gateway, types.INTERNET_GATEWAY, vpc, gateway, sources, notes=notes)


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
    sources = elsewhere(topology, vpc)
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
                notes=(BEHIND.format(gateway.id),),
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
                    notes=(BEHIND.format(gateway.id), *not_announced(topology, vpc, link)),
                )


def enter(edge: NetworkEdge, walker: Walker, dst: Intervals) -> Iterator[PacketOutcome]:
    """All packets from beyond an edge to some addresses of its VPC."""
    bundle = Bundle(
        edge.sources.get(walker.family, ()), dst, ((0, 65535),), reply_ports(walker.protocol)
    )
    if not bundle.src:
        return
    trail = Trail((edge.goal,), origin=edge.origin, notes=edge.notes)
    if edge.senders:
        yield from _enter_from_senders(edge, walker, bundle, trail)
    elif edge.near is not None:
        routes = walker.topology.transit.table(edge.table, walker.family)
        for pair, route in routes.within(dst):
            if route is not None and not route.blackhole and edge.near.id in route.attachments:
                part = bundle._replace(dst=(pair,))
                way = trail.through(edge.table, types.TRANSIT_TABLE, route.id)
                yield from enter_by_attachment(walker, edge.near, part, way)
    elif edge.kind == EdgeKind.VPC_PEERING:
        yield from walker.in_vpc(edge.vpc, bundle, trail)
    else:
        yield from enter_by_gateway(walker, edge.goal, edge.vpc, bundle, trail)


def _enter_from_senders(
    edge: NetworkEdge, walker: Walker, bundle: Bundle, trail: Trail
) -> Iterator[PacketOutcome]:
    """The packets of a way's senders that come in by the edge at last, over whatever others."""
    gateways = walker.topology.transit.of_gateway
    sender = edge.senders[0]
    for outcome in by_transit_gateway(
        walker, sender, bundle, trail._replace(hops=(sender.gateway,))
    ):
        last = next(hop for hop in reversed(outcome.trail.hops) if hop in gateways)
        if last == edge.goal:
            yield outcome


def left_by(walker: Walker, outcomes: Iterable[PacketOutcome]) -> Iterator[PacketOutcome]:
    """The answers that have left by the walker's edge."""
    for outcome in outcomes:
        if outcome.verdict == Verdict.ACCEPTED and (
            outcome.at in walker.goals or outcome.at in walker.ends
        ):
            yield outcome
