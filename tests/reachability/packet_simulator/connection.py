"""A connection: a packet that is accepted, and a reply that arrives where the packet came from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.reachability.packet_simulator import packets
from tests.reachability.packet_simulator.journey import Journey, Sessions
from tests.reachability.packet_simulator.packets import (
    FromAttachment,
    FromInterface,
    FromInternet,
    FromPremises,
    Outcome,
    Packet,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.reachability.packet_simulator.described import Described
    from tests.reachability.packet_simulator.packets import Start

EPHEMERAL = range(1024, 65536)  # ports that clients use (VPC user guide, "Ephemeral ports")


@dataclass(frozen=True, slots=True)
class Connection:
    """What became of a packet, and of the reply to it, where one was sent."""

    there: Outcome
    back: Outcome | None
    established: bool


def connect(network: Described, start: Start, packet: Packet) -> Connection:
    """Send a packet; if a host accepts it, send the reply, and look whether it arrives.

    A host of the internet answers, too; what lies behind other exits is not known.
    """
    sessions = Sessions()
    there = Journey(network, sessions).run(start, packet)
    answering: Start
    if there.verdict == packets.ACCEPTED:
        answering = FromInterface(there.interface)
    elif there.exit == "internet":
        answering = FromInternet()
    else:
        established = there.verdict == packets.EXITS_NETWORK
        return Connection(there, None, established=established)
    back = Journey(network, sessions, reply=True).run(answering, there.packet.reply())
    return Connection(there, back, established=_arrives(start, packet, back))


def _arrives(start: Start, packet: Packet, back: Outcome) -> bool:
    if back.packet != packet.reply():
        return False  # translated on its way: the sender does not know it
    match start:
        case FromInterface(interface):
            return back.verdict == packets.ACCEPTED and back.interface == interface
        case FromInternet():
            return back.verdict == packets.EXITS_NETWORK and back.exit == "internet"
        case FromPremises(gateway):
            return back.verdict == packets.EXITS_NETWORK and back.exit == gateway
        case FromAttachment(_, attachment):
            return back.verdict == packets.EXITS_NETWORK and back.exit == attachment
        case _:
            return False


def best_connection(
    network: Described, start: Start, packet: Packet, client_ports: Iterable[int]
) -> Connection:
    """Try client ports until a connection is established; return that, or else the first."""
    first: Connection | None = None
    for port in client_ports:
        tried = connect(network, start, replace(packet, source_port=port))
        if tried.established:
            return tried
        first = first or tried
        if tried.back is None:
            return first  # no ACL looks at a source port: other ports fare no better
    if first is None:
        raise ValueError("no client port given")
    return first


def client_ports(network: Described) -> list[int]:
    """Return a client port of each range that some ACL entry makes a difference for."""
    edges = {EPHEMERAL.start}
    for acl in network.all("NetworkAcls"):
        for entry in acl["Entries"]:
            ports = entry.get("PortRange")
            if ports:
                edges |= {int(ports["From"]), int(ports["To"]) + 1}
    return sorted(edge for edge in edges if edge in EPHEMERAL)
