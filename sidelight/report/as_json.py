"""Inventories and findings as JSON, in the shapes that scripts rely on (see ARCHITECTURE.md)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from sidelight.report import inspector_terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.model import Finding, Inventory, Package, ReadStats

_RAW = re.compile(r"[^\n -~]")
# The fields of every package, in this order; other fields follow if they are set.
PACKAGE_FIELDS = ("purl", "name", "version", "type", "path")


def inventory_document(inventory: Inventory) -> dict[str, Any]:
    """Return `{"status", "os", "packages", "problems", "filesystems"}`, and `left_out` if set."""
    left_out = {"left_out": list(inventory.left_out)} if inventory.left_out else {}
    return {
        "status": inventory.status.value,
        "os": {
            "id": inventory.os.id,
            "version_id": inventory.os.version_id,
            "pretty_name": inventory.os.pretty_name,
        },
        "packages": [package_document(package) for package in inventory.packages],
        "problems": [{"where": item.where, "what": item.what} for item in inventory.problems],
        "filesystems": [
            {"source": item.source, "type": item.type, "mount": item.mount, "journal": item.journal}
            for item in inventory.filesystems
        ],
        **left_out,
    }


def scan_document(inventory: Inventory, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the inventory's document with the number of packages, and `findings`."""
    document = inventory_document(inventory)
    document["packages"] = len(inventory.packages)
    document["findings"] = [finding_document(finding) for finding in findings]
    return document


def finding_document(finding: Finding) -> dict[str, Any]:
    """Return one finding; its package under `package` is as in inventories.

    `affected_packages` has the same package in Inspector's form: epoch, version and release
    separately, and its remediation. `cvss_vectors` has each vector with its version, its base
    score and its source.
    """
    return {
        "type": finding.type.value,
        "vulnerability": finding.vulnerability,
        "severity": finding.severity.value,
        "severity_source": finding.severity_source,
        "headline": finding.headline,
        "title": finding.title,
        "cvss_score": finding.cvss_score,
        "cvss_vector": finding.cvss_vector,
        "cvss_vectors": [cvss._asdict() for cvss in inspector_terms.scores(finding)],
        "score": finding.score,
        "score_vector": finding.score_vector,
        "epss": finding.epss,
        "epss_percentile": finding.epss_percentile,
        "exploited_since": finding.exploited_since,
        "exploit_available": "YES" if finding.exploit_available else "NO",
        "fix_available": finding.fix_available.value,
        "fixed_version": finding.fixed_version,
        "remediation": finding.remediation,
        "state": finding.state,
        "stream": finding.stream,
        "advisories": list(finding.advisories),
        "references": list(finding.references),
        "package": package_document(finding.package),
        "affected_packages": [inspector_terms.affected(finding)._asdict()],
    }


def package_document(package: Package) -> dict[str, Any]:
    """Return one package: the fields of all packages, then the other ones that are set."""
    document: dict[str, Any] = {name: getattr(package, name) for name in PACKAGE_FIELDS}
    for name in type(package).__dataclass_fields__:
        value = getattr(package, name)
        if name not in document and value not in {None, ""}:
            document[name] = value
    return document


def stats_document(stats: ReadStats) -> dict[str, Any]:
    """Return the document that `--stats FILE` writes."""
    return {
        "get_calls": stats.get_calls,
        "list_calls": stats.list_calls,
        "distinct_blocks": stats.distinct_blocks,
        "bytes": stats.bytes,
        "seconds": round(stats.seconds, 3),
        "cpu_seconds": round(stats.cpu_seconds, 3),
        "usd": round(stats.usd, 8),
    }


def dumps(document: Any) -> str:
    """Return JSON text in ASCII, of several lines.

    All other characters are escaped, DEL too. Names that are not UTF-8 on disk are escaped
    surrogates, so that nothing is lost and the text is valid UTF-8.
    """
    return escaped(json.dumps(document, indent=2, ensure_ascii=True)) + "\n"


def line(document: Any) -> str:
    """Return the same in one line, without a newline."""
    return escaped(json.dumps(document, ensure_ascii=True))


def escaped(text: str) -> str:
    """Escape all characters of JSON text except printable ASCII and JSON's own white space.

    Outside of a string JSON has neither DEL nor other characters, so each can be escaped.
    """
    return _RAW.sub(_unit, text)


def _unit(match: re.Match[str]) -> str:
    """Return a character as JSON's UTF-16 escapes."""
    data = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{data[i]:02x}{data[i + 1]:02x}" for i in range(0, len(data), 2))
