"""VPCs, subnets, interfaces, gateways, peerings and attachments, from their describe answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.reachability.addresses import intervals
from sidelight.reachability.addresses.internet import INTERNET
from sidelight.reachability.addresses.prefixes import IPV4, IPV6, address, prefix
from sidelight.reachability.answers.fields import Fields, flag, inner, items, number, text, texts
from sidelight.reachability.components.records import (
    AttachmentRecord,
    EndpointRecord,
    GatewayRecord,
    InterfaceRecord,
    LinkRecord,
    NatRecord,
    OwnAddress,
    PeeringRecord,
    PeerSide,
    SubnetRecord,
    VpcRecord,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sidelight.reachability.answers.collecting import Collector
    from sidelight.reachability.components.records import Blocks

_OF_NO_USE: Final = frozenset({"disassociated", "disassociating", "failed", "failing"})
_GONE: Final = frozenset({"deleted", "deleting", "failed", "failing", "rejected", "rejecting"})

# As botocore's model has it, in addition to EC2's answers.
_INTERFACE_KINDS: Final = {"natGateway": "nat_gateway"}


def _blocks(cidrs: Iterable[str]) -> Blocks:
    found: Blocks = {}
    for cidr in cidrs:
        block = prefix(cidr)
        if block is not None:
            pairs = (*found.get(block.family, ()), (block.first, block.last))
            found[block.family] = intervals.of(pairs)
    return found


def _associated(fields: Fields, key: str, state: str, cidr: str) -> Iterator[str]:
    for item in items(fields, key):
        if text(inner(item, state), "State") not in _OF_NO_USE:
            yield text(item, cidr)


def vpc(fields: Fields, account: str, region: str) -> VpcRecord | None:
    """A VPC, None without an id."""
    name = text(fields, "VpcId")
    if not name:
        return None
    cidrs = [
        text(fields, "CidrBlock"),
        *_associated(fields, "CidrBlockAssociationSet", "CidrBlockState", "CidrBlock"),
        *_associated(fields, "Ipv6CidrBlockAssociationSet", "Ipv6CidrBlockState", "Ipv6CidrBlock"),
    ]
    owner = text(fields, "OwnerId") or account
    blocks = _blocks(cidrs)
    return VpcRecord(name, owner, region, blocks, _blocked(fields), _private(fields, blocks))


def _private(fields: Fields, blocks: Blocks) -> intervals.Intervals:
    """IPv6 addresses that never reach the internet: unique local ones, and those marked private.

    [VPC user guide, "IP addressing": private IPv6 addresses are not advertised on the internet.]
    """
    marked = _blocks(
        text(item, "Ipv6CidrBlock")
        for item in items(fields, "Ipv6CidrBlockAssociationSet")
        if text(item, "Ipv6AddressAttribute") == "private"
    )
    unrouted = intervals.difference(blocks.get(IPV6, ()), INTERNET[IPV6])
    return intervals.union(unrouted, marked.get(IPV6, ()))


def _blocked(fields: Fields) -> str:
    """How VPC Block Public Access treats internet gateways here: a mode's name, or empty.

    `off` where it is off, also by an exclusion; a subnet's own setting precedes its VPC's.
    """
    return text(inner(fields, "BlockPublicAccessStates"), "InternetGatewayBlockMode")


def zone_ids(collector: Collector) -> dict[tuple[str, str], str]:
    """The ids of Availability Zones by account and name: each account has names of its own."""
    return {
        (account, text(fields, name)): text(fields, key)
        for stem, name, key in (
            ("AvailabilityZones", "ZoneName", "ZoneId"),
            ("Subnets", "AvailabilityZone", "AvailabilityZoneId"),
        )
        for fields, account, _ in collector.objects(stem)
        if text(fields, key)
    }


def subnet(
    fields: Fields, account: str, zones: Mapping[tuple[str, str], str]
) -> SubnetRecord | None:
    """A subnet, None without an id. Its zone is the zone's id if it is known, else its name."""
    name = text(fields, "SubnetId")
    if not name:
        return None
    cidrs = [
        text(fields, "CidrBlock"),
        *_associated(fields, "Ipv6CidrBlockAssociationSet", "Ipv6CidrBlockState", "Ipv6CidrBlock"),
    ]
    named = text(fields, "AvailabilityZone")
    zone = text(fields, "AvailabilityZoneId") or zones.get((account, named), named)
    return SubnetRecord(name, text(fields, "VpcId"), zone, _blocks(cidrs), _blocked(fields))


