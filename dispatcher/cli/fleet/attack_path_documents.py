"""Attack paths of the fleet's findings, and their JSON: each fact with its source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.attack_paths import attack_paths
from sidelight.model import NetworkFinding
from sidelight.report.as_json import listener_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sidelight.attack_paths import AttackPath
    from sidelight.documents.network import (
        AttackPathDocument,
        ReachedByDocument,
    )
    from sidelight.model import FindingRow
    from sidelight.store import Store


def paths_of(store: Store, rows: Sequence[FindingRow]) -> list[AttackPath]:
    """Return the attack paths among these findings, instance by instance."""
    by_instance: dict[tuple[str, str], list[FindingRow]] = {}
    reached = set()
    for row in rows:
        key = (row.account, row.instance)
        by_instance.setdefault(key, []).append(row)
        if isinstance(row.finding, NetworkFinding):
            reached.add(key)
    listeners = store.findings.listeners(reached)
    return [
        path
        for key in sorted(reached & listeners.keys())
        for path in attack_paths(by_instance[key], listeners[key])
    ]


def attack_path_document(path: AttackPath) -> AttackPathDocument:
    """Return one attack path."""
    opening, finding, package = path.opening, path.vulnerable, path.vulnerable.package
    return {
        "account": path.package.account,
        "region": path.package.region,
        "instance": path.package.instance,
        "edge": {"id": opening.edge_id, "kind": opening.edge_kind},
        "sources": list(opening.sources),
        "anywhere": opening.anywhere,
        "network_finding": path.network.arn,
        "rules": [step.rule for step in opening.full_path if step.rule],
        "listener": listener_document(path.listener),
        "package_finding": path.package.arn,
        "package": package.name,
        "version": package.version,
        "path": package.path,
        "vulnerability": finding.vulnerability,
        "severity": finding.severity,
        "score": finding.score,
        "exploited_since": finding.exploited_since,
        "fixed_version": finding.fixed_version,
    }


def reached_by(paths: Iterable[AttackPath]) -> dict[str, list[ReachedByDocument]]:
    """Return how each package finding is reached, by its ARN."""
    found: dict[str, list[ReachedByDocument]] = {}
    for path in paths:
        found.setdefault(path.package.arn, []).append(
            {
                "network_finding": path.network.arn,
                "edge": {"id": path.opening.edge_id, "kind": path.opening.edge_kind},
                "anywhere": path.opening.anywhere,
                "listener": listener_document(path.listener),
            }
        )
    return found
