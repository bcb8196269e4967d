"""A comparison as one CSV table: findings first, then coverage, each row with its causes."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Final

from sidelight.report.finding_reports import inert

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from sidelight.documents.inspector_comparison import (
        InspectorComparisonDocument,
        StatedCauseDocument,
    )

_SIDES: Final = ("sidelight", "inspector")
_EVIDENCE: Final = (
    "status", "severity", "severity_source", "vulnerability", "package", "version",
    "fixed_version", "path", "ports", "interface", "edge", "first_observed", "last_observed", "arn",
)  # fmt: skip
_COVERAGE: Final = ("status_code", "reason", "scan_mode", "scanned_at")
COLUMNS: Final = (
    "record", "verdict", "cause", "evidence", "other_causes", "account", "region", "instance",
    "type", *(f"{side}_{name}" for name in (*_EVIDENCE, *_COVERAGE) for side in _SIDES),
)  # fmt: skip


def write_comparison(document: InspectorComparisonDocument, file: TextIO) -> None:
    """Write the header, a row for each finding, and a row for each scan type of an instance."""
    writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for found in document["findings"]:
        row = {"record": "finding", "type": found["type"], **_causes(found["causes"])}
        _write(writer, row, found)
    for covered in document["coverage"]:
        row = {"record": "coverage", "type": covered["scan_type"], **_causes(covered["causes"])}
        _write(writer, row, covered)


def _write(
    writer: csv.DictWriter[str], row: Mapping[str, object], record: Mapping[str, object]
) -> None:
    place = {name: record[name] for name in ("verdict", "account", "region", "instance")}
    sides = {
        f"{side}_{name}": value
        for side in _SIDES
        if isinstance(evidence := record[side], dict)
        for name, value in evidence.items()
        if name in {*_EVIDENCE, *_COVERAGE}
    }
    cells = {**row, **place, **sides}
    writer.writerow({name: "" if value is None else inert(value) for name, value in cells.items()})


def _causes(causes: list[StatedCauseDocument]) -> dict[str, str]:
    if not causes:
        return {}
    first, *more = causes
    return {
        "cause": first["cause"],
        "evidence": first["evidence"],
        "other_causes": "; ".join(f"{item['cause']}: {item['evidence']}" for item in more),
    }
