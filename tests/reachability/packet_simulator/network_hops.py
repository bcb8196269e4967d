"""A packet between VPCs, and to other networks: peering, transit and virtual gateways."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.reachability.packet_simulator import packets
from tests.reachability.packet_simulator.described import holds
from tests.reachability.packet_simulator.filters import refusing_acl
from tests.reachability.packet_simulator.packet_way import PacketWay
from tests.reachability.packet_simulator.packets import (
    Outcome,
    Stopper,
)
from tests.reachability.packet_simulator.routers import transit_route, vpc_route

if TYPE_CHECKING:
    from tests.reachability.packet_simulator.described import Item
    from tests.reachability.packet_simulator.packet_way import Step


class NetworkHops(PacketWay):
    """The steps of a packet that leaves its VPC, but not to the internet."""

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
