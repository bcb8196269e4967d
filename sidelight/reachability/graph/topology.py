"""How the objects of a network hang together: an index, made once and never changed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from sidelight.reachability.addresses import intervals
from sidelight.reachability.addresses.prefixes import IPV4, IPV6, LongestPrefix, Prefix, text_of
from sidelight.reachability.components.network_objects import NetworkObjects
from sidelight.reachability.graph.connected_gateways import connected_gateways
from sidelight.reachability.graph.unknown_ways import report_unknown_ways

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.reachability.addresses.intervals import Intervals
    from sidelight.reachability.answers.answers import Answers
    from sidelight.reachability.components.records import (
        EndpointRecord,
        GatewayRecord,
        InterfaceRecord,
        LinkRecord,
        OwnAddress,
        PeeringRecord,
        PeerSide,
        RouteTableRecord,
        SubnetRecord,
    )


class Topology(NetworkObjects):
    """A network's objects by what they belong to.

    Objects that are referred to and absent are not an error here: a look-up gives None or nothing.
    """

    def __init__(self, answers: Answers) -> None:
        super().__init__(answers)
        self._index_vpcs()
        self._index_associations()
        self._index_interfaces()
        self._index_public_addresses()
        self._check_references()
        report_unknown_ways(self)
        self._check_equal_routes()

    def _check_references(self) -> None:
        """Report objects that are referred to and in no answer: deleted between two calls."""
        report = self.collector.report
        for subnet in self.subnets:
            if "RouteTables" not in self.absent and self.table_of_subnet(subnet) not in self.tables:
                report(subnet, "no route table of this subnet is known: nothing gets back from it")
            if "NetworkAcls" not in self.absent and self.acl_of_subnet(subnet) not in self.acls:
                report(subnet, "no network ACL of this subnet is known: taken as open")
        for interface in self.interfaces.values():
            if interface.subnet not in self.subnets and interface.instance:
                report(interface.id, "its subnet is in no answer: no findings")
            for group in interface.groups:
                if group not in self.groups and "SecurityGroups" not in self.absent:
                    report(group, "this security group of an interface is in no answer")

    def _check_equal_routes(self) -> None:
        """Report blocks of two prefix lists with different targets: AWS chooses either at random.

        [VPC user guide, "Route priority and prefix lists".]
        """
        for table in self.tables.values():
            routes = [route for route in table.routes if route.prefix_list]
            if len({route.target for route in routes}) < 2:
                continue
            targets: dict[Prefix, set[str]] = defaultdict(set)
            for route in routes:
                for block in self.prefix_lists.get(route.prefix_list, ()):
                    targets[block].add(route.target)
            for block in sorted(block for block, found in targets.items() if len(found) > 1)[:1]:
                either = " or ".join(sorted(targets[block]))
                cidr = f"{text_of(block.family, block.first)}/{block.length}"
                what = f"which target AWS chose for {cidr} of several prefix lists: {either}"
                self.collector.report(table.id, f"not accounted for: {what}")

    def _index_vpcs(self) -> None:
        self.subnets_of: dict[str, list[SubnetRecord]] = defaultdict(list)
        for found in sorted(self.subnets.values(), key=lambda found: found.id):
            self.subnets_of[found.vpc].append(found)
        self._by_block: dict[tuple[str, int], LongestPrefix[str]] = {}
        self.gateways_of: dict[str, list[GatewayRecord]] = defaultdict(list)
        for gateway in sorted(self.gateways.values()):
            for vpc in gateway.vpcs:
                self.gateways_of[vpc].append(gateway)
        self.peerings_of: dict[str, list[PeeringRecord]] = defaultdict(list)
        for peering in sorted(self.peerings.values(), key=lambda found: found.id):
            if peering.active:
                for side in {side.vpc for side in peering.sides}:
                    self.peerings_of[side].append(peering)

    def _index_associations(self) -> None:
        self._acl_of: dict[str, str] = {}
        self._default_acls: dict[str, str] = {}
        for acl in sorted(self.acls.values(), key=lambda found: found.id):
            if acl.default:
                self._default_acls.setdefault(acl.vpc, acl.id)
            for subnet in acl.subnets:
                self._acl_of.setdefault(subnet, acl.id)
        self._table_of: dict[str, str] = {}
        self._main_tables: dict[str, str] = {}
        self.gateway_tables: dict[str, str] = {}
        self.tables_of: dict[str, list[RouteTableRecord]] = defaultdict(list)
        for table in sorted(self.tables.values(), key=lambda found: found.id):
            self.tables_of[table.vpc].append(table)
            if table.main:
                self._main_tables.setdefault(table.vpc, table.id)
            for subnet in table.subnets:
                self._table_of.setdefault(subnet, table.id)
            for gateway in table.gateways:
                self.gateway_tables.setdefault(gateway, table.id)
        self.connected_gateways = connected_gateways(self.transit, self.tables_of)

    def _index_interfaces(self) -> None:
        self.at: dict[tuple[str, int, int], str] = {}
        self.interfaces_of: dict[str, list[str]] = defaultdict(list)
        self._members: dict[str, list[str]] = defaultdict(list)
        delegated: dict[tuple[str, int], list[tuple[Prefix, str]]] = defaultdict(list)
        for name in sorted(self.interfaces):
            found = self.interfaces[name] = self._with_public_addresses(self.interfaces[name])
            if found.instance:
                self.interfaces_of[found.instance].append(name)
            for group in found.groups:
                self._members[group].append(name)
            for own in found.addresses:
                if own.number == own.last:
                    self.at.setdefault((found.vpc, own.family, own.number), name)
                else:
                    delegated[found.vpc, own.family].append((_block(own), name))
        for names in self.interfaces_of.values():
            names.sort(key=lambda name: (self.interfaces[name].device, name))
        self._delegated = {key: LongestPrefix(pairs) for key, pairs in delegated.items()}

    def _index_public_addresses(self) -> None:
        self.public: dict[tuple[int, int], tuple[str, OwnAddress]] = {}
        mapped: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
        public: dict[int, list[tuple[int, int]]] = defaultdict(list)
        blocks: dict[int, list[tuple[Prefix, str]]] = defaultdict(list)
        for name, found in sorted(self.interfaces.items()):
            for own in found.addresses:
                if own.public is None:
                    continue
                self.public.setdefault((own.family, own.public), (name, own))
                mapped[found.vpc, own.family].append((own.number, own.last))
                public[own.family].append((own.public, own.public + own.last - own.number))
                if own.number != own.last:
                    blocks[own.family].append((_block(own), name))
        self._mapped = {key: intervals.of(pairs) for key, pairs in mapped.items()}
        self._public_addresses = {family: intervals.of(found) for family, found in public.items()}
        self._public_blocks = {family: LongestPrefix(found) for family, found in blocks.items()}

    def _with_public_addresses(self, found: InterfaceRecord) -> InterfaceRecord:
        """The interface with its Elastic IP addresses, and no public one for a private IPv6."""
        vpc = self.vpcs.get(found.vpc)
        if vpc is not None and vpc.private:
            found = _without_public(found, vpc.private)
        return self._with_elastic(found) if self.elastic else found

    def _with_elastic(self, found: InterfaceRecord) -> InterfaceRecord:
        """The interface with the Elastic IP addresses that only describe-addresses has."""
        addresses = []
        for own in found.addresses:
            if own.public is None and own.family == 4:
                elastic = self.elastic.get((found.id, text_of(4, own.number)))
                if elastic is not None:
                    own = own._replace(public=elastic[1])  # noqa: PLW2901
            addresses.append(own)
        return replace(found, addresses=tuple(addresses))

    def acl_of_subnet(self, subnet: str) -> str:
        """The id of a subnet's network ACL: the VPC's default one if none is associated."""
        found = self._acl_of.get(subnet)
        record = self.subnets.get(subnet)
        return found or (self._default_acls.get(record.vpc, "") if record else "")

    def table_of_subnet(self, subnet: str) -> str:
        """The id of a subnet's route table: the VPC's main one if none is associated."""
        found = self._table_of.get(subnet)
        record = self.subnets.get(subnet)
        return found or (self._main_tables.get(record.vpc, "") if record else "")

    def subnet_blocks(self, vpc: str, family: int) -> LongestPrefix[str]:
        """The subnet of each address of a VPC."""
        found = self._by_block.get((vpc, family))
        if found is None:
            found = LongestPrefix(
                (Prefix(family, first, last, 0), subnet.id)
                for subnet in self.subnets_of.get(vpc, ())
                for first, last in subnet.blocks.get(family, ())
            )
            self._by_block[vpc, family] = found
        return found

    def members(self, group: str, vpcs: Iterable[str], family: int) -> Intervals:
        """The private addresses of a security group's interfaces in some VPCs."""
        wanted = frozenset(vpcs)
        return intervals.of(
            (own.number, own.last)
            for name in self._members.get(group, ())
            if (found := self.interfaces[name]).vpc in wanted
            for own in found.addresses
            if own.family == family
        )

    def peers_of(self, vpc: str) -> list[str]:
        """The VPCs at the other ends of a VPC's active peering connections."""
        return sorted(
            {side.vpc for peering in self.peerings_of.get(vpc, ()) for side in peering.sides}
            - {vpc}
        )

    def group_scope(self, vpc: str) -> tuple[str, ...]:
        """The VPCs whose security groups a rule in a VPC can name: its own, and its peers.

        A peer of another Region is not among them [VPC peering guide, "Security groups"].
        """
        near = {
            side.vpc
            for peering in self.peerings_of.get(vpc, ())
            if peering.sides[0].region == peering.sides[1].region
            for side in peering.sides
        }
        return (vpc, *sorted(near - {vpc}))

    def joined_to(self, vpc: str) -> list[str]:
        """The VPCs that a peering or transit gateways join to a VPC, whatever their routes."""
        found = dict.fromkeys(self.peers_of(vpc))
        for near, _ in self.transit.of_vpc_by_gateway(vpc):
            for gateway in self.connected_gateways.get(near, (near,)):
                for attachment in self.transit.of_gateway.get(gateway, ()):
                    if attachment.kind == "vpc" and attachment.resource != vpc:
                        found[attachment.resource] = None
        return list(found)

    def interface_at(self, vpc: str, family: int, number: int) -> str | None:
        """The interface that has an address in a VPC, also within a delegated prefix."""
        found = self.at.get((vpc, family, number))
        if found is None and (delegated := self._delegated.get((vpc, family))):
            return delegated.find(number)
        return found

    def nat_at(self, interface: InterfaceRecord) -> str:
        """The id of the NAT gateway of an interface, else the interface's own id."""
        for nat in self.nats.values():
            if nat.vpc == interface.vpc and any(
                own.number == nat.address for own in interface.addresses
            ):
                return nat.id
        return interface.id

    def blocked(self, subnet: str) -> str:
        """How VPC Block Public Access treats a subnet's internet gateway; empty if not at all."""
        record = self.subnets.get(subnet)
        if record is None:
            return ""
        vpc = self.vpcs.get(record.vpc)
        mode = record.blocked or (vpc.blocked if vpc else "")
        return "" if mode == "off" else mode

    def behind_public(self, family: int, number: int) -> tuple[str, int] | None:
        """The interface that has a public address, also within a delegated prefix, and its own.

        An IPv6 address is its own public one. None if no interface of the network has it.
        """
        if (exact := self.public.get((family, number))) is not None:
            return exact[0], exact[1].number
        blocks = self._public_blocks.get(family)
        within = blocks.find(number) if blocks else None
        return None if within is None else (within, number)

    def mapped(self, vpc: str, family: int) -> Intervals:
        """The addresses of a VPC that its internet gateway maps to public ones."""
        return self._mapped.get((vpc, family), ())

    def public_of(self, vpc: str, family: int, addresses: Intervals) -> Intervals:
        """The public addresses of mapped ones. More than one are left as they are."""
        if family == IPV4 and len(addresses) == 1 and addresses[0][0] == addresses[0][1]:
            name = self.at.get((vpc, family, addresses[0][0]))
            for own in self.interfaces[name].addresses if name else ():
                if own.number == addresses[0][0] and own.public is not None:
                    return ((own.public, own.public),)
        return addresses

    def public_addresses(self, family: int) -> Intervals:
        """The public addresses of the network's own interfaces."""
        return self._public_addresses.get(family, ())

    def internet_gateway_of(self, vpc: str) -> str | None:
        """The internet gateway that is attached to a VPC."""
        for gateway in self.gateways_of.get(vpc, ()):
            if gateway.kind == "internet-gateway":
                return gateway.id
        return None

    def notes_on(self, gateway: str) -> tuple[str, ...]:
        """A note on a gateway that is known by a route alone."""
        record = self.gateways.get(gateway)
        if record is None or not record.inferred:
            return ()
        return (f"not accounted for: {gateway}, which is not in the answers",)

    def attached(self, gateway: str, vpc: str) -> bool:
        """Whether a gateway is attached to a VPC; one that is in no answer counts as attached."""
        record = self.gateways.get(gateway)
        return record is None or vpc in record.vpcs

    def vpc_blocks(self, side: PeerSide, family: int) -> Intervals:
        """The CIDR blocks of a peering's VPC: the VPC's own, or what the peering says of it."""
        vpc = self.vpcs.get(side.vpc)
        return (vpc.blocks if vpc else side.blocks).get(family, ())

    def zone_of(self, subnet: str) -> str:
        """The availability zone of a subnet, empty if it is unknown."""
        record = self.subnets.get(subnet)
        return record.zone if record else ""

    def links_of(self, gateway: str) -> list[LinkRecord]:
        """The VPN connections, virtual interfaces and associations that carry packets to it."""
        return [link for link in self.links.get(gateway, ()) if link.up]

    def subnet_of_endpoint(self, endpoint: EndpointRecord) -> str | None:
        """The subnet of a Gateway Load Balancer endpoint: it has one."""
        for name in endpoint.interfaces:
            if name in self.interfaces:
                return self.interfaces[name].subnet
        return next((name for name in endpoint.subnets if name in self.subnets), None)


def _block(own: OwnAddress) -> Prefix:
    """A delegated prefix as a block. Its length is not needed: they do not overlap."""
    return Prefix(own.family, own.number, own.last, 0)


def _without_public(found: InterfaceRecord, private: Intervals) -> InterfaceRecord:
    """The interface without public addresses for IPv6 addresses that are private."""
    return replace(
        found,
        addresses=tuple(
            own._replace(public=None)
            if own.family == IPV6 and intervals.contains(private, own.number)
            else own
            for own in found.addresses
        ),
    )
