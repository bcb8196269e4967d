"""Events of coverage and of scans in Inspector's shapes, and its dates in events of findings.

Source: Inspector's user guide, "Amazon EventBridge event schema for Amazon Inspector events".
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sidelight.model import Severity
from sidelight.report.inspector2_documents import envelope

if TYPE_CHECKING:
    from sidelight.documents.inspector2 import (
        CoverageEventDocument,
        FleetEventOrigin,
        InspectorFinding,
        ScanEventDocument,
    )
    from sidelight.model import CoverageEvent, ScanEvent

COVERAGE_TYPE: Final = "Inspector2 Coverage"
SCAN_TYPE: Final = "Inspector2 Scan"
VERSION: Final = "1.0"
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


def coverage_event_document(event: CoverageEvent, deployment: str) -> CoverageEventDocument:
    """Return the event of a change of an instance's coverage: `Inspector2 Coverage`."""
    change = event.change
    document: CoverageEventDocument = {
        **envelope(event, COVERAGE_TYPE, change.account, change.region, change.instance),
        "detail": {
            "scanStatus": {"reason": change.reason, "statusCodeValue": change.status_code},
            "scanType": change.scan_type,
            "provider": "AWS",
            "providerAccountId": change.account,
            "providerRegion": change.region,
            "eventTimestamp": event.at.isoformat(),
            "version": VERSION,
            "sidelight": _origin(event.sequence, change.region, deployment),
        },
    }
    if change.scan_mode:
        document["detail"]["scanMode"] = change.scan_mode
    return document


def scan_event_document(event: ScanEvent, deployment: str) -> ScanEventDocument:
    """Return the event of an instance's first scan: `Inspector2 Scan`."""
    counts = {severity.value: event.severities.get(severity.value, 0) for severity in _COUNTED}
    return {
        **envelope(event, SCAN_TYPE, event.account, event.region, event.instance),
        "detail": {
            "scan-status": "INITIAL_SCAN_COMPLETE",
            "finding-severity-counts": counts | {"TOTAL": sum(event.severities.values())},
            "instance-id": event.instance,
            "version": VERSION,
            "sidelight": _origin(event.sequence, event.region, deployment),
        },
    }


_COUNTED: Final = (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM)


def _origin(sequence: int, region: str, deployment: str) -> FleetEventOrigin:
    return {"eventId": f"{deployment}-{sequence}", "sequence": sequence, "region": region}


def date_as_inspector(text: str) -> str:
    """Return an ISO 8601 time as Inspector's findings on EventBridge have it, in English.

    `Wed Sep 04 16:55:38.411 UTC 2024`.
    """
    at = datetime.fromisoformat(text).astimezone(UTC)
    clock = f"{at:%H:%M:%S}.{at.microsecond // 1000:03}"
    return f"{_DAYS[at.weekday()]} {_MONTHS[at.month - 1]} {at.day:02} {clock} UTC {at.year:04}"


def use_inspectors_dates(detail: InspectorFinding) -> None:
    """Write the dates of a finding's event as Inspector does."""
    detail["firstObservedAt"] = date_as_inspector(detail["firstObservedAt"])
    detail["lastObservedAt"] = date_as_inspector(detail["lastObservedAt"])
    detail["updatedAt"] = date_as_inspector(detail["updatedAt"])
    for resource in detail["resources"]:
        instance = resource["details"]["awsEc2Instance"] if "details" in resource else {}
        if "launchedAt" in instance:
            instance["launchedAt"] = date_as_inspector(instance["launchedAt"])
