"""What is drawn so far: the answers, the parts of the VPCs, and the counter that makes ids."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from tests.reachability.random_networks import blocks

if TYPE_CHECKING:
    from random import Random

ACCOUNT = "111111111111"
Item: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class Vpc:
    """What the parts of a drawn VPC are called."""

    number: int
    id: str
    six: bool
    subnets: list[Item] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    internet_gateway: str = ""
    egress_only: str = ""
    virtual_gateway: str = ""
    peerings: list[tuple[str, Vpc]] = field(default_factory=list)
    transit_gateways: list[str] = field(default_factory=list)
    nats: list[str] = field(default_factory=list)
    interfaces: list[str] = field(default_factory=list)
    endpoint: str = ""


class Drawing:
    """Answers while they are drawn, and the counters that make ids."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.answers: dict[str, list[Item]] = {}
        self.vpcs: list[Vpc] = []
        self.lists: list[str] = []
        self._count = 0

    def identity(self, prefix: str) -> str:
        """Return a new id of EC2's form."""
        self._count += 1
        return f"{prefix}-{self._count:017x}"

    def number(self) -> int:
        """Return a new small number."""
        self._count += 1
        return self._count

    def add(self, name: str, item: Item) -> Item:
        """Add an item to the answer of a name."""
        self.answers.setdefault(name, []).append(item)
        return item

    def known(self) -> list[str]:
        """Return blocks of the VPCs and subnets drawn so far, and of some hosts."""
        found = []
        for vpc in self.vpcs:
            found.append(blocks.vpc_block(vpc.number))
            for part in range(len(vpc.subnets)):
                found += [
                    blocks.subnet_block(vpc.number, part),
                    blocks.host(vpc.number, part, 10) + "/32",
                ]
        return found

    def known_six(self) -> list[str]:
        """Return the same of IPv6."""
        found = []
        for vpc in self.vpcs:
            if vpc.six:
                found.append(blocks.vpc_block_six(vpc.number))
                found += [
                    blocks.subnet_block_six(vpc.number, part) for part in range(len(vpc.subnets))
                ]
        return found
