"""GitLab's report of container scanning, version 15.

Source: GitLab's security-report-schemas (container-scanning-report-format.json). The "image" is
the machine. `scan.status` is `failure` where nothing could be read, and what could not be read is
among `scan.messages`.
"""

from __future__ import annotations

import json
import re
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
MAX_VECTORS: Final = 10  # by the schema
MAX_VECTOR: Final = 128  # characters, by the schema
# The metrics of CVSS 2 and 3 with their values (first.org/cvss). The schema has no version 4, and a
# report with one vector that it does not know is refused as a whole.
_V2: Final = {
    "AV": "N A L", "AC": "L M H", "Au": "M S N", "C": "N P C", "I": "N P C", "A": "N P C",
    "E": "U POC F H ND", "RL": "OF TF W U ND", "RC": "UC UR C ND", "CDP": "N L LM MH H ND",
    "TD": "N L M H ND", "CR": "L M H ND", "IR": "L M H ND", "AR": "L M H ND",
}  # fmt: skip
_V3: Final = {
    "AV": "N A L P", "AC": "L H", "PR": "N L H", "UI": "N R", "S": "U C", "C": "N L H",
    "I": "N L H", "A": "N L H", "E": "X U P F H", "RL": "X O T W U", "RC": "X U R C",
    "CR": "X L M H", "IR": "X L M H", "AR": "X L M H", "MAV": "X N A L P", "MAC": "X L H",
    "MPR": "X N L H", "MUI": "X N R", "MS": "X U C", "MC": "X N L H", "MI": "X N L H",
    "MA": "X N L H",
}  # fmt: skip
# What begins a link, an image, HTML, code, a mention or a reference in GitLab's Markdown.
_MARKUP: Final = re.compile(r"[\[<`\\]|(?<!\w)[@#!&~%$](?=\w)")
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
    package, vulnerability = finding.package, printable(finding.vulnerability) or "unknown"
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
        "description": _plain(sentence_of(finding)),
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
        found["solution"] = _plain(remedy)
    if vectors := _vectors(finding):
        found["cvss_vectors"] = vectors
    return found


def _plain(text: str) -> str:
    """Return text without markup: GitLab shows these members as Markdown."""
    return _MARKUP.sub(r"\\\g<0>", text)


def _vectors(finding: Finding) -> list[dict[str, str]]:
    """Return the vectors that the format has a version for, the preferred one first."""
    return [
        {"vendor": printable(source) or "unknown", "vector": vector}
        for source, vector in finding.cvss_vectors
        if _is_known(vector)
    ][:MAX_VECTORS]


def _is_known(vector: str) -> bool:
    prefix, _, metrics = vector.partition("/")
    values = _V3
    if prefix not in {"CVSS:3.0", "CVSS:3.1"}:
        values, metrics = _V2, vector
    parts = [part.partition(":") for part in metrics.split("/")]
    names = {name for name, *_ in parts}
    return (
        len(vector) <= MAX_VECTOR
        and names >= set(list(values)[: 8 if values is _V3 else 6])  # the base metrics
        and all(value in values.get(name, "").split() for name, _, value in parts)
    )
