"""Documents of `sidelight network`."""

from typing import Annotated, NotRequired, TypedDict

from sidelight.documents.machine import ListenerDocument, ProblemDocument
from sidelight.documents.markers import OneOf, Timestamp
from sidelight.model import FindingStatus, FindingType, Severity

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


class RuleSuppressionDocument(TypedDict):
    """A suppression rule. `owner` is an account, empty for a rule of the whole fleet."""

    rule: str
    owner: str
    reason: str
    description: str
    expires_at: Timestamp | None


class FleetNetworkFindingDocument(TypedDict):
    """A network finding of an instance, with its history.

    `sources` are the CIDRs that get through, `anywhere` is true if these are all beyond the edge;
    `families` are 4, 6 or both. `steps` are Inspector's path. `suppression` is
    the rule that suppresses the finding, null for one of another state.
    """

    suppression: RuleSuppressionDocument | None
    type: FindingType
    severity: Severity
    headline: str
    title: str
    description: str
    remediation: str
    protocol: str
    open_port_range: PortRangeDocument
    families: list[int]
    interface: str
    edge: NetworkEdgeDocument
    sources: list[str]
    anywhere: bool
    steps: list[PathComponentDocument]
    full_path: list[PathComponentDocument]
    notes: list[str]
    arn: str
    account: str
    region: str
    instance: str
    status: FindingStatus
    first_observed: Timestamp
    last_observed: Timestamp
    updated_at: Timestamp
    closed_at: Timestamp | None


class NetworkChangesDocument(TypedDict):
    """The numbers of findings that an evaluation opened, kept and closed."""

    opened: int
    kept: int
    closed: int


class NetworkEvaluationDocument(TypedDict):
    """The evaluation of an account-region's network (`sidelight fleet network`).

    `instances` is the number that was evaluated, `failure` is empty unless nothing was.
    """

    account: str
    region: str
    instances: int
    findings: NetworkChangesDocument
    problems: list[ProblemDocument]
    failure: str


class ReachedByDocument(TypedDict):
    """How a vulnerable package is reached: the open port, and the service that listens there."""

    network_finding: str
    edge: NetworkEdgeDocument
    anywhere: bool
    listener: ListenerDocument


class AttackPathDocument(TypedDict):
    """Edge, open port, listening service, vulnerable package (`sidelight fleet attack-paths`).

    `network_finding` and `package_finding` are ARNs, `rules` the ids of the rules that open the
    port, `path` the file that names the package.
    """

    account: str
    region: str
    instance: str
    edge: NetworkEdgeDocument
    sources: list[str]
    anywhere: bool
    network_finding: str
    rules: list[str]
    listener: ListenerDocument
    package_finding: str
    package: str
    version: str
    path: str
    vulnerability: str
    severity: Severity
    score: float | None
    exploited_since: str
    fixed_version: str
