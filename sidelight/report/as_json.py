"""Inventories and findings as JSON: the shapes that scripts rely on (see ARCHITECTURE.md)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sidelight.report import terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.model import Finding, Inventory, Package, ReadStats

# What every package has, in this order; other fields follow where they say something.
PACKAGE_FIELDS = ("purl", "name", "version", "type", "path")


def inventory_document(inventory: Inventory) -> dict[str, Any]:
    """`{"status", "os", "packages", "problems", "filesystems"}`."""
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
    }


def scan_document(inventory: Inventory, findings: Sequence[Finding]) -> dict[str, Any]:
    """The inventory's document without its packages, and `findings`."""
    document = inventory_document(inventory)
    document["packages"] = len(inventory.packages)
    document["findings"] = [finding_document(finding) for finding in findings]
    return document


def finding_document(finding: Finding) -> dict[str, Any]:
    """One finding; its package as inventories have it under `package`.

    `affected_packages` tells of the same package as Inspector does: epoch, version and release
    apart, and how it is mended. `cvss_vectors` has each vector with its version, its base score
    and who gave it.
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
        "cvss_vectors": [one._asdict() for one in terms.scores(finding)],
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
        "affected_packages": [terms.affected(finding)._asdict()],
    }


def package_document(package: Package) -> dict[str, Any]:
    """One package: the fields that all have, then those that are set."""
    document: dict[str, Any] = {name: getattr(package, name) for name in PACKAGE_FIELDS}
    for name in type(package).__dataclass_fields__:
        value = getattr(package, name)
        if name not in document and value not in {None, ""}:
            document[name] = value
    return document


def stats_document(stats: ReadStats) -> dict[str, Any]:
    """What `--stats FILE` writes."""
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
    """JSON text. Names that are not UTF-8 on disk are written as escaped surrogates."""
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"
