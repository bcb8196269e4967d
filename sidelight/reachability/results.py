"""The network model's results: findings, and explanations of one question."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidelight.model.advisories import Severity


class ReachabilityVerdict(StrEnum):
    """Where a packet ends. The words are those of Batfish's traces and of this project's data.

    DENIED_IN: a filter refuses it on its way to the target, or nothing takes it there.
    DENIED_OUT: the sender's own security group or its subnet's network ACL refuses it.
    NO_ROUTE: a route table on the way has no route. NULL_ROUTED: the route is a blackhole, or the
    address belongs to no subnet. NEIGHBOR_UNREACHABLE: no interface of the subnet has the address.
    EXITS_NETWORK: it leaves the answers that are known, and was not refused in them.
    """

    ACCEPTED = "ACCEPTED"
    DENIED_IN = "DENIED_IN"
    DENIED_OUT = "DENIED_OUT"
    NO_ROUTE = "NO_ROUTE"
    NULL_ROUTED = "NULL_ROUTED"
    NEIGHBOR_UNREACHABLE = "NEIGHBOR_UNREACHABLE"
    EXITS_NETWORK = "EXITS_NETWORK"


class EdgeKind(StrEnum):
    """The edges at which a path enters a VPC. The last two are not among Inspector's."""

    INTERNET_GATEWAY = "INTERNET_GATEWAY"
    VPC_PEERING = "VPC_PEERING"
    VIRTUAL_GATEWAY = "VIRTUAL_GATEWAY"
    DIRECT_CONNECT = "DIRECT_CONNECT"
    TRANSIT_GATEWAY = "TRANSIT_GATEWAY"
    PRIVATE_LINK = "PRIVATE_LINK"


@dataclass(frozen=True, slots=True)
class PathComponent:
    """One object on a path. `type` is its CloudFormation type, as `AWS::EC2::NetworkAcl`.

    `rule` is the rule's id where a rule of the object decides (see `rule_ids`), else empty.
    """

    id: str
    type: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """The control that stops a packet. `rule` is None where no single rule does, as with an SG."""

    id: str
    type: str
    rule: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether a packet gets from a source to a target, by which hops, and what stops it.

    `reachable` is True if a packet arrives and its answer gets back: `verdict` is ACCEPTED, or
    EXITS_NETWORK where the target is outside. `hops` are ids from the source to where it ends.
    `sources` are the CIDRs (or first-last ranges) of the source addresses that get through; a
    verdict other than ACCEPTED speaks of the last of them that was stopped.
    `notes` start with "not accounted for:" where the model cannot know.
    """

    reachable: bool
    verdict: ReachabilityVerdict
    hops: tuple[str, ...]
    stopped_by: Stop | None
    notes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReachabilityFinding:
    """A range of ports of one instance's network interface that an edge of its VPC reaches.

    `protocol` is `TCP` or `UDP`; `port_begin` and `port_end` are inclusive. `steps` are Inspector's
    path, from the edge inwards; `full_path` has subnets, route tables and rules too. `sources` are
    the CIDRs of the source addresses beyond the edge that get through, IPv4 or IPv6 by `family`
    (4 or 6). `notes` say what the model does not account for. `anywhere` is True if `sources` has
    every address beyond the edge, as far as the edge is known.
    """

    instance_id: str
    interface_id: str
    account: str
    region: str
    protocol: str
    port_begin: int
    port_end: int
    edge_kind: EdgeKind
    edge_id: str
    family: int
    severity: Severity
    title: str
    description: str
    remediation: str
    steps: tuple[PathComponent, ...]
    full_path: tuple[PathComponent, ...]
    sources: tuple[str, ...]
    anywhere: bool
    notes: tuple[str, ...] = ()
