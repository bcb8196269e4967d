"""The transit gateways that are edges of a VPC, and the ways through them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

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
    end_attachments,
    sends_by,
)
from sidelight.reachability.results import EdgeKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sidelight.reachability.addresses.intervals import Intervals
    from sidelight.reachability.components.records import AttachmentRecord
    from sidelight.reachability.graph.topology import Topology

    Addresses = Mapping[str, Intervals]


class _Senders(NamedTuple):
    """Attachments with the same way: by their table, and the VPC whose group members they are."""

    table: str
    origin: tuple[str, ...]
    attachments: list[AttachmentRecord]


def transit_edges(topology: Topology, vpc: str) -> Iterator[NetworkEdge]:
    """The ways into a VPC by each of its transit gateways: direct ones, and those over others."""
    transit = topology.transit
    for gateway, near in transit.of_vpc_by_gateway(vpc):
        connected = topology.connected_gateways.get(gateway, ())
        answered = {family: _answered(topology, near, family) for family in (IPV4, IPV6)}
        passed_on = {family: _passed_on(topology, near, answered[family]) for family in answered}
        # Who is behind a known peer has ways of its own.
        beside = (
            far
            for far in transit.of_gateway.get(gateway, ())
            if far.id != near.id and not transit.peer_of(far)
        )
        for senders in _with_the_same_way(near, beside):
            sources, notes = _beyond(topology, near, senders.attachments, answered)
            yield NetworkEdge(
                EdgeKind.TRANSIT_GATEWAY, gateway, types.TRANSIT, vpc, gateway, sources,
                senders.origin, near, senders.table, notes,
            )  # fmt: skip
            if senders.table and not connected:
                yield from _over_others(topology, near, senders, answered, passed_on)
        if connected:
            yield from _over_gateways(topology, near, connected, passed_on)


def _with_the_same_way(
    near: AttachmentRecord, attachments: Iterable[AttachmentRecord]
) -> list[_Senders]:
    ways: dict[tuple[str, tuple[str, ...]], list[AttachmentRecord]] = defaultdict(list)
    for far in attachments:
        named = near.group_references and far.group_references
        ways[far.table, (far.resource,) if named else ()].append(far)
    return [_Senders(*key, ways[key]) for key in sorted(ways)]


def _way(
    topology: Topology,
    near: AttachmentRecord,
    senders: _Senders,
    returns: Iterable[AttachmentRecord],
    answered: dict[int, Intervals],
) -> NetworkEdge:
    """The way of senders over others: in by the near attachment, and back to those in `returns`.

    `answered` are the addresses to which answers are sent at all, by family.
    """
    outside = elsewhere(topology, near.resource)
    sources = {
        family: intervals.intersection(
            intervals.of(
                pair
                for far in senders.attachments
                for pair in addresses_behind(topology, far, family, outside[family])
            ),
            answered[family],
        )
        for family in outside
    }
    found = {note for far in senders.attachments for note in _notes(topology, near, far)}
    return NetworkEdge(
        EdgeKind.TRANSIT_GATEWAY, near.gateway, types.TRANSIT, near.resource, near.gateway,
        sources, senders.origin, near, senders.table, tuple(sorted(found)),
        tuple(senders.attachments), tuple(returns),
    )  # fmt: skip


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
    of_resource: dict[str, list[AttachmentRecord]] = defaultdict(list)
    for far in end_attachments(topology.transit, connected):
        if far.resource != near.resource:
            of_resource[far.resource].append(far)
    # Of a known VPC it is known whether it sends anything to a gateway.
    sending = (
        far
        for resource, attachments in of_resource.items()
        for far in attachments
        if resource not in topology.vpcs
        or sends_by(topology.tables_of.get(resource, ()), to=far.gateway)
    )
    answered = {
        family: _answered_by_any(topology, near.resource, family) for family in (IPV4, IPV6)
    }
    for senders in _with_the_same_way(near, sending):
        gateway = senders.attachments[0].gateway
        by_this = gateway == near.gateway and answered_over
        if by_this or any(
            _led_over_others(topology, near, gateway, senders.table, family) for family in answered
        ):
            resources = dict.fromkeys(far.resource for far in senders.attachments)
            returns = (far for resource in resources for far in of_resource[resource])
            way = _way(topology, near, senders, returns, answered)
            if any(way.sources.values()):
                yield way


def _answered_by_any(topology: Topology, vpc: str, family: int) -> Intervals:
    """The addresses to which the tables of a VPC's attachments send answers."""
    return intervals.of(
        pair
        for _, near in topology.transit.of_vpc_by_gateway(vpc)
        for pair in _of_all(_answered(topology, near, family))
    )


def _of_all(answered: Addresses) -> Intervals:
    return intervals.of(pair for found in answered.values() for pair in found)


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
    near: AttachmentRecord,
    senders: _Senders,
    answered: dict[int, Addresses],
    passed_on: dict[int, Intervals],
) -> Iterator[NetworkEdge]:
    """The way of the same attachments over other VPCs or gateways, if there may be one.

    Either the packets take it, or the answers, or both: a VPC for inspection is mostly on both.
    """
    by_any = {family: _of_all(found) for family, found in answered.items()}
    way = _way(topology, near, senders, senders.attachments, by_any)
    if any(
        sources
        and (
            intervals.intersection(sources, passed_on[family])
            or _led_over_others(topology, near, near.gateway, senders.table, family)
        )
        for family, sources in way.sources.items()
    ):
        yield way


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