def interface(
    fields: Fields, account: str, region: str, instance: str = ""
) -> InterfaceRecord | None:
    """A network interface, None without an id."""
    name = text(fields, "NetworkInterfaceId")
    if not name:
        return None
    attachment = inner(fields, "Attachment")
    zone = text(fields, "AvailabilityZone")
    device = number(attachment, "DeviceIndex")
    return InterfaceRecord(
        name,
        text(fields, "OwnerId") or account,
        region or zone[:-1],
        text(fields, "VpcId"),
        text(fields, "SubnetId"),
        text(attachment, "InstanceId") or instance,
        99 if device is None else device,
        tuple(
            sorted({found for item in items(fields, "Groups") if (found := text(item, "GroupId"))})
        ),
        tuple(_addresses(fields)),
        _INTERFACE_KINDS.get(kind := text(fields, "InterfaceType"), kind),
        text(fields, "Description"),
        not flag(fields, "SourceDestCheck", default=True),
        flag(fields, "DenyAllIgwTraffic"),
        text(fields, "Status") != "available",
    )


def _addresses(fields: Fields) -> Iterator[OwnAddress]:
    seen = set()
    own: Fields = {key: fields.get(key) for key in ("PrivateIpAddress", "Association")}
    listed = sorted(items(fields, "PrivateIpAddresses"), key=lambda item: not flag(item, "Primary"))
    for item in (*listed, own):
        private = address(text(item, "PrivateIpAddress"))
        if private is None or private in seen:
            continue
        seen.add(private)
        public = address(text(inner(item, "Association"), "PublicIp"))
        yield OwnAddress(*private, private[1], None if public is None else public[1])
    for item in items(fields, "Ipv6Addresses"):
        found = address(text(item, "Ipv6Address"))
        if found is not None and found not in seen:
            seen.add(found)
            yield OwnAddress(*found, found[1], _advertised(*found))
    for key, member, family in (
        ("Ipv4Prefixes", "Ipv4Prefix", IPV4),
        ("Ipv6Prefixes", "Ipv6Prefix", IPV6),
    ):
        for item in items(fields, key):
            block = prefix(text(item, member))
            if block is not None and block.family == family:
                outside = _advertised(family, block.first)
                yield OwnAddress(family, block.first, block.last, outside)


def _advertised(family: int, number: int) -> int | None:
    """An IPv6 address is its own public one if the internet routes it; an IPv4 one never is."""
    return number if family == IPV6 and intervals.contains(INTERNET[IPV6], number) else None


def gateway(fields: Fields, kind: str, key: str, attachments: str) -> GatewayRecord | None:
    """A gateway of VPCs, None without an id. Only attached VPCs count."""
    name = text(fields, key)
    if not name or text(fields, "State") in _GONE:
        return None
    vpcs = [
        text(item, "VpcId")
        for item in items(fields, attachments)
        if text(item, "State") in ("available", "attached")
    ]
    return GatewayRecord(name, kind, tuple(sorted(filter(None, vpcs))))


def nat_gateway(fields: Fields) -> NatRecord | None:
    """A NAT gateway, None without an id. A private one has no public address."""
    name = text(fields, "NatGatewayId")
    if not name:
        return None
    of_it = items(fields, "NatGatewayAddresses")
    first = next((item for item in of_it if flag(item, "IsPrimary")), of_it[0] if of_it else {})
    private, public = address(text(first, "PrivateIp")), address(text(first, "PublicIp"))
    return NatRecord(
        name,
        text(fields, "VpcId"),
        text(fields, "SubnetId"),
        text(fields, "State") in ("", "available"),
        None if private is None else private[1],
        None if public is None else public[1],
    )


