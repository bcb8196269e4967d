"""GitLab's report of container scanning, version 15.

Source: GitLab's security-report-schemas (container-scanning-report-format.json). The "image" is
the machine. `scan.status` is `failure` where nothing could be read, and what could not be read is
among `scan.messages`.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sidelight import __version__
from sidelight.model import Severity, Status
from sidelight.report.escape import printable
from sidelight.report.formats.scanned_machine import (
    MAX_PROBLEMS,
    identity_of,
    links_of,
    network_sentence,
    problem_lines,
    remedy_of,
    sentence_of,
    skipped_lines,
    suppression_of,
    title_of,
)
from sidelight.report.sbom.json_elements import write_elements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
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
    failed = machine.inventory.status is Status.FAILED
    document = {
        "version": VERSION,
        "scan": _scan(machine, messages_of(machine), is_failed=failed),
        "vulnerabilities": [_vulnerability(machine, item) for item in machine.findings],
        "remediations": [],
    }
    json.dump(document, file, indent=1)
    file.write("\n")


def write_fleet_gitlab(machines: Iterable[ScannedMachine], file: TextIO) -> None:
    """Write one report; of its machines one is in memory at a time, and MAX_PROBLEMS messages."""
    summary = _FleetSummary()
    file.write(f'{{"version": "{VERSION}", "vulnerabilities": ')
    write_elements(file, summary.vulnerabilities(machines))
    scan = summary.scan()
    file.write(f', "remediations": [], "scan": {json.dumps(scan)}}}\n')


class _FleetSummary:
    """What a report says of the scan of all machines, while they pass."""

    def __init__(self) -> None:
        self._messages: list[dict[str, str]] = []
        self._more = 0
        self._last: ScannedMachine | None = None
        self._read = 0

    def vulnerabilities(self, machines: Iterable[ScannedMachine]) -> Iterator[dict[str, object]]:
        """Yield all vulnerabilities, and note the machines' messages."""
        for machine in machines:
            self._last = machine
            self._read += machine.inventory.status is not Status.FAILED
            name = printable(machine.name)
            for message in messages_of(machine):
                if len(self._messages) < MAX_PROBLEMS:
                    shown = f"{name}: {message['value']}"
                    self._messages.append({"level": message["level"], "value": shown})
                else:
                    self._more += 1
            for finding in machine.findings:
                yield _vulnerability(machine, finding)

    def scan(self) -> dict[str, object]:
        """Return the member `scan`: a failure where no machine was read."""
        if self._more:
            self._messages.append({"level": "warn", "value": f"{self._more} more messages"})
        return _scan(self._last, self._messages, is_failed=not self._read)


def messages_of(machine: ScannedMachine) -> list[dict[str, str]]:
    """Return what could not be read, what was left out, and what the format has no member for."""
    messages = [{"level": "warn", "value": line} for line in problem_lines(machine)]
    messages += [{"level": "info", "value": line} for line in skipped_lines(machine)]
    messages += [{"level": "warn", "value": network_sentence(item)} for item in machine.network]
    messages += [
        {
            "level": "info",
            "value": printable(f"suppressed: {item.finding.headline}: {suppression_of(item)}"),
        }
        for item in machine.suppressed[:MAX_PROBLEMS]
    ]
    return messages


def _scan(
    machine: ScannedMachine | None, messages: Sequence[dict[str, str]], *, is_failed: bool
) -> dict[str, object]:
    at = machine.at if machine else datetime.now(UTC)
    tool = {
        "id": "sidelight",
        "name": "Sidelight",
        "version": __version__,
        "vendor": {"name": "Sidelight"},
    }
    time = at.strftime("%Y-%m-%dT%H:%M:%S")
    return {
        "type": "container_scanning",
        "status": "failure" if is_failed else "success",
        "start_time": time,
        "end_time": time,
        "analyzer": tool,
        "scanner": tool,
        "messages": list(messages),
    }


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
