"""The fleet's machines with their findings, a page of instances at a time, for documents."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sidelight import __version__
from sidelight.model import (
    Finding,
    FindingStatus,
    FindingType,
    Inventory,
    NetworkFinding,
    OperatingSystem,
    Problem,
    Status,
    SuppressedFinding,
    VexReason,
    VexStatus,
)
from sidelight.report.as_table import worst_first
from sidelight.report.formats.scanned_machine import ScannedMachine
from sidelight.store import CoverageSearch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from sidelight.model import Coverage, FindingRow, SuppressionRule
    from sidelight.store import Store

PAGE: Final = 50  # machines whose coverage is read at once
_RULE: Final = "a suppression rule"


@dataclass(frozen=True, slots=True)
class MachineSelection:
    """Which machines and findings: `selects` decides on rows, `statuses` and `kind` before it.

    Empty `account` and `instances` (ids) mean all; `kind` None means both types. `limit` is the
    most findings, in the order of the documents.
    """

    statuses: Collection[FindingStatus]
    selects: Callable[[Sequence[FindingRow]], Sequence[FindingRow]]
    account: str = ""
    instances: Sequence[str] = ()
    kind: FindingType | None = None
    limit: int | None = None


class FleetMachines:
    """The machines that coverage lists. `at` is the documents' time."""

    def __init__(self, store: Store, at: datetime, selection: MachineSelection) -> None:
        self._store = store
        self._at = at
        self._selection = selection
        self._left = selection.limit

    def machines(self) -> Iterator[ScannedMachine]:
        """Yield each machine, also those that were not scanned. Raises StoreError."""
        search = CoverageSearch(self._filters())
        after: Mapping[str, object] | None = None
        while True:
            page = self._store.found_coverage.page(search, PAGE, after)
            yield from (self._machine(row) for row in page.rows)
            after = page.position
            if after is None:
                return

    def _filters(self) -> dict[str, list[dict[str, object]]]:
        values = {
            "scanType": ["PACKAGE"],
            "accountId": [self._selection.account],
            "resourceId": self._selection.instances,
        }
        return {
            name: [{"comparison": "EQUALS", "value": value} for value in of_name if value]
            for name, of_name in values.items()
            if any(of_name)
        }

    def _machine(self, row: Coverage) -> ScannedMachine:
        rows = self._rows(row)
        reasons = self._store.suppression_reasons.of(rows)
        taken = self._store.taken_inventories.get(row.account, row.instance)
        packages = [item for item in rows if isinstance(item.finding, Finding)]
        return ScannedMachine(
            row.instance,
            covered(row, None if taken is None else taken.inventory),
            sorted(
                (item.package_finding for item in packages if _is_active(item)), key=worst_first
            ),
            self._at,
            __version__,
            [_suppressed(item, reasons.get(item.id)) for item in packages if not _is_active(item)],
            [item.finding for item in rows
             if isinstance(item.finding, NetworkFinding) and _is_active(item)],
            row.account,
            row.region,
        )  # fmt: skip

    def _rows(self, row: Coverage) -> Sequence[FindingRow]:
        selection = self._selection
        rows: list[FindingRow] = []
        for status in selection.statuses:
            rows += self._store.findings.rows(
                account=row.account, instance=row.instance, status=status, kind=selection.kind
            )
        chosen = selection.selects(rows)
        if self._left is None:
            return chosen
        worst = sorted(chosen, key=lambda item: -item.finding.severity.rank)[: self._left]
        self._left -= len(worst)
        return worst


def covered(row: Coverage, inventory: Inventory | None) -> Inventory:
    """Return an inventory as its coverage sees it: what is not scanned now is not complete."""
    if row.status_code == "ACTIVE" and row.reason == "SUCCESSFUL" and inventory is not None:
        return inventory
    what = f"coverage: {row.status_code}, {row.reason}"
    problem = Problem(row.instance, f"{what}: {row.detail}" if row.detail else what)
    if inventory is None:
        return Inventory(Status.FAILED, OperatingSystem(), problems=(problem,))
    status = Status.PARTIAL if inventory.status is Status.COMPLETE else inventory.status
    return replace(inventory, status=status, problems=(problem, *inventory.problems))


def _is_active(row: FindingRow) -> bool:
    return row.status is FindingStatus.ACTIVE


def _suppressed(row: FindingRow, reason: SuppressionRule | VexReason | None) -> SuppressedFinding:
    """Return a finding with its statement, or its rule: that does not state it to be unaffected."""
    if isinstance(reason, VexReason):
        return SuppressedFinding(
            row.package_finding, reason.status, reason.justification, reason.statement,
            reason.document.shown,
        )  # fmt: skip
    rule = reason
    text = (rule.reason or rule.description) if rule else ""
    source = f"the rule {rule.name}" if rule else _RULE
    return SuppressedFinding(row.package_finding, VexStatus.IGNORED, "", text, source)