def peering(fields: Fields) -> PeeringRecord | None:
    """A VPC peering connection, None if its id or a side's VPC is absent."""
    name = text(fields, "VpcPeeringConnectionId")
    sides = []
    for key in ("RequesterVpcInfo", "AccepterVpcInfo"):
        side = inner(fields, key)
        cidrs = [
            text(side, "CidrBlock"),
            *(text(item, "CidrBlock") for item in items(side, "CidrBlockSet")),
            *(text(item, "Ipv6CidrBlock") for item in items(side, "Ipv6CidrBlockSet")),
        ]
        sides.append(
            PeerSide(
                text(side, "VpcId"), text(side, "OwnerId"), text(side, "Region"), _blocks(cidrs)
            )
        )
    if not name or not sides[0].vpc or not sides[1].vpc:
        return None
    return PeeringRecord(
        name, text(inner(fields, "Status"), "Code") == "active", (sides[0], sides[1])
    )


def vpn_connection(fields: Fields) -> LinkRecord | None:
    """A VPN connection; a tunnel that is down may come up, so only its state counts."""
    name = text(fields, "VpnConnectionId")
    if not name:
        return None
    ends_at = text(fields, "VpnGatewayId") or text(fields, "TransitGatewayId")
    return LinkRecord(name, "vpn", ends_at, text(fields, "State") in ("", "available", "pending"))


def virtual_interface(fields: Fields) -> LinkRecord | None:
    """A Direct Connect virtual interface; one with a Direct Connect gateway has no other end."""
    name = text(fields, "virtualInterfaceId")
    if not name:
        return None
    up = text(fields, "virtualInterfaceState") in ("", "available", "down")
    ends_at = text(fields, "virtualGatewayId") or text(fields, "directConnectGatewayId")
    return LinkRecord(name, "virtual-interface", ends_at, up)


def direct_connect_association(fields: Fields) -> LinkRecord | None:
    """A Direct Connect gateway's association with a virtual private or transit gateway."""
    name = text(fields, "directConnectGatewayId")
    ends_at = text(inner(fields, "associatedGateway"), "id")
    if not name or not ends_at:
        return None
    up = text(fields, "associationState") in ("associated", "updating")
    allowed = items(fields, "allowedPrefixesToDirectConnectGateway")
    announced = _blocks(text(item, "cidr") for item in allowed) if allowed else None
    return LinkRecord(name, "direct-connect-gateway", ends_at, up, announced)


def attachment(fields: Fields) -> AttachmentRecord | None:
    """A transit gateway's attachment, None without an id."""
    name = text(fields, "TransitGatewayAttachmentId")
    if not name:
        return None
    association = inner(fields, "Association")
    table = text(association, "TransitGatewayRouteTableId")
    return AttachmentRecord(
        name,
        text(fields, "TransitGatewayId"),
        text(fields, "ResourceType"),
        text(fields, "ResourceId"),
        table if text(association, "State") in ("", "associated") else "",
        text(fields, "State") in ("", "available", "modifying"),
    )


def with_vpc_options(found: AttachmentRecord, fields: Fields) -> AttachmentRecord:
    """The attachment with what describe-transit-gateway-vpc-attachments knows besides."""
    options = inner(fields, "Options")
    return found._replace(
        subnets=tuple(texts(fields, "SubnetIds")),
        appliance_mode=text(options, "ApplianceModeSupport") == "enable",
        group_references=text(options, "SecurityGroupReferencingSupport") == "enable",
        ipv6=text(options, "Ipv6Support") == "enable",
    )


def endpoint(fields: Fields) -> EndpointRecord | None:
    """A VPC endpoint, None without an id."""
    name = text(fields, "VpcEndpointId")
    if not name:
        return None
    return EndpointRecord(
        name,
        text(fields, "VpcId"),
        text(fields, "VpcEndpointType") or "Gateway",
        text(fields, "ServiceName"),
        text(fields, "State").lower() in ("", "available"),
        tuple(texts(fields, "NetworkInterfaceIds")),
        tuple(texts(fields, "SubnetIds")),
    )
