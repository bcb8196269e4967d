"""A machine's findings as CycloneDX's vulnerabilities: one for each, with all its packages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.model import VexStatus
from sidelight.report import inspector_terms
from sidelight.report.escape import printable
from sidelight.report.sbom.machine_boms import components, named

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sidelight.model import Finding, Package, SuppressedFinding
    from sidelight.report.sbom.machine_boms import MachineBom

_SEVERITIES: Final = {
    "CRITICAL": "critical", "HIGH": "high", "MEDIUM": "medium", "LOW": "low",
    "INFORMATIONAL": "info",
}  # fmt: skip
_STATES: Final = {
    VexStatus.NOT_AFFECTED: "not_affected",
    VexStatus.FIXED: "resolved",
    VexStatus.IGNORED: "exploitable",
}
# OpenVEX's justification -> CycloneDX's.
_JUSTIFICATIONS: Final = {
    "component_not_present": "requires_dependency",
    "vulnerable_code_not_present": "code_not_present",
    "vulnerable_code_not_in_execute_path": "code_not_reachable",
    "vulnerable_code_cannot_be_controlled_by_adversary": "requires_environment",
    "inline_mitigations_already_exist": "protected_by_mitigating_control",
}
_METHODS: Final = {"2.0": "CVSSv2", "3.0": "CVSSv3", "3.1": "CVSSv31"}
_URL: Final = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&'()*+,;=%-]{1,2000}")
_CVE: Final = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}")
_PAGES: Final = {
    "NVD": "https://nvd.nist.gov/vuln/detail/",
    "GHSA": "https://github.com/advisories/",
}  # by the kind of id
MOST_REFERENCES: Final = 50
MOST_REMEDIES: Final = 20


def vulnerabilities(bom: MachineBom, version: str) -> Iterator[dict[str, object]]:
    """Yield an element for each vulnerability, in the order of its first finding."""
    references = _references(bom)
    grouped = _by_name(bom.findings or ())
    for number, findings in enumerate(grouped.values(), 1):
        element = _element(findings, references, version)
        if bom.is_vex:
            element["analysis"] = _affected_analysis(findings)
        yield {"bom-ref": f"vulnerability-{number}", **element}
    for number, items in enumerate(_by_reason(bom.suppressed), len(grouped) + 1):
        element = _element([item.finding for item in items], references, version, items[0])
        yield {"bom-ref": f"vulnerability-{number}", **element}


def _by_reason(suppressed: Sequence[SuppressedFinding]) -> list[list[SuppressedFinding]]:
    """Group suppressed findings of one vulnerability and reason: each has one analysis."""
    grouped: dict[tuple[str, ...], list[SuppressedFinding]] = {}
    for item in suppressed:
        key = (item.finding.vulnerability, item.status, item.reason, item.source)
        grouped.setdefault(key, []).append(item)
    return list(grouped.values())


def web_address(text: str) -> str:
    """Return a web address; empty for any other text."""
    return text if _URL.fullmatch(text) else ""


def _references(bom: MachineBom) -> dict[Package, str]:
    """Return the references of packages with findings, of equal ones the first."""
    wanted = {finding.package for finding in bom.findings or ()}
    wanted |= {item.finding.package for item in bom.suppressed}
    found: dict[Package, str] = {}
    for item in components(bom.inventory):
        if item.package in wanted:
            found.setdefault(item.package, item.reference)
    return found


def _by_name(findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    grouped: dict[str, list[Finding]] = {}
    for finding in findings:
        grouped.setdefault(finding.vulnerability, []).append(finding)
    return grouped


def _element(
    findings: list[Finding],
    references: dict[Package, str],
    version: str,
    suppressed: SuppressedFinding | None = None,
) -> dict[str, object]:
    worst = max(findings, key=lambda finding: finding.severity.rank)
    urls = [url for url in map(web_address, worst.references) if url][:MOST_REFERENCES]
    element: dict[str, object] = {
        "id": named(worst.vulnerability),
        "source": _source(worst),
        "ratings": _ratings(worst, version),
        "description": printable(worst.title or worst.headline),
    }
    remedies = list(dict.fromkeys(item.remediation for item in findings if item.remediation))
    if remedies:
        element["recommendation"] = printable("; ".join(remedies[:MOST_REMEDIES]))
    if urls:
        element["advisories"] = [{"url": url} for url in dict.fromkeys(urls)]
    if suppressed is not None:
        element["analysis"] = analysis(suppressed)
    is_affected = suppressed is None or suppressed.status is VexStatus.IGNORED
    element["affects"] = _affects(findings, references, "affected" if is_affected else "unaffected")
    element["properties"] = [
        {"name": name, "value": printable(value)} for name, value in _properties(findings, worst)
    ]
    return element


def _affected_analysis(findings: Sequence[Finding]) -> dict[str, object]:
    """Return that the packages are affected, and whether an update is the response."""
    document: dict[str, object] = {"state": "exploitable"}
    if any(finding.fixed_version for finding in findings):
        document["response"] = ["update"]
    return document


def analysis(item: SuppressedFinding) -> dict[str, object]:
    """Return why a finding is suppressed. What the user ignores is not stated to be unaffected."""
    document: dict[str, object] = {"state": _STATES[item.status]}
    if item.status is VexStatus.NOT_AFFECTED and item.justification in _JUSTIFICATIONS:
        document["justification"] = _JUSTIFICATIONS[item.justification]
    document["detail"] = printable(": ".join(filter(None, (item.reason, item.source))))
    return document


def _source(finding: Finding) -> dict[str, object]:
    name = finding.vulnerability
    source: dict[str, object] = {"name": named(finding.source, "Sidelight")}
    if _CVE.fullmatch(name):
        source = {"name": "NVD", "url": _PAGES["NVD"] + name}
    elif name.startswith("GHSA-") and web_address(_PAGES["GHSA"] + name):
        source = {"name": "GHSA", "url": _PAGES["GHSA"] + name}
    return source


def _ratings(finding: Finding, version: str) -> list[dict[str, object]]:
    """Return the severity by its source first, then each vector with its base score."""
    severity = _SEVERITIES.get(finding.severity.value, "unknown")
    first: dict[str, object] = {
        "source": {"name": named(finding.severity_source, "Sidelight")},
        "severity": severity,
    }
    ratings = [first]
    for score in inspector_terms.scores(finding):
        rating: dict[str, object] = {"source": {"name": named(score.source, "Sidelight")}}
        if score.base_score is not None:
            rating["score"] = score.base_score
        is_four = score.version.startswith("4") and version != "1.4"
        rating["method"] = "CVSSv4" if is_four else _METHODS.get(score.version, "other")
        rating["vector"] = printable(score.vector)
        ratings.append(rating)
    return ratings


def _affects(
    findings: list[Finding], references: dict[Package, str], status: str
) -> list[dict[str, object]]:
    """Return the packages, by their status; a finding of the system itself is the machine's."""
    targets: dict[str, dict[str, object]] = {}
    for finding in findings:
        reference = references.get(finding.package, "machine")
        versions = [{"version": named(finding.package.version), "status": status}]
        targets.setdefault(reference, {"ref": reference, "versions": versions})
    return list(targets.values())


def _properties(findings: list[Finding], worst: Finding) -> Iterator[tuple[str, str]]:
    for text in dict.fromkeys(
        f"{item.package.name} {item.fixed_version}" for item in findings if item.fixed_version
    ):
        yield "sidelight:fixed_version", text
    yield "sidelight:fix_available", worst.fix_available.value
    pairs = (
        ("score", "" if worst.score is None else str(worst.score)),
        ("epss", "" if worst.epss is None else str(worst.epss)),
        ("exploited_since", worst.exploited_since),
        ("state", worst.state),
        ("advisories", ", ".join(worst.advisories)),
    )
    yield from ((f"sidelight:{name}", value) for name, value in pairs if value)
