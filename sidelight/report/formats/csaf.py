"""CSAF 2.0, profile VEX (category `csaf_vex`). Source: the OASIS standard, sections 3 and 4.5."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from sidelight.model import VexStatus
from sidelight.report.formats.finding_statements import (
    document_number,
    finding_statements,
    reading_of,
)
from sidelight.report.sbom.machine_boms import named

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from sidelight.report.formats.finding_statements import FindingStatement
    from sidelight.report.formats.scanned_machine import ScannedMachine

_CVE: Final = re.compile(r"CVE-[0-9]{4}-[0-9]{4,}")
_STATUSES: Final = {
    VexStatus.AFFECTED: "known_affected",
    VexStatus.NOT_AFFECTED: "known_not_affected",
    VexStatus.FIXED: "fixed",
}


def write_csaf(machine: ScannedMachine, file: TextIO) -> None:
    """Write the document of one machine. Raises SidelightError where nothing is to be stated."""
    statements = finding_statements(machine, "CSAF")
    numbers: dict[str, str] = {}
    for item in statements:
        for purl in item.products:
            numbers.setdefault(purl, f"P{len(numbers) + 1}")
    by_name: dict[str, list[FindingStatement]] = {}
    for item in statements:
        by_name.setdefault(item.vulnerability, []).append(item)
    names = {purl: package for item in statements for purl, package in item.products.items()}
    products = [
        {
            "product_id": number,
            "name": named(f"{names[purl].name} {names[purl].version}", purl),
            "product_identification_helper": {"purl": purl},
        }
        for purl, number in numbers.items()
    ]
    document = {
        "document": _head(machine),
        "product_tree": {"full_product_names": products},
        "vulnerabilities": [_vulnerability(items, numbers) for items in by_name.values()],
    }
    json.dump(document, file, indent=1)
    file.write("\n")


def _head(machine: ScannedMachine) -> dict[str, object]:
    at = machine.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    reading = reading_of(machine)
    return {
        "category": "csaf_vex",
        "csaf_version": "2.0",
        "title": f"VEX of the {reading}",
        "publisher": {"category": "user", "name": "Sidelight", "namespace": "urn:sidelight:scan"},
        "notes": [{"category": "summary", "text": reading, "title": "How much was read"}],
        "tracking": {
            "id": str(document_number(machine)),
            "status": "final",
            "version": "1",
            "initial_release_date": at,
            "current_release_date": at,
            "revision_history": [{"date": at, "number": "1", "summary": "As scanned."}],
            "generator": {"engine": {"name": "Sidelight", "version": machine.version}},
        },
    }


def _vulnerability(items: Sequence[FindingStatement], numbers: dict[str, str]) -> dict[str, object]:
    name = items[0].vulnerability
    document: dict[str, object] = {"cve": name}
    if not _CVE.fullmatch(name):
        document = {"ids": [{"system_name": "Sidelight", "text": name}]}
    status: dict[str, list[str]] = {}
    flags, threats, remediations = [], [], []
    for item in items:
        ids = [numbers[purl] for purl in item.products]
        status.setdefault(_STATUSES[item.status], []).extend(ids)
        if item.status is VexStatus.AFFECTED:
            category = "vendor_fix" if item.actions else "none_available"
            remediations.append({"category": category, "details": item.action, "product_ids": ids})
        elif item.justification:
            flags.append({"label": item.justification, "product_ids": ids})
        if item.text and item.status is VexStatus.NOT_AFFECTED:
            threats.append({"category": "impact", "details": item.text, "product_ids": ids})
    document["notes"] = [{"category": "description", "text": items[0].title or name}]
    document["product_status"] = {key: list(dict.fromkeys(ids)) for key, ids in status.items()}
    lists = (("flags", flags), ("threats", threats), ("remediations", remediations))
    return document | {key: value for key, value in lists if value}
