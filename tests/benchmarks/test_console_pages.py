"""The benchmark of the console's pages measures them; no page's cost grows with the fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.console_pages import MORE, VIEWS, fill_machines, page_costs
from benchmarks.drawn_store import fill
from dispatcher.fleet_counter import FleetCounter
from sidelight.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.console_pages import PageCost

MOST_STATEMENTS = 45  # a list of nothing searches four further views
MOST_ROWS = 3000
OTHERS = 10  # pages of which a list is longer in the larger fleet have a few more rows


def costs(directory: Path, name: str, count: int) -> dict[str, PageCost]:
    url = f"sqlite:///{directory}/{name}.db"
    fill(url, count * 20, count, 500)
    fill_machines(url, 40)
    with Store(url) as store:
        FleetCounter(store).run()
        found = page_costs(store, runs=1, more=(*MORE, *VIEWS))
        # The page of machines is of an upgrade.
        return {cost.path: cost for cost in found if cost.path != "/plan/machines"}


@pytest.mark.slow
def test_no_page_reads_more_of_a_larger_fleet(tmp_path: Path) -> None:
    small = costs(tmp_path, "small", 60)
    large = costs(tmp_path, "large", 240)
    for path, cost in large.items():
        assert cost.status in {200, 303}, path
        assert cost.statements <= MOST_STATEMENTS, path
        assert cost.rows <= MOST_ROWS, path
        assert cost.size <= 60 << 10, path
        if path in small:
            assert cost.statements <= small[path].statements + OTHERS, path
