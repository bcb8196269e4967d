"""GitLab's report of container scanning, version 15.

Source: GitLab's security-report-schemas (container-scanning-report-format.json). The "image" is
the machine. `scan.status` is `failure` where nothing could be read, and what could not be read is
among `scan.messages`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from sidelight.model import Severity, Status
from sidelight.report.escape import printable
from sidelight.report.formats.scanned_machine import (
    MAX_PROBLEMS,
    identity_of,
    links_of,
    problem_lines,
    remedy_of,
    sentence_of,
    skipped_lines,
    suppression_of,
    title_of,
)

if TYPE_CHECKING:
    from typing import TextIO

    from sidelight.model import Finding
    from sidelight.report.formats.scanned_machine import ScannedMachine

VERSION: Final = "15.2.1"
MAX_NAME: Final = 255  # characters of a name, by the schema
_SEVERITIES: Final = {
    Severity.CRITICAL: "Critical",
    Severity.HIGH: "High",
    Severity.MEDIUM: "Medium",
    Severity.LOW: "Low",
    Severity.INFORMATIONAL: "Info",
    Severity.UNTRIAGED: "Unknown",
}


def write_gitlab(machine: ScannedMachine, file: TextIO) -> None:
    """Write the report of one machine."""
    tool = {
        "id": "sidelight",
        "name": "Sidelight",
        "version": machine.version,
        "vendor": {"name": "Sidelight"},
    }
    at = machine.at.strftime("%Y-%m-%dT%H:%M:%S")
    messages = [{"level": "warn", "value": line} for line in problem_lines(machine)]
    messages += [{"level": "info", "value": line} for line in skipped_lines(machine)]
    messages += [
        {
            "level": "info",
            "value": printable(f"suppressed: {item.finding.headline}: {suppression_of(item)}"),
        }
        for item in machine.suppressed[:MAX_PROBLEMS]
    ]
    failed = machine.inventory.status is Status.FAILED
    document = {
        "version": VERSION,
        "scan": {
            "type": "container_scanning",
            "status": "failure" if failed else "success",
            "start_time": at,
            "end_time": at,
            "analyzer": tool,
            "scanner": tool,
            "messages": messages,
        },
        "vulnerabilities": [_vulnerability(machine, item) for item in machine.findings],
        "remediations": [],
    }
    json.dump(document, file, indent=1)
    file.write("\n")


def _vulnerability(machine: ScannedMachine, finding: Finding) -> dict[str, object]:
    package, vulnerability = finding.package, printable(finding.vulnerability)
    links = links_of(finding)
    identifier = {
        "type": "cve" if vulnerability.startswith("CVE-") else "other",
        "name": vulnerability,
        "value": vulnerability,
    }
    if links:
        identifier["url"] = links[0]
    dependency = {
        "package": {"name": printable(package.name) or "unknown"},
        "version": printable(package.version),
    }
    found: dict[str, object] = {
        "id": identity_of(machine.name, finding),
        "name": title_of(finding)[:MAX_NAME],
        "description": sentence_of(finding),
        "severity": _SEVERITIES[finding.severity],
        "location": {
            "dependency": dependency,
            "operating_system": printable(machine.inventory.os.pretty_name) or "unknown",
            "image": printable(machine.name) or "machine",
        },
        "identifiers": [identifier],
        "links": [{"url": link} for link in links],
    }
    if remedy := remedy_of(finding):
        found["solution"] = remedy
    return found
