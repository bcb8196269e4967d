"""The benchmark of a million instances, with a few: its scans and its events are real."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.million_instances import OF_A_PLACE, Meter, dispatcher_costs, event_costs, fleet_of

if TYPE_CHECKING:
    from pathlib import Path


def test_instances_are_spread_over_accounts_and_regions() -> None:
    places = fleet_of(500)
    assert {len(found) for found in places.values()} == {OF_A_PLACE}
    assert len({place.account for place in places}) == 3
    assert len({one.id for found in places.values() for one in found}) == 500


@pytest.mark.slow
def test_statements_grow_with_account_regions_and_no_faster(tmp_path: Path) -> None:
    meters = []
    for count in (100, 400):
        meters.append(Meter(quiet=True))
        dispatcher_costs(f"sqlite:///{tmp_path}/{count}.db", count, meters[-1])
    for small, large in zip(meters[0].costs, meters[1].costs, strict=True):
        assert large.statements <= 4.5 * small.statements, small.name


def test_each_event_that_is_written_is_sent(tmp_path: Path) -> None:
    meter = Meter(quiet=True)
    number = event_costs(tmp_path, 30, meter)
    assert number > 20
    assert [cost.items for cost in meter.costs] == [30, number]
