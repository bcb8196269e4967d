"""The values by which a finding's details are searched, in columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.model import Finding, Severity
from sidelight.store.base.column_types import SqlValue, storable
from sidelight.store.base.dialect import insert, once, put_rows
from sidelight.store.base.schema import finding_terms
from sidelight.suppression import detail_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from sidelight.model import NetworkFinding

# Criterion -> column, of one text each.
TEXTS: Final = {
    "findingType": "type",
    "severity": "severity",
    "title": "title",
    "vulnerabilityId": "vulnerability",
    "vulnerabilitySource": "source",
    "vendorSeverity": "vendor_severity",
    "fixAvailable": "fix",
    "exploitAvailable": "exploit",
    "networkProtocol": "protocol",
}
# Criterion -> column, of several texts.
LISTS: Final = {
    "relatedVulnerabilities": "related",
    "componentId": "component_ids",
    "componentType": "component_types",
}
NUMBERS: Final = {"inspectorScore": "score", "epssScore": "epss"}
# Member of a PackageFilter -> column.
PACKAGE_TEXTS: Final = {
    "name": "package",
    "version": "version",
    "release": "release",
    "architecture": "architecture",
    "filePath": "path",
}
NO_NUMBER: Final = -1
_NO_PORTS: Final = (NO_NUMBER, NO_NUMBER)


def item_text(item: str) -> str:
    """Return an item of a list as it is stored: it has no line feed."""
    return storable(item).replace("\n", "\\n")


def terms_of(finding: Finding | NetworkFinding) -> dict[str, object]:
    """Return the columns of a finding's terms, without the id of its details."""
    values = detail_values(finding)
    package = _first(values, "vulnerablePackages", {})
    begin, end = _pair(values)
    terms: dict[str, object] = {
        column: str(_first(values, name, "")) for name, column in TEXTS.items()
    }
    terms |= {column: _joined(values.get(name, ())) for name, column in LISTS.items()}
    terms |= {column: _first(values, name, NO_NUMBER) for name, column in NUMBERS.items()}
    of_package = package if isinstance(package, dict) else {}
    terms |= {column: str(_first(of_package, name, "")) for name, column in PACKAGE_TEXTS.items()}
    return terms | {
        "severity_rank": Severity(finding.severity).rank,
        "epoch": _first(of_package, "epoch", NO_NUMBER),
        "port_begin": begin,
        "port_end": end,
        **_upgrade(finding),
    }


def write_terms(
    connection: Connection, terms: Mapping[int, Finding | NetworkFinding], *, known: bool
) -> None:
    """Write the terms of finding details, by their id; `known` where some are stored."""
    rows = [{"detail": number} | terms_of(finding) for number, finding in sorted(terms.items())]
    if not known:
        put_rows(connection, finding_terms, rows)
    elif rows:
        # Updated in place: what terms count as seldom changes, and changes counts then alone.
        connection.execute(_replacing(connection), rows)


@once
def _replacing(connection: Connection) -> SqlValue:
    adding = insert(connection, finding_terms)
    changed = {c.name: adding.excluded[c.name] for c in finding_terms.c if c.name != "detail"}
    return adding.on_conflict_do_update(index_elements=["detail"], set_=changed)


def _upgrade(finding: Finding | NetworkFinding) -> dict[str, object]:
    """Return what decides which upgrade fixes it; empty texts for a network."""
    if not isinstance(finding, Finding):
        return {"purl_type": "", "ecosystem": "", "fixed_version": ""}
    return {
        "purl_type": finding.package.type[:32],
        "ecosystem": finding.ecosystem,
        "fixed_version": finding.fixed_version,
    }


def _first(values: Mapping[str, Sequence[object]], name: str, default: object) -> object:
    return next(iter(values.get(name, ())), default)


def _pair(values: Mapping[str, Sequence[object]]) -> tuple[object, object]:
    ports = _first(values, "portRange", _NO_PORTS)
    begin, end = ports if isinstance(ports, tuple) else _NO_PORTS
    return begin, end


def _joined(items: Sequence[object]) -> str:
    return "\n".join(["", *(item_text(str(item)) for item in items), ""]) if items else ""
