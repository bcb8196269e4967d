"""A connection: a packet that is accepted, and a reply that arrives where the packet came from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.reachability.packet_simulator import packets
from tests.reachability.packet_simulator.journey import Journey
from tests.reachability.packet_simulator.packet_way import Sessions
from tests.reachability.packet_simulator.packets import (
    FromAttachment,
    FromInterface,
    FromInternet,
    FromPeering,
    FromPremises,
    Outcome,
    Packet,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.reachability.packet_simulator.described import Described, Item
    from tests.reachability.packet_simulator.packets import Start

EPHEMERAL = range(1024, 65536)  # ports that clients use (VPC user guide, "Ephemeral ports")


@dataclass(frozen=True, slots=True)
class Connection:
    """What became of a packet, and of the reply to it, where one was sent."""

    there: Outcome
    back: Outcome | None
    established: bool

    @property
    def arrived(self) -> bool:
        """Whether a host of the network itself took the packet, and the reply came back."""
        return self.established and self.there.verdict == packets.ACCEPTED


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
    goal = start.peering if isinstance(start, FromPeering) else ""
    back = Journey(network, sessions, reply=True, goal=goal).run(answering, there.packet.reply())
    return Connection(there, back, established=_arrives(start, packet, back))


def _arrives(start: Start, packet: Packet, back: Outcome) -> bool:
    if back.packet != packet.reply():
        return False  # translated on its way: the sender does not know it
    match start:
        case FromInterface(interface):
            return back.verdict == packets.ACCEPTED and back.interface == interface
        case FromInternet():
            return back.verdict == packets.EXITS_NETWORK and back.exit == "internet"
        case (
            FromPremises(gateway=exit_by)
            | FromPeering(peering=exit_by)
            | FromAttachment(attachment=exit_by)
        ):
            return back.verdict == packets.EXITS_NETWORK and back.exit == exit_by
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
        if tried.back is None and not network.all("RuleGroups"):
            return first  # no ACL looks at a source port: other ports fare no better
    if first is None:
        raise ValueError("no client port given")
    return first


def client_ports(network: Described) -> list[int]:
    """Return a client port of each range that an ACL entry or a stateless rule distinguishes."""
    edges = {EPHEMERAL.start}
    for acl in network.all("NetworkAcls"):
        for entry in acl["Entries"]:
            ports = entry.get("PortRange")
            if ports:
                edges |= {int(ports["From"]), int(ports["To"]) + 1}
    for group in network.all("RuleGroups"):
        for first, last in _rule_ports(group["RuleGroup"]["RulesSource"]):
            edges |= {first, last + 1}
    return sorted(edge for edge in edges if edge in EPHEMERAL)


def _rule_ports(source: Item) -> Iterator[tuple[int, int]]:
    """Yield the ranges of ports that the rules of a firewall's group distinguish."""
    for rule in source.get("StatelessRulesAndCustomActions", {}).get("StatelessRules", []):
        match = rule["RuleDefinition"]["MatchAttributes"]
        for pair in (*match.get("SourcePorts", []), *match.get("DestinationPorts", [])):
            yield int(pair["FromPort"]), int(pair["ToPort"])
    for rule in source.get("StatefulRules", []):
        for ports in (rule["Header"]["SourcePort"], rule["Header"]["DestinationPort"]):
            if ports != "ANY":  # a rule for any direction has the client's port at either end
                first, _, last = ports.partition(":")
                yield int(first), int(last or first)
