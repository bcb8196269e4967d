"""Amazon Inspector's findings and coverage compared with Sidelight's, with the causes.

Pure: the two sides' records go in, a Comparison comes out (docs/inspector.md).
"""

from sidelight.inspector_comparison.causes import CAUSE_TEXTS, Cause, ReportedBy, StatedCause
from sidelight.inspector_comparison.comparison import (
    Comparison,
    SidelightSide,
    compare,
)
from sidelight.inspector_comparison.differences import ComparedFinding
from sidelight.inspector_comparison.instances import ComparedCoverage, InstanceSides
from sidelight.inspector_comparison.reported import (
    InspectorSide,
    ReportedCoverage,
    ReportedFinding,
    ReportedPackage,
    ReportedPort,
)

__all__ = [
    "CAUSE_TEXTS",
    "Cause",
    "ComparedCoverage",
    "ComparedFinding",
    "Comparison",
    "InspectorSide",
    "InstanceSides",
    "ReportedBy",
    "ReportedCoverage",
    "ReportedFinding",
    "ReportedPackage",
    "ReportedPort",
    "SidelightSide",
    "StatedCause",
    "compare",
]
