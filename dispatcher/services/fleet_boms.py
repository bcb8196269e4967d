"""Bills of materials of the fleet's machines, a page of instances at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.model import Finding, FindingType, platform_name
from sidelight.report.sbom.machine_boms import MachineBom

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from sidelight.model import Coverage, Instance
    from sidelight.store import CoverageSearch, Store

PAGE: Final = 50  # machines whose documents are held at once


class FleetBoms:
    """The machines that a search of coverage finds. `created_at` is the documents' time."""

    def __init__(self, store: Store, created_at: datetime) -> None:
        self._store = store
        self._created_at = created_at

    def pages(self, search: CoverageSearch) -> Iterator[list[tuple[Coverage, MachineBom | None]]]:
        """Yield pages of instances; None for one that has no inventory. Raises StoreError."""
        after: Mapping[str, object] | None = None
        while True:
            page = self._store.found_coverage.page(search, PAGE, after)
            yield [
                (row, self._bom(row, page.instances.get((row.account, row.instance))))
                for row in page.rows
                if row.scan_type == "PACKAGE"
            ]
            after = page.position
            if after is None:
                return

    def _bom(self, row: Coverage, instance: Instance | None) -> MachineBom | None:
        taken = self._store.taken_inventories.get(row.account, row.instance)
        if taken is None:
            return None
        findings = [
            found.finding
            for found in self._store.findings.rows(
                account=row.account, instance=row.instance, kind=FindingType.PACKAGE_VULNERABILITY
            )
            if isinstance(found.finding, Finding)
        ]
        return MachineBom(
            row.instance,
            taken.inventory,
            self._created_at,
            findings,
            account=row.account,
            region=row.region,
            instance=row.instance,
            image="" if instance is None else instance.image_id,
            architecture="" if instance is None else instance.architecture,
            platform=platform_name(taken.inventory.os),
            scan=taken.origin.scan,
            taken_at=taken.origin.taken_at,
        )
