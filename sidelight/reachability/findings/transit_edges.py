"""The transit gateways that are edges of a VPC, and the ways through them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sidelight.reachability.addresses import intervals
from sidelight.reachability.addresses.prefixes import IPV4, IPV6
from sidelight.reachability.components import component_types as types
from sidelight.reachability.findings.network_edge import (
    BEHIND,
    NetworkEdge,
    addresses_behind,
    elsewhere,
    not_announced,
)
from sidelight.reachability.graph.connected_gateways import (
    passing_attachments,
    sends_by,
)
from sidelight.reachability.results import EdgeKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sidelight.reachability.addresses.intervals import Intervals
    from sidelight.reachability.components.records import AttachmentRecord
    from sidelight.reachability.graph.topology import Topology

    Addresses = Mapping[str, Intervals]


def transit_edges(topology: Topology, vpc: str) -> Iterator[NetworkEdge]:
    """The ways into a VPC by each of its transit gateways: direct ones, and those over others."""
    for gateway, near in topology.transit.of_vpc_by_gateway(vpc):
        connected = topology.connected_gateways.get(gateway, ())
        ways: dict[tuple[str, tuple[str, ...]], list[AttachmentRecord]] = defaultdict(list)
        for far in topology.transit.of_gateway.get(gateway, ()):
            # Who is behind a known peer has ways of its own.
            if far.id != near.id and not topology.transit.peer_of(far):
                named = near.group_references and far.group_references
                ways[far.table, (far.resource,) if named else ()].append(far)
        answered = {family: _answered(topology, near, family) for family in (IPV4, IPV6)}
        passed_on = {family: _passed_on(topology, near, answered[family]) for family in answered}
        for (table, origin), attachments in sorted(ways.items()):
            sources, notes = _beyond(topology, near, attachments, answered)
            direct = NetworkEdge(
                EdgeKind.TRANSIT_GATEWAY, gateway, types.TRANSIT, vpc, gateway, sources, origin,
                near, table, notes,
            )  # fmt: skip
            yield direct
            if table and not connected:
                yield from _over_others(topology, direct, attachments, answered, passed_on)
        if connected:
            yield from _over_gateways(topology, near, connected, passed_on)


def _over_gateways(
    topology: Topology,
    near: AttachmentRecord,
    connected: tuple[str, ...],
    passed_on: dict[int, Intervals],
) -> Iterator[NetworkEdge]:
    """The ways of those at connected gateways that direct ones have not: in by this, back by any.

    A VPC that is at two gateways may send by one, and have its answers by the other.
    """
    elsewhere_too = sends_by(topology.tables_of.get(near.resource, ()), other_than=near.gateway)
    answered_over = elsewhere_too or any(passed_on.values())
    transit = topology.transit
    ways: dict[tuple[str, tuple[str, ...]], list[AttachmentRecord]] = defaultdict(list)
    of_resource: dict[str, list[AttachmentRecord]] = defaultdict(list)
    for far in passing_attachments(transit, connected):
        if far.resource == near.resource:
            continue
        of_resource[far.resource].append(far)
        tables = topology.tables_of.get(far.resource, ())
        # Of a known VPC it is known whether it sends anything to this gateway.
        if far.resource not in topology.vpcs or sends_by(tables, to=far.gateway):
            named = near.group_references and far.group_references
            ways[far.table, (far.resource,) if named else ()].append(far)
    outside = elsewhere(topology, near.resource)
    answered = {family: _answered_by_any(topology, near.resource, family) for family in outside}
    for (table, origin), senders in sorted(ways.items()):
        gateway = senders[0].gateway
        by_this = gateway == near.gateway and answered_over
        if not by_this and not any(
            _led_over_others(topology, near, gateway, table, family) for family in outside
        ):
            continue
        sources = {
            family: intervals.intersection(
                intervals.of(
                    pair
                    for far in senders
                    for pair in addresses_behind(topology, far, family, outside[family])
                ),
                answered[family],
            )
            for family in outside
        }
        if any(sources.values()):
            notes = tuple(sorted({note for far in senders for note in _notes(topology, near, far)}))
            returns = dict.fromkeys(one for far in senders for one in of_resource[far.resource])
            yield NetworkEdge(
                EdgeKind.TRANSIT_GATEWAY, near.gateway, types.TRANSIT, near.resource, near.gateway,
                sources, origin, near, table, notes, tuple(senders), tuple(returns),
            )  # fmt: skip


def _answered_by_any(topology: Topology, vpc: str, family: int) -> Intervals:
    """The addresses to which the tables of a VPC's attachments send answers."""
    return intervals.of(
        pair
        for _, near in topology.transit.of_vpc_by_gateway(vpc)
        for found in _answered(topology, near, family).values()
        for pair in found
    )


