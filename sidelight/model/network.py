"""Findings of networks: which ports of an instance can be reached, from which edge, and how."""

from __future__ import annotations

from dataclasses import dataclass

from sidelight.model.advisories import FixAvailable, Severity
from sidelight.model.finding_types import FindingType


@dataclass(frozen=True, slots=True)
class NetworkStep:
    """One object on a network path. `type` is its CloudFormation type, as `AWS::EC2::NetworkAcl`.

    `rule` is the id of the rule that decides, empty where no single rule does.
    """

    id: str
    type: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class NetworkFinding:
    """A range of ports of one instance's network interface that an edge of its VPC reaches.

    `protocol` is `TCP` or `UDP`; `port_begin` and `port_end` are inclusive. `edge_kind` is one of
    sidelight.reachability's EdgeKind. `families` are 4, 6 or both. `steps` are Inspector's path,
    from the edge inwards; `full_path` has subnets, route tables and rules too. `sources` are the
    CIDRs beyond the edge that get through, `anywhere` is True if these are all. `notes` say what
    the evaluation does not account for.
    """

    protocol: str
    port_begin: int
    port_end: int
    edge_id: str
    edge_kind: str
    interface: str
    severity: Severity
    title: str
    description: str
    remediation: str
    steps: tuple[NetworkStep, ...]
    full_path: tuple[NetworkStep, ...] = ()
    sources: tuple[str, ...] = ()
    anywhere: bool = False
    families: tuple[int, ...] = (4,)
    notes: tuple[str, ...] = ()
    type: FindingType = FindingType.NETWORK_REACHABILITY

    @property
    def headline(self) -> str:
        """Inspector's title."""
        return self.title

    @property
    def fix_available(self) -> FixAvailable:
        """No package fixes a reachable port: a rule of the path does."""
        return FixAvailable.NO

    @property
    def score(self) -> float | None:
        """Inspector has no score of a network finding."""
        return None

    @property
    def ports(self) -> str:
        """`22`, or `8000-8999`."""
        if self.port_begin == self.port_end:
            return str(self.port_begin)
        return f"{self.port_begin}-{self.port_end}"
