"""SARIF 2.1.0: a run with a rule a vulnerability and a result a finding.

Source: the OASIS standard, and what GitHub's code scanning takes of it (`security-severity`, at
most 5,000 results are shown). What could not be read is a notification, and a machine of which
nothing could be read is an execution that failed: an empty list of results is not a clean machine.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from sidelight.model import Severity, Status
from sidelight.report.escape import printable
from sidelight.report.formats.scanned_machine import (
    identity_of,
    links_of,
    network_identity,
    network_sentence,
    path_of,
    problem_lines,
    remedy_of,
    sentence_of,
    skipped_lines,
    suppression_of,
    title_of,
)
from sidelight.report.sbom.json_elements import write_elements

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

    from sidelight.model import Finding, NetworkFinding, SuppressedFinding
    from sidelight.report.formats.scanned_machine import ScannedMachine

SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LEVELS: Final = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.INFORMATIONAL: "note",
    Severity.UNTRIAGED: "warning",
}
VERSION: Final = "2.1.0"
NETWORK_RULE: Final = "NETWORK_REACHABILITY"
_NETWORK_RULE: Final[dict[str, object]] = {
    "id": NETWORK_RULE,
    "shortDescription": {"text": "A port can be reached from outside of the VPC"},
    "properties": {"tags": ["security", "network"], "precision": "high"},
}
_PLACEHOLDER: Final = re.compile(r"\{([0-9]+)\}")
# Where a feed has a severity and no score: the least score of that severity in CVSS 3.
_SCORES: Final = {
    Severity.CRITICAL: 9.0,
    Severity.HIGH: 7.0,
    Severity.MEDIUM: 4.0,
    Severity.LOW: 0.1,
}


def write_sarif(machine: ScannedMachine, file: TextIO) -> None:
    """Write the document of one machine."""
    run = run_document(machine)
    json.dump({"$schema": SCHEMA, "version": VERSION, "runs": [run]}, file, indent=1)
    file.write("\n")


def write_fleet_sarif(machines: Iterable[ScannedMachine], file: TextIO) -> None:
    """Write one document with a run for each machine, one in memory at a time."""
    file.write(f'{{"$schema": {json.dumps(SCHEMA)}, "version": "{VERSION}", "runs": ')
    write_elements(file, map(run_document, machines))
    file.write("}\n")


def run_document(machine: ScannedMachine) -> dict[str, object]:
    """Return the run of one machine."""
    numbers: dict[str, int] = {}
    rules: list[dict[str, object]] = []
    results: list[dict[str, object]] = []
    every: list[tuple[Finding, SuppressedFinding | None]]
    every = [*((item, None) for item in machine.findings),
             *((item.finding, item) for item in machine.suppressed)]  # fmt: skip
    for finding, suppressed in every:
        number = numbers.setdefault(finding.vulnerability, len(numbers))
        if number == len(rules):
            rules.append(_rule(finding))
        result = _result(machine, finding, number)
        # With one suppression in a run, results without it have an empty list (3.27.23).
        if machine.suppressed:
            result["suppressions"] = [] if suppressed is None else [_suppression(suppressed)]
        results.append(result)
    if machine.network:
        results += [_network_result(machine, item, len(rules)) for item in machine.network]
        rules.append(_NETWORK_RULE)
    driver = {
        "name": "Sidelight",
        "version": machine.version,
        "rules": rules,
    }
    run: dict[str, object] = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"sidelight/{printable(machine.name)}/"},
        "invocations": [_invocation(machine)],
        "originalUriBaseIds": {"ROOT": {"description": {"text": "The machine's root directory"}}},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    if machine.account:
        run["properties"] = {
            "account": machine.account, "region": machine.region, "instanceArn": machine.arn
        }  # fmt: skip
    return run


def _network_result(
    machine: ScannedMachine, finding: NetworkFinding, rule: int
) -> dict[str, object]:
    result: dict[str, object] = {
        "ruleId": NETWORK_RULE,
        "ruleIndex": rule,
        "level": _LEVELS[finding.severity],
        "message": _message(network_sentence(finding)),
        "locations": [
            {
                "logicalLocations": [
                    {"fullyQualifiedName": printable(finding.interface), "kind": "resource"}
                ]
            }
        ],
        "partialFingerprints": {"sidelightFinding/v1": network_identity(machine.name, finding)},
        "properties": {"severity": finding.severity, "ports": finding.ports},
    }
    if machine.suppressed:
        result["suppressions"] = []
    return result


def _message(text: str) -> dict[str, str]:
    """Return a message in which no text is a placeholder or a link (3.11.5, 3.11.6)."""
    text = _PLACEHOLDER.sub(r"{{\1}}", text)
    return {"text": text.replace("[", r"\[") if "](" in text else text}


def _suppression(item: SuppressedFinding) -> dict[str, object]:
    return {"kind": "external", "status": "accepted", "justification": suppression_of(item)}


def _rule(finding: Finding) -> dict[str, object]:
    links = links_of(finding)
    score = finding.cvss_score
    if score is None:
        score = _SCORES.get(finding.severity)
    tags = ["security", "vulnerability", finding.severity.lower()]
    properties: dict[str, object] = {"tags": tags, "precision": "high"}
    if score is not None:
        properties["security-severity"] = f"{score:.1f}"
    rule: dict[str, object] = {
        "id": printable(finding.vulnerability),
        "shortDescription": _message(title_of(finding)),
        "defaultConfiguration": {"level": _LEVELS[finding.severity]},
        "help": _message("\n".join(links) or printable(finding.vulnerability)),
        "properties": properties,
    }
    if links:
        rule["helpUri"] = links[0]
    return rule


def _result(machine: ScannedMachine, finding: Finding, rule: int) -> dict[str, object]:
    package = finding.package
    remedy = remedy_of(finding)
    location = {
        "physicalLocation": {
            "artifactLocation": {"uri": path_of(finding), "uriBaseId": "ROOT"},
            "region": {"startLine": 1},
        },
        "logicalLocations": [
            {
                "fullyQualifiedName": printable(f"{package.name}@{package.version}"),
                "kind": "package",
            }
        ],
    }
    return {
        "ruleId": printable(finding.vulnerability),
        "ruleIndex": rule,
        "level": _LEVELS[finding.severity],
        "message": _message(f"{sentence_of(finding)} {remedy}".rstrip()),
        "locations": [location],
        "partialFingerprints": {"sidelightFinding/v1": identity_of(machine.name, finding)},
        "properties": {
            "severity": finding.severity,
            "fixedVersion": printable(finding.fixed_version),
            "fixAvailable": finding.fix_available,
            "epss": finding.epss,
            "exploited": finding.exploit_available,
            "score": finding.score,
        },
    }


def _invocation(machine: ScannedMachine) -> dict[str, object]:
    notes = [{"level": "warning", "message": _message(line)} for line in problem_lines(machine)]
    notes += [{"level": "note", "message": _message(line)} for line in skipped_lines(machine)]
    return {
        "executionSuccessful": machine.inventory.status is not Status.FAILED,
        "endTimeUtc": machine.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "toolExecutionNotifications": notes,
        "properties": {"status": machine.inventory.status},
    }