def _answered(topology: Topology, near: AttachmentRecord, family: int) -> Addresses:
    """The addresses to which an attachment's table sends answers, by the far attachment.

    A route to several attachments, as of VPN connections, may take each of them.
    """
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for cell in topology.transit.table(near.table, family).cells:
        for name in () if cell.value.blackhole else cell.value.attachments:
            found[name].append((cell.first, cell.last))
    return {name: intervals.of(pairs) for name, pairs in found.items()}


def _beyond(
    topology: Topology,
    near: AttachmentRecord,
    attachments: list[AttachmentRecord],
    answered: dict[int, Addresses],
) -> tuple[dict[int, Intervals], tuple[str, ...]]:
    """The addresses behind attachments to which the near one's table sends answers, and notes."""
    sources: dict[int, Intervals] = {}
    outside = elsewhere(topology, near.resource)
    notes: set[str] = set()
    for family in (IPV4, IPV6):
        found: list[tuple[int, int]] = []
        for far in attachments:
            behind = addresses_behind(topology, far, family, outside[family])
            through = intervals.intersection(answered[family].get(far.id, ()), behind)
            found.extend(through)
            if through:
                notes.update(_notes(topology, near, far))
        sources[family] = intervals.of(found)
    return sources, tuple(sorted(notes))


def _notes(topology: Topology, near: AttachmentRecord, far: AttachmentRecord) -> Iterator[str]:
    if far.resource not in topology.vpcs:
        yield BEHIND.format(far.resource)
    for link in topology.links_of(far.gateway):
        if link.id == far.resource:
            yield from not_announced(topology, near.resource, link)


def _passes_on(topology: Topology, found: AttachmentRecord | None) -> bool:
    """Whether what is sent to an attachment may come back to a transit gateway behind it."""
    if found is None or not found.available:
        return False
    if found.kind == "peering":
        return topology.transit.peer_of(found) is not None
    return found.kind == "vpc" and sends_by(topology.tables_of.get(found.resource, ()))


def _passed_on(topology: Topology, near: AttachmentRecord, answered: Addresses) -> Intervals:
    """The addresses to which an attachment's table sends answers by others that pass them on."""
    pairs: list[tuple[int, int]] = []
    for name, addresses in answered.items():
        found = topology.transit.attachments.get((near.gateway, name))
        if found is not None and _passes_on(topology, found):
            vpc = topology.vpcs.get(found.resource)
            own = [pair for blocks in (vpc.blocks.values() if vpc else ()) for pair in blocks]
            pairs.extend(intervals.difference(addresses, intervals.of(own)))
    return intervals.of(pairs)


def _over_others(
    topology: Topology,
    direct: NetworkEdge,
    senders: list[AttachmentRecord],
    answered: dict[int, Addresses],
    passed_on: dict[int, Intervals],
) -> Iterator[NetworkEdge]:
    """The way of the same attachments over other VPCs or gateways, if there may be one.

    Either the packets take it, or the answers, or both: a VPC for inspection is mostly on both.
    """
    near = direct.near
    if near is None:
        return
    outside = elsewhere(topology, near.resource)
    sources = {
        family: intervals.intersection(
            intervals.of(
                pair
                for far in senders
                for pair in addresses_behind(topology, far, family, outside[family])
            ),
            intervals.of(pair for found in answered[family].values() for pair in found),
        )
        for family in (IPV4, IPV6)
    }
    if any(
        sources[family]
        and (
            intervals.intersection(sources[family], passed_on[family])
            or _led_over_others(topology, near, near.gateway, direct.table, family)
        )
        for family in sources
    ):
        notes = tuple(sorted({note for far in senders for note in _notes(topology, near, far)}))
        yield direct._replace(
            sources=sources, notes=notes, senders=tuple(senders), returns=tuple(senders)
        )


def _led_over_others(
    topology: Topology, near: AttachmentRecord, gateway: str, table: str, family: int
) -> bool:
    """Whether a gateway's table sends what is for the near VPC by others that pass it on."""
    vpc = topology.vpcs.get(near.resource)
    own = topology.transit.of_vpc.get((near.resource, gateway))
    routes = topology.transit.table(table, family)
    return any(
        _passes_on(topology, topology.transit.attachments.get((gateway, name)))
        for _, route in routes.within(vpc.blocks.get(family, ()) if vpc else ())
        if route is not None and not route.blackhole
        for name in route.attachments
        if own is None or name != own.id
    )
