"""Which changes of findings are announced to subscribers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - a NamedTuple's
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from sidelight.model import FixAvailable, InstanceRef, NetworkFinding, Severity

if TYPE_CHECKING:
    from sidelight.findings.lifecycle import StoredFinding
    from sidelight.model import Finding


class EventKind(StrEnum):
    """The kind of change. UPDATED: the details changed, or a rule suppressed or unsuppressed it."""

    OPENED = "OPENED"
    REOPENED = "REOPENED"
    UPDATED = "UPDATED"
    CLOSED = "CLOSED"


class FindingChange(NamedTuple):
    """A change of a finding, with its new state."""

    kind: EventKind
    finding: int
    instance: InstanceRef
    detail: int
    status: str
    first_observed: datetime
    last_observed: datetime

    @classmethod
    def of(cls, kind: EventKind, finding: StoredFinding, status: str) -> FindingChange:
        """Return the change of a stored finding to a new status."""
        return cls(
            kind, finding.id, finding.place, finding.detail, status, finding.first_observed,
            finding.last_observed,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class AnnouncedFields:
    """The details whose change is an UPDATED event. EPSS is excluded: it changes daily."""

    severity: Severity
    fixed_version: str = ""
    fix_available: FixAvailable = FixAvailable.NO
    exploited_since: str = ""
    sources: tuple[str, ...] = ()


def announced(finding: Finding | NetworkFinding) -> AnnouncedFields:
    """Return the fields of a finding whose change is announced."""
    if isinstance(finding, NetworkFinding):
        return AnnouncedFields(finding.severity, sources=finding.sources)
    return AnnouncedFields(
        finding.severity, finding.fixed_version, finding.fix_available, finding.exploited_since
    )
