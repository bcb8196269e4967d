"""Documents of `sidelight network`."""

from typing import Annotated, NotRequired, TypedDict

from sidelight.documents.machine import ProblemDocument
from sidelight.documents.markers import OneOf
from sidelight.model import Severity

# As sidelight.reachability.results, which is above this folder.
EdgeName = Annotated[
    str,
    OneOf(
        (
            "INTERNET_GATEWAY", "VPC_PEERING", "VIRTUAL_GATEWAY", "DIRECT_CONNECT",
            "TRANSIT_GATEWAY", "PRIVATE_LINK",
        )
    ),
]  # fmt: skip
VerdictName = Annotated[
    str,
    OneOf(
        (
            "ACCEPTED", "DENIED_IN", "DENIED_OUT", "NO_ROUTE", "NULL_ROUTED",
            "NEIGHBOR_UNREACHABLE", "EXITS_NETWORK",
        )
    ),
]  # fmt: skip


class StopDocument(TypedDict):
    """The control that stops a packet; `rule` is null where no single rule does."""

    id: str
    type: str
    rule: str | None


class ExplanationDocument(TypedDict):
    """Whether a packet gets from a source to a target, by which hops, and what stops it."""

    reachable: bool
    verdict: VerdictName
    hops: list[str]
    stopped_by: StopDocument | None


class PortRangeDocument(TypedDict):
    """A range of ports, both ends included."""

    begin: int
    end: int


class NetworkEdgeDocument(TypedDict):
    """From where a path enters a VPC."""

    id: str
    kind: EdgeName


class PathComponentDocument(TypedDict):
    """One object on a path. `type` is its CloudFormation type; `rule` decides, if one does."""

    id: str
    type: str
    rule: NotRequired[str]


class ReachabilityFindingDocument(TypedDict):
    """Ports of an instance's network interface that an edge of its VPC reaches.

    `sources` are the CIDRs that get through; `family` is 4 or 6. `steps` are Inspector's path.
    """

    severity: Severity
    title: str
    description: str
    remediation: str
    account: str
    region: str
    instance: str
    interface: str
    protocol: str
    open_port_range: PortRangeDocument
    family: int
    edge: NetworkEdgeDocument
    sources: list[str]
    anywhere: bool
    steps: list[PathComponentDocument]
    full_path: list[PathComponentDocument]
    notes: list[str]


class NetworkScanDocument(TypedDict):
    """All reachable ports, and what could not be evaluated (`sidelight network scan`)."""

    findings: list[ReachabilityFindingDocument]
    problems: list[ProblemDocument]
