"""The sources and targets of a question, as places in the network and sets of addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sidelight.errors import UsageError
from sidelight.reachability.addresses import intervals
from sidelight.reachability.addresses.internet import INTERNET
from sidelight.reachability.addresses.prefixes import ALL, address
from sidelight.reachability.graph.routing import everything_but

if TYPE_CHECKING:
    from sidelight.reachability.addresses.intervals import Intervals
    from sidelight.reachability.components.records import (
        AttachmentRecord,
        InterfaceRecord,
        PeerSide,
    )
    from sidelight.reachability.graph.topology import Topology

_LIMIT = 64  # addresses of one instance that are asked for: EC2 allows 50 an interface


class PacketSource(NamedTuple):
    """Where packets start: an object by its id, and the addresses that they have.

    `kind` is interface, internet, gateway (a virtual private one), attachment (of the transit
    gateway `via`), peering (`via` is the VPC that they enter), vpc or subnet.
    """

    kind: str
    id: str
    family: int
    addresses: Intervals
    via: str = ""


class PacketTarget(NamedTuple):
    """An address to send to, and whether it is one of the network's private ones."""

    family: int
    number: int
    private: bool


def sources(topology: Topology, text: str, targets: list[PacketTarget]) -> list[PacketSource]:
    """The sources that a text means. Raises UsageError for none, or several that differ."""
    families = sorted({target.family for target in targets})
    if text == "internet":
        return [PacketSource("internet", text, family, INTERNET[family]) for family in families]
    if (found := interfaces(topology, text)) is not None:
        return [
            PacketSource("interface", interface.id, own.family, ((own.number, own.number),))
            for interface in found
            for own in interface.addresses
            if own.family in families
        ][:_LIMIT]
    if text in topology.vpcs:
        return [PacketSource("vpc", text, family, ALL[family]) for family in families]
    if text in topology.subnets:
        blocks = topology.subnets[text].blocks
        return [PacketSource("subnet", text, family, blocks.get(family, ())) for family in families]
    if (beyond := _from_edge(topology, text, families)) is not None:
        return beyond
    number = address(text)
    if number is None:
        raise UsageError(
            "no such instance, interface, subnet, VPC, gateway, attachment, peering or address",
            where=text,
        )
    return _from_address(topology, text, number)


def _from_edge(topology: Topology, text: str, families: list[int]) -> list[PacketSource] | None:
    """Sources beyond a gateway, attachment, link or peering; None if the text names none."""
    attachments = [
        found
        for key, found in sorted(topology.transit.attachments.items())
        if text in (found.id, found.gateway) or (text == found.resource and found.kind != "vpc")
    ]
    linked = sorted(gateway for gateway in topology.gateways if _links(topology, gateway, text))
    if not attachments and not linked and text not in topology.peerings:
        return None
    return [
        *(
            PacketSource(
                "attachment", found.id, family, _behind(topology, found, family), found.gateway
            )
            for found in attachments
            for family in families
        ),
        *(
            PacketSource("peering", text, family, topology.vpc_blocks(far, family), near.vpc)
            for near, far in _sides(topology, text)
            for family in families
        ),
        *(
            PacketSource(
                "gateway", name, family, everything_but(family, _blocks(topology, vpc, family))
            )
            for name in linked
            for vpc in topology.gateways[name].vpcs
            for family in families
        ),
    ]


def _links(topology: Topology, gateway: str, text: str) -> bool:
    """Whether a VPN connection, virtual interface or Direct Connect gateway ends at a gateway."""
    record = topology.gateways.get(gateway)
    if record is None or record.kind != "virtual-gateway":
        return False
    ids = {link.id for link in topology.links_of(gateway)}
    return text in (gateway, *ids) or any(
        text == behind.id for name in ids for behind in topology.links_of(name)
    )


def _sides(topology: Topology, text: str) -> list[tuple[PeerSide, PeerSide]]:
    peering = topology.peerings.get(text)
    return [peering.sides, peering.sides[::-1]] if peering else []


def _behind(topology: Topology, attachment: AttachmentRecord, family: int) -> Intervals:
    """The addresses behind an attachment: a VPC's, or any that no answer names."""
    if attachment.kind == "vpc" and attachment.resource in topology.vpcs:
        return _blocks(topology, attachment.resource, family)
    return ALL[family]


def _blocks(topology: Topology, vpc: str, family: int) -> Intervals:
    record = topology.vpcs.get(vpc)
    return record.blocks.get(family, ()) if record else ()


def _from_address(topology: Topology, text: str, number: tuple[int, int]) -> list[PacketSource]:
    family, value = number
    itself = ((value, value),)
    owners = {
        name
        for vpc in topology.vpcs
        if (name := topology.interface_at(vpc, family, value)) is not None
    }
    public = topology.public.get(number)
    if public is not None:
        owners.add(public[0])
        itself = ((public[1].number, public[1].number),)
    if owners:
        return [PacketSource("interface", _only(owners, text), family, itself)]
    if intervals.contains(INTERNET[family], value):
        return [PacketSource("internet", text, family, itself)]
    subnets = {
        name
        for vpc in topology.vpcs
        if (name := topology.subnet_blocks(vpc, family).find(value)) is not None
    }
    if subnets:
        return [PacketSource("subnet", _only(subnets, text), family, itself)]
    return [
        *(
            PacketSource("gateway", gateway.id, family, itself)
            for gateway in topology.gateways.values()
            if gateway.kind == "virtual-gateway"
        ),
        *(
            PacketSource("attachment", found.id, family, itself, found.gateway)
            for _, found in sorted(topology.transit.attachments.items())
            if found.kind != "vpc" and topology.transit.peer_of(found) is None
        ),
    ]


def _only(names: set[str], text: str) -> str:
    if len(names) > 1:
        raise UsageError(
            f"several have this address; name one of {', '.join(sorted(names)[:8])}", where=text
        )
    return next(iter(names))


def targets(topology: Topology, text: str, family: int | None) -> list[PacketTarget]:
    """The addresses that a text means, those of the network itself first. Raises UsageError."""
    if (found := interfaces(topology, text)) is not None:
        own = [own for interface in found for own in interface.addresses][:_LIMIT]
        result = [PacketTarget(one.family, one.number, private=True) for one in own]
        result += [
            PacketTarget(one.family, one.public, private=False)
            for one in own
            if one.public is not None and one.family == 4
        ]
    else:
        number = address(text)
        if number is None:
            raise UsageError("no such instance, interface or address", where=text)
        result = [PacketTarget(*number, private=False)]
    return [target for target in result if family in (None, target.family)]


def interfaces(topology: Topology, text: str) -> list[InterfaceRecord] | None:
    """The interfaces of an instance, or one by its id; None if the text is neither."""
    if text in topology.interfaces:
        return [topology.interfaces[text]]
    names = topology.interfaces_of.get(text)
    if names is None and text not in topology.instance_states:
        return None
    return [topology.interfaces[name] for name in names or ()]
