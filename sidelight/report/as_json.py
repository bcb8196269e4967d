"""Inventories and findings as JSON, in the shapes that scripts rely on (docs/schemas)."""

from __future__ import annotations

import json
import re
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, Literal, cast

from sidelight.report import inspector_terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sidelight.documents.machine import (
        AffectedPackageDocument,
        FindingDocument,
        InstalledPackageDocument,
        InventoryDocument,
        ListenerDocument,
        MachineDocument,
        PackageDocument,
        ReadStatsDocument,
        ScanDocument,
        SuppressedFindingDocument,
    )
    from sidelight.matching import Unmatched
    from sidelight.model import (
        ConfiguredListener,
        Finding,
        Inventory,
        Package,
        ReadStats,
        SuppressedFinding,
    )

_RAW = re.compile(r"[^\n -~]")
# The fields that a package has only if they are set, in this order: texts, then flags.
_TEXTS: Final[
    tuple[
        Literal[
            "arch", "source_name", "source_version", "vendor", "modularity", "licence", "layer"
        ],
        ...,
    ]
] = ("arch", "source_name", "source_version", "vendor", "modularity", "licence", "layer")
_FLAGS: Final[tuple[Literal["direct", "dev", "running_kernel"], ...]] = (
    "direct", "dev", "running_kernel",
)  # fmt: skip


def inventory_document(inventory: Inventory) -> InventoryDocument:
    """Return the document of `sidelight inventory`."""
    return {
        **_machine(inventory),
        "packages": list(_installed(inventory)),
    }


def _installed(inventory: Inventory) -> Iterator[InstalledPackageDocument]:
    """Yield the packages with the indexes of those that they require, where these are known."""
    for package, requires in zip_longest(inventory.packages, inventory.dependencies):
        known = () if requires is None else (("requires", list(requires)),)
        yield cast("InstalledPackageDocument", {**package_document(package), **dict(known)})


def _machine(inventory: Inventory) -> MachineDocument:
    document: MachineDocument = {
        "status": inventory.status,
        "os": {
            "id": inventory.os.id,
            "version_id": inventory.os.version_id,
            "pretty_name": inventory.os.pretty_name,
        },
        "problems": [{"where": item.where, "what": item.what} for item in inventory.problems],
        "filesystems": [
            {"source": item.source, "type": item.type, "mount": item.mount, "journal": item.journal}
            for item in inventory.filesystems
        ],
    }
    if inventory.left_out:
        document["left_out"] = list(inventory.left_out)
    if inventory.skipped:
        document["skipped"] = list(inventory.skipped)
    if inventory.listeners:
        document["listeners"] = [listener_document(item) for item in inventory.listeners]
    return document


def listener_document(listener: ConfiguredListener) -> ListenerDocument:
    """Return one listener with the line that names it, null for a service's default."""
    return {
        "service": listener.service,
        "protocol": listener.protocol,
        "port": listener.port,
        "address": listener.address,
        "file": listener.path,
        "line": listener.line or None,
    }


def scan_document(
    inventory: Inventory,
    findings: Sequence[Finding],
    not_covered: Sequence[Unmatched] = (),
    suppressed: Sequence[SuppressedFinding] = (),
) -> ScanDocument:
    """Return the document of `sidelight scan`."""
    return {
        **_machine(inventory),
        "packages": len(inventory.packages),
        "findings": [finding_document(finding) for finding in findings],
        "suppressed": [suppressed_document(item) for item in suppressed],
        "not_covered": [
            {"type": item.ecosystem, "packages": item.packages, "why": item.why}
            for item in not_covered
        ],
    }


def suppressed_document(item: SuppressedFinding) -> SuppressedFindingDocument:
    """Return one suppressed finding, with what suppresses it."""
    return {
        **finding_document(item.finding),
        "suppression": {
            "status": item.status,
            "justification": item.justification,
            "statement": item.statement,
            "source": item.source,
        },
    }


def finding_document(finding: Finding) -> FindingDocument:
    """Return one finding; its package under `package` is as in inventories.

    `affected_packages` has the same package in Inspector's form: epoch, version and release
    separately, and its remediation. `cvss_vectors` has each vector with its version, its base
    score and its source.
    """
    return {
        "type": finding.type,
        "vulnerability": finding.vulnerability,
        "severity": finding.severity,
        "severity_source": finding.severity_source,
        "headline": finding.headline,
        "title": finding.title,
        "cvss_score": finding.cvss_score,
        "cvss_vector": finding.cvss_vector,
        "cvss_vectors": [
            {
                "source": cvss.source,
                "version": cvss.version,
                "vector": cvss.vector,
                "base_score": cvss.base_score,
            }
            for cvss in inspector_terms.scores(finding)
        ],
        "score": finding.score,
        "score_vector": finding.score_vector,
        "epss": finding.epss,
        "epss_percentile": finding.epss_percentile,
        "exploited_since": finding.exploited_since,
        "exploit_available": "YES" if finding.exploit_available else "NO",
        "fix_available": finding.fix_available,
        "fixed_version": finding.fixed_version,
        "remediation": finding.remediation,
        "state": finding.state,
        "stream": finding.stream,
        "advisories": list(finding.advisories),
        "references": list(finding.references),
        "package": package_document(finding.package),
        "affected_packages": [_affected(inspector_terms.affected(finding))],
    }


def _affected(package: inspector_terms.AffectedPackage) -> AffectedPackageDocument:
    return {
        "name": package.name,
        "epoch": package.epoch,
        "version": package.version,
        "release": package.release,
        "arch": package.arch,
        "path": package.path,
        "package_manager": package.package_manager,
        "source_layer": package.source_layer,
        "fixed_version": package.fixed_version,
        "remediation": package.remediation,
    }


def package_document(package: Package) -> PackageDocument:
    """Return one package: the fields of all packages, then the other ones that are set."""
    document: PackageDocument = {
        "purl": package.purl,
        "name": package.name,
        "version": package.version,
        "type": package.type,
        "path": package.path,
    }
    for text in _TEXTS:
        if value := getattr(package, text):
            document[text] = value
    for flag in _FLAGS:
        if (value := getattr(package, flag)) is not None:
            document[flag] = value
    return document


def stats_document(stats: ReadStats) -> ReadStatsDocument:
    """Return the document that `--stats FILE` writes."""
    return {
        "get_calls": stats.get_calls,
        "list_calls": stats.list_calls,
        "distinct_blocks": stats.blocks,
        "bytes": stats.bytes,
        "seconds": round(stats.seconds, 3),
        "cpu_seconds": round(stats.cpu_seconds, 3),
        "usd": round(stats.usd, 8),
    }


def dumps(document: object) -> str:
    """Return JSON text in ASCII, of several lines.

    All other characters are escaped, DEL too. Names that are not UTF-8 on disk are escaped
    surrogates, so that nothing is lost and the text is valid UTF-8.
    """
    return escaped(json.dumps(document, indent=2, ensure_ascii=True)) + "\n"


def list_texts(documents: Iterable[object]) -> Iterator[str]:
    """Yield the text of `dumps` of a list, a document at a time."""
    is_empty = True
    for document in documents:
        text = dumps([document]).removeprefix("[").removesuffix("\n]\n")
        yield ("[" if is_empty else ",") + text
        is_empty = False
    yield "[]\n" if is_empty else "\n]\n"


def line(document: object) -> str:
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
