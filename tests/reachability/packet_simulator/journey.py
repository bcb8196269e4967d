"""The journey of one packet: every step looks at the object that holds it, and hands it on.

A step returns the next step, or the outcome. The sources of each rule are AWS's pages, named beside
the rule. The order of checks at a border is the packet's own: an interface's groups, the subnet's
ACL, the choice of a route on the way out; the ACL, the address, the groups on the way in.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, TypeAlias

from tests.reachability.packet_simulator import packets
from tests.reachability.packet_simulator.described import holds
from tests.reachability.packet_simulator.filters import groups_allow, number, refusing_acl
from tests.reachability.packet_simulator.firewalls import lets_through, policy_of
from tests.reachability.packet_simulator.packets import (
    FromAttachment,
    FromInterface,
    FromInternet,
    FromPeering,
    FromPremises,
    FromRouter,
    FromSubnet,
    Outcome,
    Packet,
    Stopper,
    is_private,
)
from tests.reachability.packet_simulator.routers import Route, transit_route, vpc_route

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.reachability.packet_simulator.described import Described, Item
    from tests.reachability.packet_simulator.packets import Address, Start

Step: TypeAlias = "Callable[[], Step | Outcome]"

MOST_STEPS = 200  # a packet that is still under way goes in a circle
NAT_PROTOCOLS = {"6", "17", "1"}


@dataclass(slots=True)
class Sessions:
    """What stateful gateways remember of a connection's first packet."""

    senders: dict[tuple[str, Address, int, int], Address] = field(default_factory=dict)
    # IPv6 sender and target of what left by an egress-only gateway -> that gateway and its VPC.
    outbound: dict[tuple[Address, Address], tuple[str, str]] = field(default_factory=dict)


