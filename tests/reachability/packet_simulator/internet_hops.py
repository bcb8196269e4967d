"""A packet at gateways to the internet, and between them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tests.reachability.packet_simulator import packets
from tests.reachability.packet_simulator.packet_way import PacketWay
from tests.reachability.packet_simulator.packets import (
    Outcome,
    Stopper,
    is_private,
)

if TYPE_CHECKING:
    from tests.reachability.packet_simulator.packet_way import Step
    from tests.reachability.packet_simulator.packets import Address


class InternetHops(PacketWay):
    """The steps of a packet that leaves to the internet, or comes from it."""

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
