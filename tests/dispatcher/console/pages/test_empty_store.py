"""Nothing of a store without a scan looks clean, or offers what cannot be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.model import Role
from tests.fixtures.console_rig import ConsoleRig, person, text_of

if TYPE_CHECKING:
    from sidelight.store import Store

# What would say of a fleet that was never looked at that it is clean.
CLEAN = ("No port can be reached", "No active finding", "Everything could be read", 'tile good"')
PAGES = ("/", "/findings", "/findings?group=package", "/instances", "/network", "/plan", "/rules",
         "/coverage", "/scans", "/advisories", "/settings", "/packages?q=ssl")  # fmt: skip


@pytest.fixture
def rig(store: Store) -> ConsoleRig:
    return ConsoleRig(store)


@pytest.mark.parametrize("page", PAGES)
def test_a_fleet_that_was_never_scanned_does_not_look_clean(rig: ConsoleRig, page: str) -> None:
    answer = rig.get(page, person())
    assert answer.status == 200
    assert [text for text in CLEAN if text in text_of(answer)] == []


@pytest.mark.parametrize("page", ["/findings", "/findings?group=package", "/instances"])
def test_filters_are_cleared_only_where_there_are_some(rig: ConsoleRig, page: str) -> None:
    assert "Clear the filters" not in text_of(rig.get(page, person()))
    filtered = f"{page}{'&' if '?' in page else '?'}{'q' if page == '/instances' else 'package'}=x"
    assert "Clear the filters" in text_of(rig.get(filtered, person()))


def test_a_reader_is_not_pointed_to_a_form_that_is_not_there(rig: ConsoleRig) -> None:
    assert "create a rule below" not in text_of(rig.get("/rules", person(Role.READER)))
    assert "create a rule below" in text_of(rig.get("/rules", person(Role.OPERATOR, name="bob")))
