"""The way of answers through the NAT gateways that a packet has passed, back to its sender."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.reachability.components.component_types import NAT
from sidelight.reachability.results import ReachabilityVerdict as Verdict
from sidelight.reachability.walk.packets import Trail

if TYPE_CHECKING:
    from sidelight.reachability.walk.packets import PacketOutcome
    from sidelight.reachability.walk.walker import Walker


def nats_passed(trail: Trail) -> list[str]:
    """The ids of the NAT gateways that a packet has passed, in their order."""
    return [component.id for component in trail.components if component.type == NAT]


def behind_nats(back: Walker, trail: Trail, outcomes: list[PacketOutcome]) -> list[PacketOutcome]:
    """Where answers end that go from each NAT gateway to the one before it, and to the sender.

    `trail` is of the packet, `outcomes` are of the answers on their way to the last gateway that it
    has passed. Without such a gateway they are returned as they are; where no answer gets to one of
    the gateways, those that were to get there are.
    """
    topology = back.topology
    nats = nats_passed(trail)
    for index in range(len(nats) - 1, -1, -1):
        arrived = [
            one
            for one in outcomes
            if one.verdict == Verdict.ACCEPTED and _nat_at(back, one.at) == nats[index]
        ]
        if not arrived:
            return outcomes
        before = topology.nats[nats[index - 1]].address if index else None
        dst = trail.senders if before is None else ((before, before),)
        way = Trail((nats[index],))
        outcomes = [
            found
            for one in arrived
            for found in back.from_within(
                topology.nats[nats[index]].subnet, one.bundle._replace(dst=dst), way
            )
        ]
    return outcomes


def _nat_at(back: Walker, name: str) -> str:
    """The id of the NAT gateway of an interface, else the object's own."""
    interface = back.topology.interfaces.get(name)
    return back.topology.nat_at(interface) if interface is not None else name
