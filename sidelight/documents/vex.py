"""VEX documents of a fleet, what they suppress, and how a finding shows it."""

from typing import TypedDict

from sidelight.documents.markers import Timestamp
from sidelight.model import FindingStatus, VexStatus


class VexSuppressionDocument(TypedDict):
    """The VEX statement that suppresses a finding of a fleet.

    `justification` is one of OpenVEX's, or empty. `document` is the document's id, `version`,
    `author` and `issued` are what it says of itself, `file` is the name of its file.
    """

    status: VexStatus
    justification: str
    statement: str
    document: str
    version: str
    author: str
    issued: str
    file: str


class VexSourceDocument(TypedDict):
    """A VEX document whose statements suppress findings. `sha256` is of the file's bytes."""

    identity: str
    format: str
    version: str
    author: str
    issued: str
    file: str
    sha256: str
    statements: int
    added_at: Timestamp | None


class VexOutcomeDocument(TypedDict):
    """What became of a document. `version_before` is the stored version, empty if there was none.

    `outcome` is added, replaced, unchanged or older (left out). `unmatched` counts its statements
    about no open finding.
    """

    file: str
    identity: str
    format: str
    version: str
    version_before: str
    author: str
    statements: int
    unmatched: int
    outcome: str


class StatedFindingDocument(TypedDict):
    """A finding that becomes suppressed or active. The statement's members are empty for active."""

    arn: str
    account: str
    region: str
    instance: str
    vulnerability: str
    package: str
    package_version: str
    status: FindingStatus
    vex_status: str
    justification: str
    statement: str
    file: str


class VexAdditionDocument(TypedDict):
    """What `sidelight fleet suppress add-vex` changed, or with --dry-run would change.

    `changed` counts the findings that were changed: 0 with --dry-run.
    """

    documents: list[VexOutcomeDocument]
    findings: list[StatedFindingDocument]
    changed: int
