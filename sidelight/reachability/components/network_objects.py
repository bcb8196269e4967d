"""The objects of a network by id, read and checked, of all accounts and Regions."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING, Final

from sidelight.reachability.addresses.prefixes import Prefix, address, prefix
from sidelight.reachability.answers.collecting import Collector
from sidelight.reachability.answers.fields import Fields, inner, items, text, texts
from sidelight.reachability.components import reading_filters, reading_objects
from sidelight.reachability.components.network_firewalls import NetworkFirewalls
from sidelight.reachability.components.records import GatewayRecord
from sidelight.reachability.components.transit_gateways import TransitGateways

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.reachability.answers.answers import Answers
    from sidelight.reachability.components.records import (
        AclRecord,
        EndpointRecord,
        InterfaceRecord,
        LinkRecord,
        PeeringRecord,
        RouteTableRecord,
    )

NEEDED: Final = (
    "Vpcs", "Subnets", "RouteTables", "NetworkAcls", "SecurityGroups", "NetworkInterfaces",
    "Reservations",
)  # fmt: skip
"""Without these stems' answers there are no findings, or some that a filter may prevent."""


ENTRY_LIMIT: Final = 10_000
"""Entries of a prefix list that are read: ten times the quota of a list."""


class NetworkObjects:
    """A network's objects by id. `problems` has what could not be read, `absent` needed stems."""

    def __init__(self, answers: Answers) -> None:
        collector = Collector(answers)
        self.absent: frozenset[str] = frozenset(name for name in NEEDED if not collector.has(name))
        for name in sorted(self.absent):
            collector.report(name, "no answer: the model does not account for these objects")
        self._read_objects(collector)
        self._read_filters(collector)
        self._read_gateways(collector)
        self.transit = TransitGateways(collector, self.vpcs, self.prefix_lists)
        self.firewalls = NetworkFirewalls(collector, self.vpcs, self.prefix_lists)
        self.collector = collector

    def _read_objects(self, collector: Collector) -> None:
        self.vpcs = collector.by_id("Vpcs", reading_objects.vpc, lambda found: found.id)
        self.zones = reading_objects.zone_ids(collector)
        self.subnets = collector.by_id(
            "Subnets",
            lambda fields, account, _region: reading_objects.subnet(fields, account, self.zones),
            lambda found: found.id,
        )
        self.interfaces: dict[str, InterfaceRecord] = collector.by_id(
            "NetworkInterfaces", reading_objects.interface, lambda found: found.id
        )
        self.instance_states: dict[str, str] = {}
        for reservation, account, region in collector.objects("Reservations"):
            owner = text(reservation, "OwnerId") or account
            for instance in items(reservation, "Instances"):
                name = text(instance, "InstanceId")
                self.instance_states[name] = text(inner(instance, "State"), "Name")
                for fields in items(instance, "NetworkInterfaces"):
                    found = reading_objects.interface(fields, owner, region, name)
                    if found is not None:
                        self.interfaces.setdefault(found.id, found)

    def _read_filters(self, collector: Collector) -> None:
        report = collector.report
        self.groups = collector.by_id(
            "SecurityGroups",
            lambda fields, _account, _region: reading_filters.security_group(fields, report),
            lambda found: found.id,
        )
        self.acls: dict[str, AclRecord] = collector.by_id(
            "NetworkAcls",
            lambda fields, _account, _region: reading_filters.network_acl(fields, report),
            lambda found: found.id,
        )
        self.tables: dict[str, RouteTableRecord] = collector.by_id(
            "RouteTables",
            lambda fields, _account, _region: reading_filters.route_table(fields, report),
            lambda found: found.id,
        )
        self.prefix_lists: dict[str, tuple[Prefix, ...]] = {}
        self.cut_lists: set[str] = set()
        for fields, _, _ in collector.objects("PrefixLists"):
            self._add_prefix_list(fields, texts(fields, "Cidrs"), collector)
        for fields, _, _ in collector.objects("ManagedPrefixListEntries"):
            entries = items(fields, "Entries")
            cidrs = (text(entry, "Cidr") for entry in entries[: ENTRY_LIMIT + 1])
            self._add_prefix_list(fields, cidrs, collector)

    def _add_prefix_list(self, fields: Fields, cidrs: Iterable[str], collector: Collector) -> None:
        name = text(fields, "PrefixListId")
        listed = list(islice(cidrs, ENTRY_LIMIT + 1))
        if len(listed) > ENTRY_LIMIT:
            self.cut_lists.add(name)
            collector.report(name, f"more than {ENTRY_LIMIT} entries: the rest is not read")
        found = (prefix(cidr) for cidr in listed[:ENTRY_LIMIT])
        blocks = tuple(block for block in found if block is not None)
        if blocks or name not in self.prefix_lists:
            self.prefix_lists[name] = blocks

    def _read_gateways(self, collector: Collector) -> None:
        self.gateways: dict[str, GatewayRecord] = {}
        for stem, kind, key, attachments in (
            ("InternetGateways", "internet-gateway", "InternetGatewayId", "Attachments"),
            (
                "EgressOnlyInternetGateways",
                "egress-only-internet-gateway",
                "EgressOnlyInternetGatewayId",
                "Attachments",
            ),
            ("VpnGateways", "virtual-gateway", "VpnGatewayId", "VpcAttachments"),
        ):
            for fields, _, _ in collector.objects(stem):
                found = reading_objects.gateway(fields, kind, key, attachments)
                if found is not None:
                    self.gateways[found.id] = found
        self._infer_internet_gateways()
        self.peerings: dict[str, PeeringRecord] = collector.by_id(
            "VpcPeeringConnections",
            lambda fields, _account, _region: reading_objects.peering(fields),
            lambda found: found.id,
        )
        self.nats = collector.by_id(
            "NatGateways",
            lambda fields, _account, _region: reading_objects.nat_gateway(fields),
            lambda found: found.id,
        )
        self.endpoints: dict[str, EndpointRecord] = collector.by_id(
            "VpcEndpoints",
            lambda fields, _account, _region: reading_objects.endpoint(fields),
            lambda found: found.id,
        )
        self.links: dict[str, list[LinkRecord]] = defaultdict(list)
        for stem, read in (
            ("VpnConnections", reading_objects.vpn_connection),
            ("VirtualInterfaces", reading_objects.virtual_interface),
            ("DirectConnectGatewayAssociations", reading_objects.direct_connect_association),
        ):
            for fields, _, _ in collector.objects(stem):
                link = read(fields if stem == "VpnConnections" else _camel(fields))
                if link is not None and link not in self.links[link.gateway]:
                    self.links[link.gateway].append(link)
        for links in self.links.values():
            links.sort(key=lambda link: link[:4])
        self.elastic = {
            (text(fields, "NetworkInterfaceId"), text(fields, "PrivateIpAddress")): address(
                text(fields, "PublicIp")
            )
            for fields, _, _ in collector.objects("Addresses")
        }

    def _infer_internet_gateways(self) -> None:
        """Add the internet gateways that only routes name, as to an account with a shared subnet.

        A route is active while its gateway is attached to the VPC, else a blackhole.
        """
        attached = {
            vpc
            for gateway in self.gateways.values()
            if gateway.kind == "internet-gateway"
            for vpc in gateway.vpcs
        }
        for table in sorted(self.tables.values(), key=lambda found: found.id):
            for route in table.routes:
                unknown = route.kind == "internet-gateway" and route.target not in self.gateways
                if unknown and not route.blackhole and table.vpc not in attached:
                    attached.add(table.vpc)
                    self.gateways[route.target] = GatewayRecord(
                        route.target, "internet-gateway", (table.vpc,), inferred=True
                    )


def _camel(value: Fields) -> Fields:
    """Direct Connect's members with a small first letter, as its API writes them; dumps differ."""
    return {
        key[:1].lower() + key[1:]: _camel(item)
        if isinstance(item, dict)
        else [_camel(one) if isinstance(one, dict) else one for one in item]
        if isinstance(item, list)
        else item
        for key, item in value.items()
        if isinstance(key, str)
    }
