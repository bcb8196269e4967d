"""What is summed over the whole store: seconds, where there are millions of scans and findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sidelight.store import CostSum, Store
    from sidelight.store.totals import Covered


@dataclass(frozen=True, slots=True)
class Sums:
    """Instances that exist and how they are covered, findings, costs by account and region."""

    instances: int
    coverage: Sequence[Covered]
    findings: Mapping[str, int]  # active, by severity
    findings_by_status: Mapping[str, int]
    costs: Sequence[CostSum]


def sums(store: Store) -> Sums:
    """As they are now. Raises StoreError."""
    totals = store.totals
    return Sums(
        instances=totals.instances(),
        coverage=totals.coverage(),
        findings=totals.findings(),
        findings_by_status=totals.findings_by_status(),
        costs=store.costs.sums(["account", "region"]),
    )
