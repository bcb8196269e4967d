"""Totals over the whole store. They take seconds with millions of scans and findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sidelight.model import CostSum
    from sidelight.store import Covered, Store


@dataclass(frozen=True, slots=True)
class Sums:
    """Existing instances and their coverage, findings, and costs by account and region."""

    instances: int
    coverage: Sequence[Covered]
    findings: Mapping[str, int]  # active, by severity
    findings_by_status: Mapping[str, int]
    costs: Sequence[CostSum]


def sums(store: Store) -> Sums:
    """Return the present totals. Raises StoreError."""
    totals = store.totals
    return Sums(
        instances=totals.instances(),
        coverage=totals.coverage(),
        findings=totals.findings(),
        findings_by_status=totals.findings_by_status(),
        costs=store.costs.sums(["account", "region"]),
    )
