"""A packet, what becomes of it, and where it begins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

ACCEPTED = "ACCEPTED"
DENIED_IN = "DENIED_IN"
DENIED_OUT = "DENIED_OUT"
NO_ROUTE = "NO_ROUTE"
NULL_ROUTED = "NULL_ROUTED"
NEIGHBOR_UNREACHABLE = "NEIGHBOR_UNREACHABLE"
EXITS_NETWORK = "EXITS_NETWORK"

# Ranges that the internet does not carry (RFC 1918, RFC 6598, RFC 4193, link-local, loopback).
UNROUTED = [
    ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "127.0.0.0/8",
        "fc00::/7",
        "fe80::/10",
        "::1/128",
    )
]


def is_private(address: Address) -> bool:
    """Return whether the internet does not carry packets to an address."""
    return any(address.version == net.version and address in net for net in UNROUTED)


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet of TCP or UDP."""

    source: Address
    target: Address
    protocol: str  # "tcp", "udp", or a protocol's number as text
    port: int
    source_port: int = 50_000

    def reply(self) -> Packet:
        """Return the packet that answers this one."""
        return replace(
            self,
            source=self.target,
            target=self.source,
            port=self.source_port,
            source_port=self.port,
        )


def packet(source: str, target: str, port: int, protocol: str = "tcp") -> Packet:
    """Return a packet from texts."""
    return Packet(ip_address(source), ip_address(target), protocol, port)


class Stopper(NamedTuple):
    """The control that ends a journey: its id, what it is, and its rule where it has rules."""

    id: str
    kind: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a packet ended: the verdict, the hops' ids, the control, and the packet at the end."""

    verdict: str
    hops: tuple[str, ...]
    packet: Packet
    stopper: Stopper | None = None
    interface: str = ""  # of the host that accepted it
    exit: str = ""  # the gateway by which it left


@dataclass(frozen=True, slots=True)
class FromInterface:
    """A packet that a host sends through its network interface."""

    interface: str


@dataclass(frozen=True, slots=True)
class FromInternet:
    """A packet from the internet."""


@dataclass(frozen=True, slots=True)
class FromPremises:
    """A packet that arrives over a VPN or Direct Connect at a virtual gateway."""

    gateway: str


@dataclass(frozen=True, slots=True)
class FromPeering:
    """A packet that comes out of a peering connection into a VPC."""

    peering: str
    vpc: str


@dataclass(frozen=True, slots=True)
class FromAttachment:
    """A packet from a VPN or Direct Connect that is attached to a transit gateway.

    `zone` is the Availability Zone in which it comes to the gateway, which the gateway keeps to.
    """

    gateway: str
    attachment: str
    zone: str = ""


@dataclass(frozen=True, slots=True)
class FromRouter:
    """A packet that is already at a VPC's router (as a test of a single subnet begins)."""

    vpc: str


@dataclass(frozen=True, slots=True)
class FromSubnet:
    """A packet that is in a subnet, without a sender that has a security group."""

    subnet: str


Start: TypeAlias = (
    FromInterface
    | FromInternet
    | FromPremises
    | FromPeering
    | FromAttachment
    | FromRouter
    | FromSubnet
)
