"""Transit gateways: attachments, and the route tables that decide what they carry where."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from sidelight.reachability.addresses.prefixes import LongestPrefix, prefix, summarised
from sidelight.reachability.answers.fields import flag, inner, items, text
from sidelight.reachability.components import reading_objects, rule_ids
from sidelight.reachability.components.records import AttachmentRecord, TransitRoute

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidelight.reachability.addresses.prefixes import Prefix
    from sidelight.reachability.answers.collecting import Collector
    from sidelight.reachability.components.records import VpcRecord

# Of routes for the same block [Transit Gateway guide, "Route evaluation order"]: static ones, those
# of prefix lists, then propagated from VPCs, Direct Connect gateways, Connect, VPN, peerings.
_STATIC, _PREFIX_LIST, _VPC, _DIRECT_CONNECT, _CONNECT, _VPN, _PEERING = range(7)
_RANKS: Final = {
    "vpc": _VPC,
    "direct-connect-gateway": _DIRECT_CONNECT,
    "connect": _CONNECT,
    "vpn": _VPN,
}


class TransitGateways:
    """The attachments of all transit gateways, and their route tables.

    A peering attachment is one of each of its two gateways: attachments have the key
    (gateway, attachment).
    """

    def __init__(
        self,
        collector: Collector,
        vpcs: Mapping[str, VpcRecord],
        prefix_lists: Mapping[str, tuple[Prefix, ...]],
    ) -> None:
        self._prefix_lists = prefix_lists
        self.attachments: dict[tuple[str, str], AttachmentRecord] = collector.by_id(
            "TransitGatewayAttachments",
            lambda fields, _account, _region: reading_objects.attachment(fields),
            lambda found: (found.gateway, found.id),
            # Each account sees an attachment; not each its association.
            rank=lambda found: not found.table,
        )
        self._read_vpc_attachments(collector)
        self._read_references(collector)
        self._read_peers(collector)
        self.of_vpc: dict[tuple[str, str], AttachmentRecord] = {}
        self.of_gateway: dict[str, list[AttachmentRecord]] = defaultdict(list)
        for key in sorted(self.attachments):
            found = self.attachments[key]
            if found.available:
                self.of_gateway[found.gateway].append(found)
                if found.kind == "vpc":
                    self.of_vpc.setdefault((found.resource, found.gateway), found)
        self._of_vpc: dict[str, list[tuple[str, AttachmentRecord]]] = defaultdict(list)
        for (vpc, gateway), found in self.of_vpc.items():
            self._of_vpc[vpc].append((gateway, found))
        self._routes: dict[str, list[TransitRoute]] = defaultdict(list)
        self._read_routes(collector, vpcs)
        self._tables: dict[tuple[str, int], LongestPrefix[TransitRoute]] = {}

    def _read_vpc_attachments(self, collector: Collector) -> None:
        for fields, _, _ in collector.objects("TransitGatewayVpcAttachments"):
            key = (text(fields, "TransitGatewayId"), text(fields, "TransitGatewayAttachmentId"))
            found = self.attachments.get(key)
            if found is None and all(key):
                found = AttachmentRecord(
                    key[1],
                    key[0],
                    "vpc",
                    text(fields, "VpcId"),
                    "",
                    text(fields, "State") in ("", "available", "modifying"),
                )
            if found is not None:
                self.attachments[key] = reading_objects.with_vpc_options(found, fields)

    def _read_references(self, collector: Collector) -> None:
        """Security group references need the support of the gateway and of both attachments."""
        supported = set()
        for fields, _, _ in collector.objects("TransitGateways"):
            if text(inner(fields, "Options"), "SecurityGroupReferencingSupport") == "enable":
                supported.add(text(fields, "TransitGatewayId"))
        for key, found in self.attachments.items():
            if found.group_references and found.gateway not in supported:
                self.attachments[key] = found._replace(group_references=False)

    def _read_peers(self, collector: Collector) -> None:
        for fields, _, _ in collector.objects("TransitGatewayPeeringAttachments"):
            ends = [
                (text(inner(fields, key), "TransitGatewayId"), text(fields, name))
                for key, name in (
                    ("RequesterTgwInfo", "TransitGatewayAttachmentId"),
                    ("AccepterTgwInfo", "AccepterTransitGatewayAttachmentId"),
                )
            ]
            for key, other in (ends, ends[::-1]):
                if key in self.attachments and other[1]:
                    self.attachments[key] = self.attachments[key]._replace(peer=other[1])

    def _read_routes(self, collector: Collector, vpcs: Mapping[str, VpcRecord]) -> None:
        for fields, _, _ in collector.objects("TransitGatewayStaticRoutes"):
            table = text(fields, "TransitGatewayRouteTableId")
            if flag(fields, "AdditionalRoutesAvailable"):
                collector.report(
                    table, "AWS lists 1,000 routes of a table: the others are not known"
                )
            for item in items(fields, "Routes"):
                self._add_route(table, item, collector)
        by_attachment = {found.id: found for found in self.attachments.values()}
        for fields, _, _ in collector.objects("TransitGatewayPropagations"):
            table = text(fields, "TransitGatewayRouteTableId")
            for item in items(fields, "TransitGatewayRouteTablePropagations"):
                name = text(item, "TransitGatewayAttachmentId")
                vpc = vpcs.get(text(item, "ResourceId"))
                attachment = by_attachment.get(name)
                if text(item, "State") != "enabled" or vpc is None:
                    continue
                for family, members in vpc.blocks.items():
                    if family == 6 and attachment is not None and not attachment.ipv6:
                        continue
                    for block in summarised(family, members):
                        route = rule_ids.route(table, block.text)
                        self._routes[table].append(
                            TransitRoute(route, block.prefix, (name,), False, _VPC)
                        )

    def _add_route(self, table: str, item: Mapping[str, object], collector: Collector) -> None:
        destination, by_list = text(item, "DestinationCidrBlock"), text(item, "PrefixListId")
        block = prefix(destination)
        blocks = (block,) if block else self._prefix_lists.get(by_list, ())
        if not blocks:
            what = f"a route by {by_list}, whose entries are not known" if by_list else ""
            collector.report(table, what or "a route that cannot be read")
            return
        of_it = items(item, "TransitGatewayAttachments")
        kind = text(of_it[0], "ResourceType") if of_it else ""
        rank = _PREFIX_LIST if by_list else _STATIC
        if text(item, "Type") == "propagated":
            rank = _RANKS.get(kind, _PEERING)
        attachments = tuple(sorted(text(one, "TransitGatewayAttachmentId") for one in of_it))
        name = rule_ids.route(table, destination or by_list)
        blackhole = text(item, "State") == "blackhole"
        self._routes[table].extend(
            TransitRoute(name, one, attachments, blackhole, rank) for one in blocks
        )

    def table(self, name: str, family: int) -> LongestPrefix[TransitRoute]:
        """The routes of a table, the longest prefix first and of equal ones the preferred."""
        found = self._tables.get((name, family))
        if found is None:
            routes = [route for route in self._routes.get(name, ()) if route.block.family == family]
            routes.sort(key=lambda route: (route.rank, route))
            found = LongestPrefix((route.block, route) for route in routes)
            self._tables[name, family] = found
        return found

    def of_vpc_by_gateway(self, vpc: str) -> list[tuple[str, AttachmentRecord]]:
        """A VPC's available attachments, one a gateway, by gateway."""
        return self._of_vpc.get(vpc, [])

    def peer_of(self, attachment: AttachmentRecord) -> AttachmentRecord | None:
        """A peering attachment on its other gateway's side, if that gateway is known."""
        if attachment.kind != "peering":
            return None
        key = (attachment.resource, attachment.peer or attachment.id)
        return self.attachments.get(key)
