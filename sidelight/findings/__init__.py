"""The life of findings, of any type: PURE, without store, clock or random numbers."""

from sidelight.findings.announcements import AnnouncedFields, EventKind, FindingChange, announced
from sidelight.findings.identity import key, key_of
from sidelight.findings.lifecycle import (
    FindingPlan,
    NewFinding,
    Observation,
    ReadAgain,
    Reopened,
    StoredFinding,
    closable,
    closing,
    missing_from,
    observing,
    opening,
    reopening,
)
from sidelight.findings.retention import (
    EVENTS_KEPT,
    KEPT_CLOSED,
    KEPT_OF_RETIRED,
    REOPENS_WITHIN,
    reopens,
)

__all__ = [
    "EVENTS_KEPT",
    "KEPT_CLOSED",
    "KEPT_OF_RETIRED",
    "REOPENS_WITHIN",
    "AnnouncedFields",
    "EventKind",
    "FindingChange",
    "FindingPlan",
    "NewFinding",
    "Observation",
    "ReadAgain",
    "Reopened",
    "StoredFinding",
    "announced",
    "closable",
    "closing",
    "key",
    "key_of",
    "missing_from",
    "observing",
    "opening",
    "reopening",
    "reopens",
]
