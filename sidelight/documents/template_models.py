"""The variables of a template of the user's own (docs/templates.md)."""

from typing import TypedDict

from sidelight.documents.machine import (
    FindingDocument,
    OsDocument,
    ProblemDocument,
    SuppressedFindingDocument,
)
from sidelight.documents.markers import Timestamp
from sidelight.model import Severity, Status


class ReachablePortDocument(TypedDict):
    """A port of an instance that an edge of its VPC reaches."""

    severity: Severity
    title: str
    description: str
    remediation: str
    protocol: str
    ports: str
    interface: str
    edge: str


class TemplateMachineDocument(TypedDict):
    """A machine. `account`, `region` and `arn` are empty for one that is not an instance.

    `packages` is their number; `findings` are in the order of their severity. `skipped` are the
    globs of --skip-dirs that left something out.
    """

    name: str
    account: str
    region: str
    arn: str
    status: Status
    os: OsDocument
    packages: int
    problems: list[ProblemDocument]
    skipped: list[str]
    findings: list[FindingDocument]
    suppressed: list[SuppressedFindingDocument]
    reachable_ports: list[ReachablePortDocument]


class TemplateModelDocument(TypedDict):
    """All variables. `machines` can be iterated once."""

    version: str
    created_at: Timestamp
    machines: list[TemplateMachineDocument]
