"""The open ports of instances by the edge that reaches them: the model's findings, and walked."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any, NamedTuple

from sidelight.reachability import EdgeKind
from tests.reachability.comparison import network_of
from tests.reachability.packet_simulator.balancers import reached, reached_by_private_link
from tests.reachability.packet_simulator.connection import best_connection, client_ports
from tests.reachability.packet_simulator.described import Described, associations
from tests.reachability.packet_simulator.packets import (
    FromAttachment,
    FromInternet,
    FromPeering,
    FromPremises,
    packet,
)
from tests.reachability.random_networks import blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.reachability import Network
    from tests.reachability.packet_simulator.described import Item
    from tests.reachability.packet_simulator.packets import Start

SOURCES = (blocks.INTERNET, blocks.INTERNET_SIX, blocks.PREMISES)


class OpenPort(NamedTuple):
    """A port of an instance that a source address reaches over an edge."""

    edge: str
    source: str
    instance: str
    protocol: str
    port: int


_EDGES = {
    EdgeKind.INTERNET_GATEWAY: "internet",
    EdgeKind.VIRTUAL_GATEWAY: "premises",
    EdgeKind.DIRECT_CONNECT: "premises",
    EdgeKind.VPC_PEERING: "peering",
    EdgeKind.TRANSIT_GATEWAY: "transit",
    EdgeKind.PRIVATE_LINK: "service",
}


def found_ports(answers: dict[str, list[Any]], model: Network | None = None) -> set[OpenPort]:
    """Return the ports that the model's findings open to the sources.

    `model` is the network of the same answers, distinguished by their accounts.
    """
    peered = [source for _, source in _peered(Described(answers))]
    found = list((model or network_of(answers)).findings())
    if any(finding.protocol not in {"TCP", "UDP"} for finding in found):
        raise AssertionError("ICMP and other protocols have no ports, and are not findings")
    return {
        OpenPort(_EDGES[finding.edge_kind], source, finding.instance_id, finding.protocol, port)
        for finding in found
        for source in _of_edge(_EDGES[finding.edge_kind], peered)
        if _has(finding.sources, source)
        for port in blocks.PORTS
        if finding.port_begin <= port <= finding.port_end
    }


def _peered(network: Described) -> Iterator[tuple[FromPeering, str]]:
    """Yield each way out of a peering, with the addresses of the far VPC that are asked about.

    They are those of its interfaces, which referenced groups know, and one that nobody has.
    """
    for item in network.all("VpcPeeringConnections"):
        sides = [item["RequesterVpcInfo"]["VpcId"], item["AccepterVpcInfo"]["VpcId"]]
        for near, far in (sides, sides[::-1]):
            start = FromPeering(item["VpcPeeringConnectionId"], near)
            for interface in network.interfaces.values():
                if interface["VpcId"] == far:
                    yield start, interface["PrivateIpAddress"]
                    for six in interface["Ipv6Addresses"]:
                        yield start, six["Ipv6Address"]
            yield start, str(ip_network(network.vpcs[far]["CidrBlock"])[-7])


def _of_edge(edge: str, peered: list[str]) -> tuple[str, ...]:
    if edge == "peering":
        return tuple(peered)
    if edge == "internet":
        return (blocks.INTERNET, blocks.INTERNET_SIX)
    return (blocks.PREMISES,)


def _has(sources: tuple[str, ...], source: str) -> bool:
    """Return whether an address is in one of these CIDR blocks or first-last ranges."""
    address = ip_address(source)
    for text in sources:
        first, dash, last = text.partition("-")
        if not dash:
            block = ip_network(first)
            first, last = str(block[0]), str(block[-1])
        low, high = ip_address(first), ip_address(last)
        if low.version == address.version and int(low) <= int(address) <= int(high):
            return True
    return False


def walked_ports(answers: dict[str, list[Any]]) -> set[OpenPort]:
    """Return the ports at which the simulator's packets from the sources reach an instance."""
    network = Described(answers)
    ports = client_ports(network)
    found = set()
    for edge, start, source in _starts(network):
        found |= set(_direct(network, edge, start, source, ports))
        for it in reached(network, start, ip_address(source), ports):
            found |= set(_of_target(network, edge, source, *it))
    for it in reached_by_private_link(network, ip_address(blocks.PREMISES), ports):
        found |= set(_of_target(network, "service", blocks.PREMISES, *it))
    return found


def _of_target(network: Described, edge: str, source: str, *target: Any) -> Iterator[OpenPort]:
    interface, protocol, port = target
    instance = network.interfaces[interface].get("Attachment", {}).get("InstanceId")
    if instance:
        yield OpenPort(edge, source, instance, protocol.upper(), port)


def _starts(network: Described) -> Iterator[tuple[str, Start, str]]:
    yield "internet", FromInternet(), blocks.INTERNET
    yield "internet", FromInternet(), blocks.INTERNET_SIX
    for item in network.all("VpnGateways"):
        if network.has_premises(item["VpnGatewayId"]):
            yield "premises", FromPremises(item["VpnGatewayId"]), blocks.PREMISES
    for way, source in _peered(network):
        yield "peering", way, source
    for item in network.all("TransitGatewayAttachments"):
        if item["ResourceType"] in {"vpn", "direct-connect-gateway"}:
            for zone in blocks.ZONES:
                start = FromAttachment(
                    item["TransitGatewayId"], item["TransitGatewayAttachmentId"], zone
                )
                yield "transit", start, blocks.PREMISES


def _direct(
    network: Described, edge: str, start: Start, source: str, ports: list[int]
) -> Iterator[OpenPort]:
    for item in network.interfaces.values():
        instance = item.get("Attachment", {}).get("InstanceId")
        if isinstance(start, FromPeering) and item["VpcId"] != start.vpc:
            continue
        for target in _addresses(item, edge) if instance else ():
            if (":" in source) is not (":" in target):
                continue
            for protocol in ("tcp", "udp"):
                for port in blocks.PORTS:
                    sent = packet(source, target, port, protocol)
                    if best_connection(network, start, sent, ports).arrived:
                        yield OpenPort(edge, source, instance, protocol.upper(), port)


def _addresses(item: Item, edge: str) -> Iterator[str]:
    """Yield the addresses by which packets of an edge may reach an interface."""
    if edge == "internet":
        yield from (public for _, public in associations(item))
    else:
        yield from (it["PrivateIpAddress"] for it in item["PrivateIpAddresses"])
    yield from (it["Ipv6Address"] for it in item["Ipv6Addresses"])
