"""What every part of a packet's way shares: the network, the packet, and where it has been."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from tests.reachability.packet_simulator import packets
from tests.reachability.packet_simulator.described import holds
from tests.reachability.packet_simulator.packets import (
    Outcome,
    Stopper,
)
from tests.reachability.packet_simulator.routers import Route, vpc_route

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.reachability.packet_simulator.described import Described, Item
    from tests.reachability.packet_simulator.packets import Address, Packet

Step: TypeAlias = "Callable[[], Step | Outcome]"


@dataclass(slots=True)
class Sessions:
    """What stateful gateways remember of a connection's first packet."""

    senders: dict[tuple[str, Address, int, int], Address] = field(default_factory=dict)
    # IPv6 sender and target of what left by an egress-only gateway -> that gateway and its VPC.
    outbound: dict[tuple[Address, Address], tuple[str, str]] = field(default_factory=dict)


class PacketWay(ABC):
    """One packet on its way: the state, and the steps that each part hands it on to."""

    packet: Packet  # of `run`

    def __init__(
        self, network: Described, sessions: Sessions, *, reply: bool = False, goal: str = ""
    ) -> None:
        """`goal` is the peering connection beyond which the one who asked is."""
        self.network = network
        self.sessions = sessions
        self.is_reply = reply
        self.goal = goal
        self.is_translated = False  # by a NAT gateway, on this way
        self.hops: list[str] = []
        self.sender = ""  # the interface that referenced groups are compared with
        self.zone = ""  # of the sender, while it is in a VPC

    @abstractmethod
    def _follow(self, route: Route, vpc: str, subnet: str) -> Step | Outcome: ...

    @abstractmethod
    def _router(self, vpc: str) -> Step | Outcome: ...

    @abstractmethod
    def _enter_subnet(self, vpc: str, subnet: str, *, filtered: bool = True) -> Step | Outcome: ...

    def _stop(self, verdict: str, stopper: Stopper | None, **more: str) -> Outcome:
        return Outcome(verdict, tuple(self.hops), self.packet, stopper, **more)

    def _in_subnet(self, subnet: str) -> bool:
        return any(holds(block, self.packet.target) for block in self.network.subnet_blocks(subnet))

    def _from_edge(self, gateway: str, vpc: str) -> Step | Outcome:
        """Enter a VPC: by the gateway's own route table, where it has one."""
        table = self.network.table_of_gateway(gateway)
        if table:
            route = vpc_route(self.network, table, self.packet.target)
            if route is None:
                return self._stop(packets.NO_ROUTE, table_stopper(table))
            if not route.alive:
                return self._stop(packets.NULL_ROUTED, table_stopper(table, route))
            return partial(self._follow, route, vpc, "")
        return partial(self._router, vpc)


def table_stopper(table: Item | None, route: Route | None = None) -> Stopper:
    identity = table["RouteTableId"] if table else ""
    return Stopper(identity, "AWS::EC2::RouteTable", route.block if route else "")