class Journey:
    """One packet's way through the network, or that of the reply to it."""

    def __init__(
        self, network: Described, sessions: Sessions, *, reply: bool = False, goal: str = ""
    ) -> None:
        """`goal` is the peering connection beyond which the one who asked is."""
        self.network = network
        self.sessions = sessions
        self.is_reply = reply
        self.goal = goal
        self.is_translated = False  # by a NAT gateway, on this way
        self.hops: list[str] = []
        self.sender = ""  # the interface that referenced groups are compared with
        self.zone = ""  # of the sender, while it is in a VPC

    def run(self, start: Start, packet: Packet) -> Outcome:
        """Move a packet until it is accepted, stopped, or gone."""
        self.packet = packet
        step: Step | Outcome = self._begin(start)
        for _ in range(MOST_STEPS):
            if isinstance(step, Outcome):
                return step
            step = step()
        return self._stop(packets.NULL_ROUTED, Stopper("", "loop"))

    def _begin(self, start: Start) -> Step | Outcome:
        step: Step | Outcome
        match start:
            case FromInterface(interface):
                step = partial(self._send, interface)
            case FromInternet():
                self.hops.append("internet")
                step = self._backbone
            case FromPremises(gateway):
                self.hops.append("on-prem")
                step = partial(self._virtual_gateway_in, gateway)
            case FromPeering(peering, vpc):
                step = self._out_of_peering(peering, vpc)
            case FromAttachment(gateway, attachment, zone):
                self.hops.append("on-prem")
                self.zone = zone
                step = partial(self._transit_gateway, gateway, attachment)
            case FromRouter(vpc):
                step = partial(self._router, vpc)
            case FromSubnet(subnet):
                step = partial(self._leave_subnet, subnet)
        return step

    def _stop(self, verdict: str, stopper: Stopper | None, **more: str) -> Outcome:
        return Outcome(verdict, tuple(self.hops), self.packet, stopper, **more)

    # Hosts and subnets

    def _send(self, interface: str) -> Step | Outcome:
        """A host sends: its groups look at new connections (they are stateful)."""
        self.hops.append(self.network.owner(interface))
        item = self.network.interfaces[interface]
        self.sender = interface
        self.zone = self.network.subnets[item["SubnetId"]]["AvailabilityZone"]
        subnet = item["SubnetId"]
        if not self.is_reply and not self._may_send(interface):
            return self._stop(packets.DENIED_OUT, Stopper(interface, "AWS::EC2::SecurityGroup"))
        if self._in_subnet(subnet):
            # Within a subnet no route and no ACL applies (VPC user guide, "Network ACL basics").
            return partial(self._deliver, item["VpcId"], subnet)
        return partial(self._leave_subnet, subnet)

    def _may_send(self, interface: str) -> bool:
        # An egress rule that names a group means the addresses of its interfaces. Where the packet
        # goes is not known yet: the far end is the interface with the address, if it is one of the
        # VPC or of a VPC that is peered with it.
        vpc = self.network.interfaces[interface]["VpcId"]
        receiver = self.network.interface_with(vpc, self.packet.target)
        if not receiver:
            for peer in self._peers(vpc):
                receiver = receiver or self.network.interface_with(peer, self.packet.target)
        return groups_allow(
            self.network, interface, self.packet, egress=True, sender="", receiver=receiver
        )

    def _peers(self, vpc: str) -> list[str]:
        peers = []
        for peering in self.network.peerings.values():
            ends = [
                peering["RequesterVpcInfo"].get("VpcId"),
                peering["AccepterVpcInfo"].get("VpcId"),
            ]
            if vpc in ends and peering["Status"]["Code"] == "active":
                peers += [end for end in ends if end != vpc]
        return peers

    def _in_subnet(self, subnet: str) -> bool:
        return any(holds(block, self.packet.target) for block in self.network.subnet_blocks(subnet))

    def _leave_subnet(self, subnet: str, *, hop: bool = True) -> Step | Outcome:
        """The subnet's ACL looks at the packet, then its route table chooses."""
        if hop:
            self.hops.append(subnet)
        refused = refusing_acl(self.network, subnet, self.packet, egress=True)
        if refused:
            return self._stop(packets.DENIED_OUT, refused)
        table = self.network.table_of_subnet(subnet)
        route = table and vpc_route(self.network, table, self.packet.target)
        if not table or not route:
            return self._stop(packets.NO_ROUTE, _table_stopper(table))
        if not route.alive or not self._leads_somewhere(route, subnet):
            return self._stop(packets.NULL_ROUTED, _table_stopper(table, route))
        return partial(self._follow, route, self.network.subnets[subnet]["VpcId"], subnet)

    def _leads_somewhere(self, route: Route, subnet: str) -> bool:
        """A transit gateway takes traffic of the Availability Zones that its attachment is in."""
        if not route.target.startswith("tgw-"):
            return True
        vpc = self.network.subnets[subnet]["VpcId"]
        attachment = self._attachment_of(route.target, vpc)
        zone = self.network.subnets[subnet]["AvailabilityZone"]
        return bool(attachment and self._attachment_subnet(attachment, zone))

    def _follow(self, route: Route, vpc: str, subnet: str) -> Step | Outcome:
        """Hand the packet to a route's target. `subnet` is where it comes from, if from one."""
        target = route.target
        kind = target.partition("-")[0]
        if kind == "local":
            return partial(self._router, vpc)
        self._pass(vpc)
        steps: dict[str, Step] = {
            "igw": partial(self._internet_gateway_out, target, vpc, subnet),
            "eigw": partial(self._egress_only_out, target, vpc, subnet),
            "nat": partial(self._nat_gateway, target, subnet),
            "pcx": partial(self._peering, target, vpc),
            "tgw": partial(self._enter_transit_gateway, target, vpc, subnet),
            "vgw": partial(self._virtual_gateway_out, target),
            "vpce": partial(self._endpoint, target, vpc, subnet),
            "eni": partial(self._middlebox, target),
        }
        return steps[kind]

    def _pass(self, vpc: str) -> None:
        """Note a VPC's router, once where the packet entered the VPC just now."""
        if self.hops[-1:] != [vpc]:
            self.hops.append(vpc)

    def _endpoint(self, endpoint: str, vpc: str, subnet: str) -> Step | Outcome:
        """To AWS's service behind a gateway endpoint, or through an appliance and out again.

        A Gateway Load Balancer's endpoint is an interface in a subnet; what has been inspected goes
        on from there (Gateway Load Balancer guide, "Getting started": route tables).
        """
        self.hops.append(endpoint)
        item = self.network.endpoints.get(endpoint)
        if item is None or item["VpcEndpointType"] == "Gateway":
            return self._stop(packets.EXITS_NETWORK, None, exit=endpoint)
        inner = item["SubnetIds"][0]
        if subnet != inner:
            refused = refusing_acl(self.network, inner, self.packet, egress=False)
            if refused:
                return self._stop(packets.DENIED_IN, refused)
        policy = policy_of(self.network, endpoint)
        if policy and not lets_through(self.network, policy, self.packet, is_reply=self.is_reply):
            return self._stop(packets.DENIED_IN, Stopper(endpoint, "AWS::EC2::VPCEndpoint"))
        self.sender = ""
        self.zone = self.network.subnets[inner]["AvailabilityZone"]
        if self._in_subnet(inner):
            return partial(self._deliver, vpc, inner)
        return partial(self._leave_subnet, inner)

    def _middlebox(self, interface: str) -> Step | Outcome:
        """An interface that is not the target: its host is not known to forward the packet."""
        self.hops.append(self.network.owner(interface))
        return self._stop(packets.DENIED_IN, Stopper(interface, "AWS::EC2::NetworkInterface"))

    def _router(self, vpc: str) -> Step | Outcome:
        """A VPC's router: to the subnet that has the address."""
        self._pass(vpc)
        subnet = self.network.subnet_with(vpc, self.packet.target)
        if not subnet:
            return self._stop(packets.NULL_ROUTED, Stopper(vpc, "AWS::EC2::VPC"))
        return partial(self._enter_subnet, vpc, subnet)

    def _enter_subnet(self, vpc: str, subnet: str, *, filtered: bool = True) -> Step | Outcome:
        self.hops.append(subnet)
        if filtered:
            refused = refusing_acl(self.network, subnet, self.packet, egress=False)
            if refused:
                return self._stop(packets.DENIED_IN, refused)
        return partial(self._deliver, vpc, subnet)

    def _deliver(self, vpc: str, subnet: str) -> Step | Outcome:
        """In a subnet: the interface with the address, its host, and its groups."""
        interface = self.network.interface_with(vpc, self.packet.target)
        if not interface or not self._answers(interface):
            return self._stop(packets.NEIGHBOR_UNREACHABLE, Stopper(subnet, "AWS::EC2::Subnet"))
        nat = self.network.nat_of(interface)
        if nat:
            return partial(self._nat_gateway, nat, subnet)
        self.hops.append(self.network.owner(interface))
        allowed = self.is_reply or groups_allow(
            self.network, interface, self.packet, egress=False, sender=self.sender, receiver=""
        )
        if not allowed:
            return self._stop(packets.DENIED_IN, Stopper(interface, "AWS::EC2::SecurityGroup"))
        return self._stop(packets.ACCEPTED, None, interface=interface)

    def _answers(self, interface: str) -> bool:
        """A detached interface has no host."""
        return bool(self.network.interfaces[interface].get("Attachment"))

    # Gateways to the internet

    def _internet_gateway_out(self, gateway: str, vpc: str, subnet: str) -> Step | Outcome:
        """Translate to the public address; without one the gateway drops the packet.

        VPC Block Public Access stops what leaves by it, in the mode block-ingress all but the
        traffic of NAT gateways (VPC user guide, "Block public access to VPCs and subnets").
        """
        self.hops.append(gateway)
        mode = self.network.block_mode(subnet)
        if mode == "block-bidirectional" or (mode == "block-ingress" and not self.is_translated):
            return self._stop(packets.DENIED_IN, Stopper(gateway, "AWS::EC2::InternetGateway"))
        if self.packet.source.version == 4:
            public = self.network.public_of(vpc, self.packet.source)
            if public is None:
                return self._stop(packets.DENIED_IN, Stopper(gateway, "AWS::EC2::InternetGateway"))
            self.packet = replace(self.packet, source=public)
        if is_private(self.packet.target):
            return self._stop(packets.NULL_ROUTED, Stopper(gateway, "AWS::EC2::InternetGateway"))
        return partial(self._backbone, gateway)

    def _egress_only_out(self, gateway: str, vpc: str, subnet: str) -> Step | Outcome:
        """IPv6 that begins inside. It has no session of what came in by another gateway."""
        self.hops.append(gateway)
        is_blocked = self.network.block_mode(subnet) == "block-bidirectional"
        if self.is_reply or self.packet.source.version != 6 or is_blocked:
            return self._stop(
                packets.DENIED_IN, Stopper(gateway, "AWS::EC2::EgressOnlyInternetGateway")
            )
        if is_private(self.packet.target):
            return self._stop(
                packets.NULL_ROUTED, Stopper(gateway, "AWS::EC2::EgressOnlyInternetGateway")
            )
        self.sessions.outbound[self.packet.source, self.packet.target] = gateway, vpc
        return partial(self._backbone, gateway)

    def _backbone(self, gateway: str = "") -> Step | Outcome:
        """Between internet gateways and the internet: known public addresses, and all others."""
        if not gateway and is_private(self.packet.target):
            return self._stop(packets.NULL_ROUTED, Stopper("internet", "internet"))
        self.hops.append("aws-backbone")
        session = self.sessions.outbound.get((self.packet.target, self.packet.source))
        if session and self.is_reply:
            self.hops.append(session[0])
            return partial(self._router, session[1])
        found = self.network.public_owner(self.packet.target)
        if found is None and gateway:
            self.hops.append("internet")
            return self._stop(packets.EXITS_NETWORK, None, exit="internet")
        if found is None:
            return self._stop(packets.NULL_ROUTED, Stopper("aws-backbone", "internet"))
        return self._from_backbone(*found)

    def _from_backbone(self, interface: str, private: Address) -> Step | Outcome:
        """Into the VPC that has the public address, by its internet gateway."""
        vpc = self.network.interfaces[interface]["VpcId"]
        inbound = self.network.internet_gateway_of(vpc)
        if not inbound:
            return self._stop(packets.NULL_ROUTED, Stopper("aws-backbone", "internet"))
        self.hops.append(inbound)
        if self._is_blocked(interface):
            return self._stop(packets.DENIED_IN, Stopper(inbound, "AWS::EC2::InternetGateway"))
        self.packet = replace(self.packet, target=private)
        self.sender, self.zone = "", ""
        return self._from_edge(inbound, vpc)

    def _is_blocked(self, interface: str) -> bool:
        """Public access from outside; the answers to a NAT gateway's senders may come in."""
        mode = self.network.block_mode(self.network.interfaces[interface]["SubnetId"])
        if mode == "block-ingress":
            return not (self.is_reply and self.network.nat_of(interface))
        return mode == "block-bidirectional"

    def _from_edge(self, gateway: str, vpc: str) -> Step | Outcome:
        """Enter a VPC: by the gateway's own route table, where it has one."""
        table = self.network.table_of_gateway(gateway)
        if table:
            route = vpc_route(self.network, table, self.packet.target)
            if route is None:
                return self._stop(packets.NO_ROUTE, _table_stopper(table))
            if not route.alive:
                return self._stop(packets.NULL_ROUTED, _table_stopper(table, route))
            return partial(self._follow, route, vpc, "")
        return partial(self._router, vpc)

    def _nat_gateway(self, nat: str, subnet: str) -> Step | Outcome:
        """Translate the source, or of a reply the target; what has no session is dropped."""
        item = self.network.nats[nat]
        own = item["NatGatewayAddresses"][0]
        its_subnet = item["SubnetId"]
        interface = own["NetworkInterfaceId"]
        if subnet and subnet != its_subnet:
            refused = refusing_acl(self.network, its_subnet, self.packet, egress=False)
            if refused:
                return self._stop(packets.DENIED_IN, refused)
        self.hops.append(nat)
        stopper = Stopper(nat, "AWS::EC2::NatGateway")
        if number(self.packet.protocol) not in NAT_PROTOCOLS:
            return self._stop(packets.DENIED_IN, stopper)
        arrives = str(self.packet.target) == own["PrivateIp"]
        if arrives:
            sender = self.sessions.senders.get(
                (nat, self.packet.source, self.packet.source_port, self.packet.port)
            )
            if sender is None:
                return self._stop(packets.DENIED_IN, stopper)
            self.packet = replace(self.packet, target=sender)
        else:
            if self.is_reply:
                # A reply that was not asked for through this gateway is not part of a session.
                return self._stop(packets.DENIED_IN, stopper)
            key = (nat, self.packet.target, self.packet.port, self.packet.source_port)
            self.sessions.senders[key] = self.packet.source
            address = self.network.interfaces[interface]["PrivateIpAddress"]
            self.packet = replace(self.packet, source=ip_address(address))
        self.is_translated = True
        self.sender = interface
        self.zone = self.network.subnets[its_subnet]["AvailabilityZone"]
        if self._in_subnet(its_subnet):
            return partial(self._deliver, item["VpcId"], its_subnet)
        return partial(self._leave_subnet, its_subnet, hop=not arrives)

    # Other VPCs and other networks

    def _peering(self, peering: str, vpc: str) -> Step | Outcome:
        """Into the other VPC, if the address is the other VPC's own: peering is not transitive."""
        item = self.network.peerings.get(peering)
        if item is None or item["Status"]["Code"] != "active":
            return self._stop(
                packets.NULL_ROUTED, Stopper(peering, "AWS::EC2::VPCPeeringConnection")
            )
        if not any(holds(block, self.packet.source) for block in self.network.vpc_blocks(vpc)):
            # What is not of this VPC itself does not pass.
            return self._stop(
                packets.NULL_ROUTED, Stopper(peering, "AWS::EC2::VPCPeeringConnection")
            )
        if peering == self.goal:
            return self._stop(packets.EXITS_NETWORK, None, exit=peering)
        ends = [item["RequesterVpcInfo"]["VpcId"], item["AccepterVpcInfo"]["VpcId"]]
        other = next(end for end in ends if end != vpc)
        if other not in self.network.vpcs:
            self.hops.append(other)
            return self._stop(packets.EXITS_NETWORK, None, exit=other)
        if not any(holds(block, self.packet.target) for block in self.network.vpc_blocks(other)):
            self.hops.append(other)
            return self._stop(packets.NULL_ROUTED, Stopper(other, "AWS::EC2::VPC"))
        return partial(self._router, other)

    def _out_of_peering(self, peering: str, vpc: str) -> Step | Outcome:
        """A packet that the other VPC has sent into the connection comes out of it in this one."""
        self.hops.append(peering)
        item = self.network.peerings[peering]
        sides = [item["RequesterVpcInfo"], item["AccepterVpcInfo"]]
        far = next(side["VpcId"] for side in sides if side["VpcId"] != vpc)
        blocks = self.network.vpc_blocks(far)
        if item["Status"]["Code"] != "active" or not any(
            holds(block, self.packet.source) for block in blocks
        ):
            return self._stop(
                packets.NULL_ROUTED, Stopper(peering, "AWS::EC2::VPCPeeringConnection")
            )
        # A group of the other VPC may be referenced within a Region.
        self.sender = self.network.interface_with(far, self.packet.source) or ""
        return partial(self._router, vpc)

    def _attachment_of(self, gateway: str, vpc: str) -> Item | None:
        for item in self.network.all("TransitGatewayVpcAttachments"):
            if (
                item["TransitGatewayId"] == gateway
                and item["VpcId"] == vpc
                and item["State"] == "available"
            ):
                return item
        return None

    def _attachment_subnet(self, attachment: Item, zone: str) -> str:
        for subnet in attachment["SubnetIds"]:
            if self.network.subnets[subnet]["AvailabilityZone"] == zone:
                return str(subnet)
        return ""

    def _enter_transit_gateway(self, gateway: str, vpc: str, subnet: str) -> Step | Outcome:
        """Through the attachment's subnet, whose ACL looks at what comes from instances."""
        attachment = self._attachment_of(gateway, vpc)
        zone = self.network.subnets[subnet]["AvailabilityZone"] if subnet else ""
        inner = attachment and self._attachment_subnet(attachment, zone)
        if not attachment or not inner:
            return self._stop(packets.NULL_ROUTED, Stopper(gateway, "AWS::EC2::TransitGateway"))
        refused = refusing_acl(self.network, inner, self.packet, egress=False)
        if refused:
            self.hops.pop()  # its VPC: the packet does not get beyond the attachment's subnet
            return self._stop(packets.DENIED_IN, refused)
        self.zone = zone  # of the gateway's interface, which a packet in transit has come by, too
        if not self._references(gateway, attachment):
            self.sender = ""
        return partial(self._transit_gateway, gateway, attachment["TransitGatewayAttachmentId"])

    def _references(self, gateway: str, attachment: Item) -> bool:
        """Groups may be referenced over a transit gateway where it and its attachments say so."""
        whole = next(
            (it for it in self.network.all("TransitGateways") if it["TransitGatewayId"] == gateway),
            {},
        )
        options = [whole.get("Options", {}), attachment.get("Options", {})]
        return all(it.get("SecurityGroupReferencingSupport") == "enable" for it in options)

    def _transit_gateway(self, gateway: str, attachment: str) -> Step | Outcome:
        """The table that the attachment is associated with decides."""
        self.hops.append(gateway)
        table = self._associated_table(gateway, attachment)
        route = table and transit_route(self.network, table, self.packet.target)
        stopper = Stopper(table or gateway, "AWS::EC2::TransitGatewayRouteTable")
        if not table or not route:
            return self._stop(packets.NO_ROUTE, stopper)
        if not route.alive:
            return self._stop(packets.NULL_ROUTED, stopper)
        if route.kind == "peering":
            self.sender = ""
            return self._peer_gateway(gateway, route.attachment, route.resource, stopper)
        if route.kind == "vpc":
            return self._leave_transit_gateway(gateway, route.attachment, stopper)
        self.hops.append(route.resource)
        return self._stop(packets.EXITS_NETWORK, None, exit=route.attachment)

    def _associated_table(self, gateway: str, attachment: str) -> str:
        for item in self.network.all("TransitGatewayAttachments"):
            if (
                item["TransitGatewayAttachmentId"] == attachment
                and item["TransitGatewayId"] == gateway
                and item["State"] == "available"
                and item.get("Association", {}).get("State") == "associated"
            ):
                return str(item["Association"]["TransitGatewayRouteTableId"])
        return ""

    def _peer_gateway(
        self, gateway: str, attachment: str, peer: str, stopper: Stopper
    ) -> Step | Outcome:
        for item in self.network.all("TransitGatewayAttachments"):
            if item["TransitGatewayAttachmentId"] == attachment and item["State"] == "available":
                if item["TransitGatewayId"] == gateway and not peer:
                    peer = item["ResourceId"]
                if item["TransitGatewayId"] == peer:
                    return partial(self._transit_gateway, peer, attachment)
        if peer:
            self.hops.append(peer)
            return self._stop(packets.EXITS_NETWORK, None, exit=peer)
        return self._stop(packets.NULL_ROUTED, stopper)

    def _leave_transit_gateway(
        self, gateway: str, attachment: str, stopper: Stopper
    ) -> Step | Outcome:
        """Into a VPC by an attachment's subnet: its table routes, its ACL looks at what goes on.

        The gateway keeps to the sender's Availability Zone where the attachment has a subnet there.
        The ACL of an instance's own subnet is not evaluated for what the gateway brings into it
        (transit gateway guide, "Network ACLs for transit gateways").
        """
        item = next(
            (
                it
                for it in self.network.all("TransitGatewayVpcAttachments")
                if it["TransitGatewayAttachmentId"] == attachment and it["State"] == "available"
            ),
            None,
        )
        if item is None:
            return self._stop(packets.NULL_ROUTED, stopper)
        if not self._references(gateway, item):
            self.sender = ""
        vpc = item["VpcId"]
        goal = self.network.subnet_with(vpc, self.packet.target)
        zones = [self.zone]
        if goal:
            zones.append(self.network.subnets[goal]["AvailabilityZone"])
        inner = next(
            (found for zone in zones if (found := self._attachment_subnet(item, zone))),
            min(item["SubnetIds"]),
        )
        if goal == inner:
            self.hops.append(vpc)
            return partial(self._enter_subnet, vpc, goal, filtered=False)
        self.hops.append(vpc)
        return partial(self._onward, vpc, inner)

    def _onward(self, vpc: str, inner: str) -> Step | Outcome:
        """From an attachment's subnet to where its table says, but not to a virtual gateway.

        A VPC does not carry others' traffic to its virtual gateway (VPC peering guide, "Edge to
        edge routing through a gateway or private connection").
        """
        refused = refusing_acl(self.network, inner, self.packet, egress=True)
        if refused:
            return self._stop(packets.DENIED_IN, refused)
        table = self.network.table_of_subnet(inner)
        route = table and vpc_route(self.network, table, self.packet.target)
        kind = route.target.partition("-")[0] if route else ""
        if not route or not route.alive or kind == "vgw":
            return self._stop(packets.NULL_ROUTED, Stopper(vpc, "AWS::EC2::VPC"))
        return partial(self._follow, route, vpc, inner)

    def _virtual_gateway_out(self, gateway: str) -> Step | Outcome:
        self.hops.append(gateway)
        if not self.network.has_premises(gateway):
            return self._stop(packets.NULL_ROUTED, Stopper(gateway, "AWS::EC2::VPNGateway"))
        return self._stop(packets.EXITS_NETWORK, None, exit=gateway)

    def _virtual_gateway_in(self, gateway: str) -> Step | Outcome:
        self.hops.append(gateway)
        vpc = self.network.virtual_gateway_vpc(gateway)
        if not vpc:
            return self._stop(packets.NO_ROUTE, Stopper(gateway, "AWS::EC2::VPNGateway"))
        return self._from_edge(gateway, vpc)


def _table_stopper(table: Item | None, route: Route | None = None) -> Stopper:
    identity = table["RouteTableId"] if table else ""
    return Stopper(identity, "AWS::EC2::RouteTable", route.block if route else "")
