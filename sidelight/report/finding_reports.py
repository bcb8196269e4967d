"""Findings as Inspector's reports have them: CSV of 54 columns, or JSON of all members.

Source of the columns: a parser of Inspector's reports that is in use (facts §6).
"""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Final, TextIO

from sidelight.model import Finding, FindingRow, FindingStatus, NetworkFinding, platform_name
from sidelight.report import inspector_terms
from sidelight.report.escape import printable_lines
from sidelight.report.inspector2_documents import finding_document
from sidelight.suppression import api_arn

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sidelight.model import Instance
    from sidelight.report.formats.scanned_machine import ScannedMachine

    Described = tuple[FindingRow, Instance | None, str]

COLUMNS: Final = (
    "AWS Account Id", "Severity", "Fix Available", "Finding Type", "Title", "Description",
    "Finding ARN", "First Seen", "Last Seen", "Last Updated", "Resource ID",
    "Container Image Tags", "Region", "Platform", "Resource Tags", "Affected Packages",
    "Package Installed Version", "Fixed in Version", "Package Remediation", "File Path",
    "Network Paths", "Age (Days)", "Remediation", "Inspector Score", "Inspector Score Vector",
    "Status", "Vulnerability Id", "Vendor", "Vendor Severity", "Vendor Advisory",
    "Vendor Advisory Published", "NVD CVSS3 Score", "NVD CVSS3 Vector", "NVD CVSS2 Score",
    "NVD CVSS2 Vector", "Vendor CVSS3 Score", "Vendor CVSS3 Vector", "Vendor CVSS2 Score",
    "Vendor CVSS2 Vector", "Resource Type", "Ami", "Resource Public Ipv4",
    "Resource Private Ipv4", "Resource Ipv6", "Resource Vpc", "Port Range", "Epss Score",
    "Exploit Available", "Last Exploited At", "Lambda Layers", "Lambda Package Type",
    "Lambda Last Updated At", "Reference Urls", "Detector Name", "Package Manager",
)  # fmt: skip
# What the findings of one scan have no value for: the machine's history and its account.
_OF_INSTANCES: Final = (
    "AWS Account Id", "Finding ARN", "First Seen", "Last Updated", "Age (Days)", "Resource Type",
)  # fmt: skip
# A spreadsheet would run a text that begins with one of these.
# Spreadsheets take full-width signs, and what follows a line's end, for the same.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def write_csv(findings: Iterable[Described], file: TextIO, now: datetime) -> int:
    """Write the header and a line a finding; return the number of findings."""
    writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    count = 0
    for row, instance, platform in findings:
        cells = _cells(row, instance, platform, now)
        writer.writerow({name: inert(value) for name, value in cells.items()})
        count += 1
    return count


def write_machine_csv(machine: ScannedMachine, file: TextIO) -> None:
    """Write one machine's findings in the same columns; suppressed ones follow the active ones.

    The columns of an instance's history and account are empty. There is none for what could not be
    read: the caller reports that.
    """
    writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    platform = platform_name(machine.inventory.os)
    every = [(item, FindingStatus.ACTIVE) for item in machine.findings]
    every += [(item.finding, FindingStatus.SUPPRESSED) for item in machine.suppressed]
    for finding, status in every:
        row = FindingRow(
            0, "", machine.region, machine.name, status, machine.at, machine.at, finding, machine.at
        )
        cells = _cells(row, None, platform, machine.at)
        known = {name: value for name, value in cells.items() if name not in _OF_INSTANCES}
        writer.writerow({name: inert(value) for name, value in known.items()})


def write_json(findings: Iterable[Described], file: TextIO, now: datetime) -> int:
    """Write one object with the list `findings`; return the number of findings."""
    del now
    count = 0
    file.write('{"findings":[')
    for row, instance, platform in findings:
        document: dict[str, object] = dict(finding_document(row, instance))
        document["findingArn"] = api_arn(row.arn)
        if platform:
            document["platform"] = platform
        file.write(",\n" if count else "\n")
        json.dump(document, file)
        count += 1
    file.write("\n]}\n")
    return count


def inert(value: object) -> str:
    """Return a cell that no spreadsheet runs: an apostrophe precedes what it would run.

    Its lines remain; other characters that are invisible or control a terminal are escaped.
    """
    text = str(value)
    shown = printable_lines(text.replace("\r\n", "\n"))
    return f"'{shown}" if text.startswith(_FORMULA) else shown


def _cells(
    row: FindingRow, instance: Instance | None, platform: str, now: datetime
) -> dict[str, object]:
    document = finding_document(row, instance)
    cells: dict[str, object] = {
        "AWS Account Id": row.account,
        "Severity": document["severity"],
        "Finding Type": document["type"],
        "Title": document["title"],
        "Description": document["description"],
        "Finding ARN": api_arn(row.arn),
        "First Seen": document["firstObservedAt"],
        "Last Seen": document["lastObservedAt"],
        "Last Updated": document["updatedAt"],
        "Resource ID": row.instance,
        "Region": row.region,
        "Platform": platform,
        "Age (Days)": (now - row.first_observed).days,
        "Remediation": document["remediation"]["recommendation"]["text"],
        "Status": document["status"],
        "Resource Type": "AWS_EC2_INSTANCE",
    }
    if instance is not None:
        tags = ", ".join(f"{key}:{value}" for key, value in instance.tags)
        cells |= {
            "Resource Tags": tags,
            "Ami": instance.image_id,
            "Resource Vpc": instance.vpc_id,
            "Resource Public Ipv4": ", ".join(instance.public_ipv4),
            "Resource Private Ipv4": ", ".join(instance.private_ipv4),
            "Resource Ipv6": ", ".join(instance.ipv6_addresses),
        }
    if isinstance(row.finding, NetworkFinding):
        path = " > ".join(step.id for step in row.finding.steps)
        return cells | {"Network Paths": path, "Port Range": row.finding.ports}
    return cells | _of_package(row.finding)


def _of_package(finding: Finding) -> dict[str, object]:
    package = inspector_terms.affected(finding)
    cells: dict[str, object] = {
        "Fix Available": finding.fix_available,
        "Affected Packages": package.name,
        "Package Installed Version": finding.package.version,
        "Fixed in Version": package.fixed_version or "NotAvailable",
        "Package Remediation": package.remediation,
        "File Path": package.path,
        "Inspector Score": "" if finding.score is None else finding.score,
        "Inspector Score Vector": finding.score_vector,
        "Vulnerability Id": finding.vulnerability,
        "Vendor": finding.source,
        "Vendor Severity": finding.severity,
        "Vendor Advisory": next(iter(finding.references), ""),
        "Epss Score": "" if finding.epss is None else finding.epss,
        "Exploit Available": "YES" if finding.exploit_available else "NO",
        "Last Exploited At": finding.exploited_since,
        "Reference Urls": ", ".join(finding.references),
        "Package Manager": package.package_manager,
    }
    for score in inspector_terms.scores(finding):
        source = "NVD" if score.source == "NVD" else "Vendor"
        name = f"{source} CVSS{score.version.partition('.')[0]}"
        if f"{name} Score" in COLUMNS and f"{name} Score" not in cells:
            base = "" if score.base_score is None else score.base_score
            cells |= {f"{name} Score": base, f"{name} Vector": score.vector}
    return cells
