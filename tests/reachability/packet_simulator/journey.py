"""The journey of one packet: every step looks at the object that holds it, and hands it on.

A step returns the next step, or the outcome. The sources of each rule are AWS's pages, named beside
the rule. The order of checks at a border is the packet's own: an interface's groups, the subnet's
ACL, the choice of a route on the way out; the ACL, the address, the groups on the way in.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING

from tests.reachability.packet_simulator import packets
from tests.reachability.packet_simulator.filters import groups_allow, number, refusing_acl
from tests.reachability.packet_simulator.firewalls import lets_through, policy_of
from tests.reachability.packet_simulator.internet_hops import InternetHops
from tests.reachability.packet_simulator.network_hops import NetworkHops
from tests.reachability.packet_simulator.packet_way import table_stopper
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
)
from tests.reachability.packet_simulator.routers import Route, vpc_route

if TYPE_CHECKING:
    from tests.reachability.packet_simulator.packet_way import Step
    from tests.reachability.packet_simulator.packets import Start

MOST_STEPS = 200  # a packet that is still under way goes in a circle
NAT_PROTOCOLS = {"6", "17", "1"}


class Journey(InternetHops, NetworkHops):
    """One packet's way through the network, or that of the reply to it."""

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
            return self._stop(packets.NO_ROUTE, table_stopper(table))
        if not route.alive or not self._leads_somewhere(route, subnet):
            return self._stop(packets.NULL_ROUTED, table_stopper(table, route))
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
