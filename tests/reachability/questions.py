"""Questions about a network: a start, a source, a target and a port, from few values that meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.reachability.packet_simulator.described import associations
from tests.reachability.packet_simulator.packets import (
    FromAttachment,
    FromInterface,
    FromInternet,
    FromPremises,
)
from tests.reachability.random_networks import blocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from tests.reachability.packet_simulator.described import Described, Item
    from tests.reachability.packet_simulator.packets import Start


class Question(NamedTuple):
    """One packet: where it may begin, and its addresses as texts."""

    starts: tuple[Start, ...]
    source: str
    target: str
    port: int
    protocol: str


def questions_of(network: Described, random: Random, most: int) -> list[Question]:
    """Return some of the questions that a network's addresses give."""
    found = list(_all(network))
    return random.sample(found, min(most, len(found)))


def _all(network: Described) -> Iterator[Question]:
    for starts, source in starts_of(network):
        for target in _targets(network, starts[0]):
            if (":" in source) is (":" in target) and source != target:
                for port in blocks.PORTS:
                    yield Question(starts, source, target, port, "tcp")
                yield Question(starts, source, target, blocks.PORTS[0], "udp")


def starts_of(network: Described) -> Iterator[tuple[tuple[Start, ...], str]]:
    """Yield where packets may begin, and an address there."""
    yield (FromInternet(),), blocks.INTERNET
    yield (FromInternet(),), blocks.INTERNET_SIX
    premises = tuple(_premises(network))
    if premises:
        yield premises, blocks.PREMISES
    for identity, item in network.interfaces.items():
        if _has_instance(item):
            yield (FromInterface(identity),), item["PrivateIpAddress"]
            for six in item["Ipv6Addresses"]:
                yield (FromInterface(identity),), six["Ipv6Address"]


def _premises(network: Described) -> Iterator[Start]:
    """Yield every gateway or attachment by which a packet from another network may arrive."""
    for gateway in network.all("VpnGateways"):
        if network.has_premises(gateway["VpnGatewayId"]):
            yield FromPremises(gateway["VpnGatewayId"])
    for item in network.all("TransitGatewayAttachments"):
        behind = item["ResourceType"] in {"vpn", "direct-connect-gateway"}
        if behind and item["State"] == "available":
            for zone in blocks.ZONES:
                yield FromAttachment(
                    item["TransitGatewayId"], item["TransitGatewayAttachmentId"], zone
                )


def _targets(network: Described, start: Start) -> Iterator[str]:
    for item in network.interfaces.values():
        if not isinstance(start, FromInternet):
            for address in item["PrivateIpAddresses"]:
                yield address["PrivateIpAddress"]
        if not isinstance(start, FromPremises):
            for _, public in associations(item):
                yield public
        for six in item["Ipv6Addresses"]:
            yield six["Ipv6Address"]
    if isinstance(start, FromInterface):
        yield from (blocks.INTERNET, blocks.INTERNET_SIX, blocks.PREMISES)
        yield blocks.host(0, 0, 77)
        yield blocks.host(0, 200, 1)


def _has_instance(item: Item) -> bool:
    return "InstanceId" in item.get("Attachment", {})
