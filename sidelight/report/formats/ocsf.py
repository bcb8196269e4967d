"""OCSF 1.5 events as JSON Lines: a Scan Activity, then a Vulnerability Finding for each finding.

Source: schema.ocsf.io, classes 6007, 2002 and, for a fleet's reachable ports, 2004 (Detection
Finding). Times are milliseconds since 1970. The first event states what could not be read: a
machine without findings, and one that was not read, differ in it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from sidelight.model import FixAvailable, Severity, Status
from sidelight.report.escape import printable
from sidelight.report.formats.scanned_machine import (
    MAX_PROBLEMS,
    identity_of,
    links_of,
    network_identity,
    network_sentence,
    remedy_of,
    sentence_of,
    skipped_lines,
    suppression_of,
    title_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

    from sidelight.model import Finding, NetworkFinding, SuppressedFinding
    from sidelight.report.formats.scanned_machine import ScannedMachine

VERSION: Final = "1.5.0"
_SEVERITIES: Final = {
    Severity.CRITICAL: (5, "Critical"),
    Severity.HIGH: (4, "High"),
    Severity.MEDIUM: (3, "Medium"),
    Severity.LOW: (2, "Low"),
    Severity.INFORMATIONAL: (1, "Informational"),
    Severity.UNTRIAGED: (0, "Unknown"),
}
_SCAN, _FINDING, _DETECTION = 6007, 2002, 2004
_COMPLETED, _ERROR, _CREATE = 2, 6, 1  # activities
_SUCCESS, _FAILURE, _NEW, _SUPPRESSED = 1, 2, 1, 3  # statuses


def write_ocsf(machine: ScannedMachine, file: TextIO) -> None:
    """Write the events of one machine, one line each."""
    active = (_finding(machine, item) for item in machine.findings)
    suppressed = (_suppressed_finding(machine, item) for item in machine.suppressed)
    network = (_network_finding(machine, item) for item in machine.network)
    for event in (_scan(machine), *active, *suppressed, *network):
        json.dump(event, file, separators=(",", ":"))
        file.write("\n")


def write_fleet_ocsf(machines: Iterable[ScannedMachine], file: TextIO) -> None:
    """Write the events of each machine, one line each."""
    for machine in machines:
        write_ocsf(machine, file)


def _base(machine: ScannedMachine, kind: int, activity: int) -> dict[str, object]:
    place: dict[str, object] = {}
    if machine.account:
        account = {"uid": machine.account, "type_id": 10}
        place["cloud"] = {"provider": "AWS", "region": machine.region, "account": account}
    return {
        **place,
        "metadata": {
            **({"profiles": ["cloud"]} if place else {}),
            "version": VERSION,
            "product": {
                "name": "Sidelight", "vendor_name": "Sidelight", "version": machine.version
            },
        },
        "time": int(machine.at.timestamp() * 1000),
        "class_uid": kind,
        "category_uid": kind // 1000,
        "activity_id": activity,
        "type_uid": kind * 100 + activity,
    }  # fmt: skip


def _scan(machine: ScannedMachine) -> dict[str, object]:
    status, problems = machine.inventory.status, machine.inventory.problems
    is_failed, is_whole = status is Status.FAILED, status is Status.COMPLETE
    return {
        **_base(machine, _SCAN, _ERROR if is_failed else _COMPLETED),
        "severity_id": 1,
        "status_id": _SUCCESS if is_whole else _FAILURE,
        "status": "Success" if is_whole else "Failure",  # OCSF's caption of the number
        "status_detail": f"{len(problems)} problems" if problems else "",
        "scan": {"name": printable(machine.name), "type_id": 1},
        "total": len(machine.inventory.packages),
        "num_detections": len(machine.findings),
        "unmapped": {
            "status": status.value,
            "problems": [
                {"where": printable(item.where), "what": printable(item.what)}
                for item in problems[:MAX_PROBLEMS]
            ],
            "skipped": skipped_lines(machine),
        },
    }


def _finding(machine: ScannedMachine, finding: Finding) -> dict[str, object]:
    severity, caption = _SEVERITIES[finding.severity]
    return {
        **_base(machine, _FINDING, _CREATE),
        "severity_id": severity,
        "severity": caption,
        "status_id": _NEW,
        "message": sentence_of(finding),
        "finding_info": {
            "uid": identity_of(machine.name, finding),
            "title": title_of(finding),
            "types": [finding.type.value],
        },
        "resources": _resources(machine),
        "vulnerabilities": [_vulnerability(finding)],
    }


def _network_finding(machine: ScannedMachine, finding: NetworkFinding) -> dict[str, object]:
    severity, caption = _SEVERITIES[finding.severity]
    return {
        **_base(machine, _DETECTION, _CREATE),
        "severity_id": severity,
        "severity": caption,
        "status_id": _NEW,
        "message": network_sentence(finding),
        "finding_info": {
            "uid": network_identity(machine.name, finding),
            "title": printable(finding.title),
            "types": [finding.type.value],
        },
        "resources": _resources(machine),
        "remediation": {"desc": printable(finding.remediation) or "none is known"},
    }


def _resources(machine: ScannedMachine) -> list[dict[str, object]]:
    resource: dict[str, object] = {"name": printable(machine.name), "type": "machine"}
    if machine.account:
        resource["uid"] = printable(machine.arn)
    return [resource]


def _suppressed_finding(machine: ScannedMachine, item: SuppressedFinding) -> dict[str, object]:
    return {
        **_finding(machine, item.finding),
        "status_id": _SUPPRESSED,
        "status_detail": suppression_of(item),
    }


def _vulnerability(finding: Finding) -> dict[str, object]:
    name, remedy = printable(finding.vulnerability), remedy_of(finding)
    found: dict[str, object] = {
        "title": title_of(finding),
        "severity": finding.severity.value,
        "affected_packages": [_package(finding, remedy)],
        "references": links_of(finding),
        "is_exploit_available": finding.exploit_available,
        "is_fix_available": finding.fix_available is not FixAvailable.NO,
    }
    if finding.source:
        found["vendor_name"] = printable(finding.source)
    if remedy:
        found["remediation"] = {"desc": remedy}
    if name.startswith("CVE-"):
        found["cve"] = _cve(name, finding)
    else:
        found["advisory"] = {"uid": name}
    return found


def _cve(name: str, finding: Finding) -> dict[str, object]:
    cve: dict[str, object] = {"uid": name}
    if finding.cvss_score is not None:
        vector = printable(finding.cvss_vector)
        prefix = vector.partition("/")[0]
        # CVSS 2 is the only version whose vectors have no prefix.
        version = prefix.removeprefix("CVSS:") if prefix.startswith("CVSS:") else "2.0"
        cve["cvss"] = [
            {"base_score": finding.cvss_score, "vector_string": vector, "version": version}
        ]
    if finding.epss is not None:
        epss: dict[str, object] = {"score": str(finding.epss)}
        if finding.epss_percentile is not None:
            epss["percentile"] = finding.epss_percentile
        cve["epss"] = epss
    return cve


def _package(finding: Finding, remedy: str) -> dict[str, object]:
    package = finding.package
    document: dict[str, object] = {
        "name": printable(package.name) or "unknown",
        "version": printable(package.version) or "unknown",
        "package_manager": printable(package.type),
        "path": printable(package.path),
        "purl": printable(package.purl),
    }
    if package.arch:
        document["architecture"] = printable(package.arch)
    if finding.fixed_version:
        document["fixed_in_version"] = printable(finding.fixed_version)
    if remedy:
        document["remediation"] = {"desc": remedy}
    return document
