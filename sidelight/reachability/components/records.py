"""The objects of a network as the model uses them: checked, small, and without AWS's spelling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidelight.reachability.addresses.intervals import Intervals
    from sidelight.reachability.addresses.prefixes import Prefix

ANY_PROTOCOL: Final = -1
TCP: Final = 6
UDP: Final = 17
INGRESS: Final = "ingress"
EGRESS: Final = "egress"

Blocks = dict[int, "Intervals"]
"""Addresses by family, 4 and 6."""


class VpcRecord(NamedTuple):
    """A VPC: its CIDR blocks, and how it blocks internet gateways (`off`, a mode, or empty).

    `private` are its IPv6 addresses that AWS does not advertise to the internet.
    """

    id: str
    account: str
    region: str
    blocks: Blocks
    blocked: str
    private: Intervals


class SubnetRecord(NamedTuple):
    """A subnet. A shared subnet is its owner's, and its interfaces may be of other accounts."""

    id: str
    vpc: str
    zone: str
    blocks: Blocks
    blocked: str


class OwnAddress(NamedTuple):
    """An address of a network interface. `public` is what an internet gateway maps to it.

    An IPv6 address is its own public one. A delegated prefix has `last` above `number`.
    """

    family: int
    number: int
    last: int
    public: int | None


@dataclass(frozen=True, slots=True)
class InterfaceRecord:
    """A network interface. `kind` is EC2's InterfaceType; without `attached` it has no host."""

    id: str
    account: str
    region: str
    vpc: str
    subnet: str
    instance: str
    device: int
    groups: tuple[str, ...]
    addresses: tuple[OwnAddress, ...]
    kind: str
    description: str
    forwards: bool
    closed_to_gateways: bool
    attached: bool


class FilterRule(NamedTuple):
    """A rule of a security group or an entry of a network ACL, for one peer.

    The peer is a CIDR block, or a security group or a prefix list by its id. For ICMP the
    ports are types. `protocol` is a number, or ANY_PROTOCOL.
    """

    id: str
    allow: bool
    protocol: int
    first_port: int
    last_port: int
    block: Prefix | None
    group: str = ""
    prefix_list: str = ""


class GroupRecord(NamedTuple):
    """A security group: its rules by direction, in any order."""

    id: str
    vpc: str
    rules: Mapping[str, tuple[FilterRule, ...]]


class AclRecord(NamedTuple):
    """A network ACL: its entries by direction, in the order in which EC2 asks them."""

    id: str
    vpc: str
    subnets: tuple[str, ...]
    default: bool
    rules: Mapping[str, tuple[FilterRule, ...]]


class RouteRecord(NamedTuple):
    """A route. `kind` names the target, as local, internet-gateway, peering or transit-gateway.

    `rank` orders routes of the same block: the lowest is used.
    """

    id: str
    block: Prefix | None
    prefix_list: str
    kind: str
    target: str
    blackhole: bool
    rank: int


class RouteTableRecord(NamedTuple):
    """A route table, and what uses it: subnets, gateways (for what enters by them), the VPC."""

    id: str
    vpc: str
    main: bool
    subnets: tuple[str, ...]
    gateways: tuple[str, ...]
    routes: tuple[RouteRecord, ...]


class PeerSide(NamedTuple):
    """One VPC of a peering connection, with the CIDR blocks that the connection lists."""

    vpc: str
    account: str
    region: str
    blocks: Blocks


class PeeringRecord(NamedTuple):
    """A VPC peering connection; other states than active carry nothing."""

    id: str
    active: bool
    sides: tuple[PeerSide, PeerSide]


class NatRecord(NamedTuple):
    """A NAT gateway: `address` is its private address in its subnet, `public` its public one."""

    id: str
    vpc: str
    subnet: str
    available: bool
    address: int | None
    public: int | None


class GatewayRecord(NamedTuple):
    """An internet, egress-only internet or virtual private gateway, and its attached VPCs.

    `inferred` is True if no answer has it, but a route that is active.
    """

    id: str
    kind: str
    vpcs: tuple[str, ...]
    inferred: bool = False


class LinkRecord(NamedTuple):
    """A VPN connection, a virtual interface or a Direct Connect gateway's association.

    `gateway` is the virtual private or transit gateway that it ends at; `up` says whether it is
    in a state that carries packets. `announced` are the addresses that the association's allowed
    prefixes announce to the other side; None if it has no such list.
    """

    id: str
    kind: str
    gateway: str
    up: bool
    announced: Blocks | None = None


class AttachmentRecord(NamedTuple):
    """A transit gateway's attachment: to a VPC, VPN, Direct Connect gateway, peer or Connect.

    `table` is the associated route table, empty if there is none. `subnets` are those with the
    gateway's interfaces. `peer` is the attachment's id on a peer transit gateway's side.
    """

    id: str
    gateway: str
    kind: str
    resource: str
    table: str
    available: bool
    subnets: tuple[str, ...] = ()
    appliance_mode: bool = False
    group_references: bool = False
    ipv6: bool = True
    peer: str = ""


class TransitRoute(NamedTuple):
    """A route of a transit gateway's table; a blackhole has no attachments."""

    id: str
    block: Prefix
    attachments: tuple[str, ...]
    blackhole: bool
    rank: int


class EndpointRecord(NamedTuple):
    """A VPC endpoint. `kind` is Gateway, Interface, GatewayLoadBalancer or another of EC2's."""

    id: str
    vpc: str
    kind: str
    service: str
    available: bool
    interfaces: tuple[str, ...]
    subnets: tuple[str, ...]
