"""Which transit gateways packets may pass on their way to a VPC: peered ones, and by VPCs."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sidelight.reachability.components.records import AttachmentRecord, RouteTableRecord
    from sidelight.reachability.components.transit_gateways import TransitGateways


def connected_gateways(
    transit: TransitGateways, tables_of: Mapping[str, Sequence[RouteTableRecord]]
) -> dict[str, tuple[str, ...]]:
    """The gateways that are connected to each one, itself among them; those alone are left out.

    Two are connected if they are peered, or attached to the same VPC: its packets may come by one
    while their answers leave by the other, and its own routes may lead from one to the other.
    Whether any packet passes is what a walk says.
    """
    beside: dict[str, set[str]] = defaultdict(set)
    for gateway, attachments in transit.of_gateway.items():
        for found in attachments:
            if (peer := transit.peer_of(found)) is not None:
                beside[gateway].add(peer.gateway)
                beside[peer.gateway].add(gateway)
    for vpc in sorted({resource for resource, _ in transit.of_vpc}):
        gateways = [gateway for gateway, _ in transit.of_vpc_by_gateway(vpc)]
        if len(gateways) > 1 and sends_by(tables_of.get(vpc, ())):
            for gateway in gateways:
                beside[gateway].update(gateways)
    found_of: dict[str, tuple[str, ...]] = {}
    for gateway in sorted(beside):
        if gateway not in found_of:
            together = tuple(sorted(_around(gateway, beside)))
            found_of.update(dict.fromkeys(together, together))
    return {gateway: together for gateway, together in found_of.items() if len(together) > 1}


def sends_by(tables: Sequence[RouteTableRecord], *, to: str = "", other_than: str = "") -> bool:
    """Whether a VPC's tables send anything to a transit gateway: to one, or to any but one."""
    return any(
        route.kind == "transit-gateway"
        and not route.blackhole
        and route.target != other_than
        and to in ("", route.target)
        for table in tables
        for route in table.routes
    )


def end_attachments(
    transit: TransitGateways, gateways: Sequence[str]
) -> Iterator[AttachmentRecord]:
    """The attachments of these gateways behind which senders are: no peerings between known ones.

    Without a route table of the gateway nothing is carried from an attachment.
    """
    for gateway in gateways:
        for found in transit.of_gateway.get(gateway, ()):
            if found.table and not transit.peer_of(found):
                yield found


def _around(gateway: str, beside: Mapping[str, set[str]]) -> set[str]:
    found = {gateway}
    waiting = [gateway]
    while waiting:
        new = beside[waiting.pop()] - found
        found |= new
        waiting.extend(new)
    return found
