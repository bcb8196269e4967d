"""What a list of findings offers: filters of every kind, and why nothing matches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dispatcher.console.criteria import NAMES
from sidelight.model import Finding
from tests.fixtures.console_fleet import OTHER, OWN, ConsoleFleet
from tests.fixtures.console_rig import header, person, text_of

if TYPE_CHECKING:
    from sidelight.store import Store

TITLE = "These views have findings"


@pytest.fixture
def fleet(store: Store) -> ConsoleFleet:
    return ConsoleFleet(store, "web")


def shown(fleet: ConsoleFleet, url: str) -> str:
    answer = fleet.rig.get(url, person())
    assert answer.status == 200, text_of(answer)[-300:]
    return text_of(answer)


def test_the_filter_that_nothing_has_is_named_and_left_out_by_a_link(fleet: ConsoleFleet) -> None:
    page = shown(fleet, "/findings?severity=CRITICAL&package=nowhere")
    assert TITLE in page
    assert 'href="/findings?severity=CRITICAL"><bdi' in page
    assert "Without “Package is nowhere”" in page
    assert "Without “Severity is CRITICAL”" not in page  # none has the package without it either


def test_without_a_single_filter_at_fault_nothing_is_promised(fleet: ConsoleFleet) -> None:
    assert TITLE not in shown(fleet, "/findings?vulnerability=nothing&package=nowhere")


@pytest.mark.parametrize("query", ["severity=HIGH", "group=package"])
def test_a_view_with_findings_offers_no_other(fleet: ConsoleFleet, query: str) -> None:
    assert TITLE not in shown(fleet, f"/findings?{query}")


def test_groups_of_nothing_say_why_too(fleet: ConsoleFleet) -> None:
    page = shown(fleet, "/findings?group=package&package=nowhere")
    assert 'href="/findings?group=package"><bdi' in page


def test_findings_of_other_states_are_named(fleet: ConsoleFleet) -> None:
    row = next(row for row in fleet.rows(OWN) if isinstance(row.finding, Finding))
    fleet.rig.post(f"/findings/{row.id}/suppress", {"reason": "x"}, person())
    page = shown(fleet, f"/findings?arn={row.arn}")
    assert "Suppressed and closed ones, too" in page
    assert "status=any" in page


def test_the_scope_is_named_and_only_what_one_may_see_is_promised(fleet: ConsoleFleet) -> None:
    row = next(row for row in fleet.rows(OTHER) if isinstance(row.finding, Finding))
    query = f"/findings?arn={row.arn}&account={OWN}"
    assert "In all accounts<" in shown(fleet, query)
    own = person(accounts=frozenset(), account=OWN, name="owner")
    assert "In all accounts<" not in text_of(fleet.rig.get(query, own))


def test_every_criterion_is_offered_as_a_filter(fleet: ConsoleFleet) -> None:
    page = shown(fleet, "/findings")
    other = {"status", "severity", "vulnerability"}  # tabs, facets and a field of its own
    assert [name for name in NAMES if f'<option value="{name}">' not in page] == [
        name for name in NAMES if name in other
    ]


def test_a_filter_is_added_to_those_that_are_there(fleet: ConsoleFleet) -> None:
    answer = fleet.rig.get("/findings?vpc=a&severity=HIGH&add=vpc&value=vpc-1*", person())
    assert (answer.status, header(answer, "Location")) == (
        303, "/findings?severity=HIGH&vpc=a&vpc=vpc-1%2A",
    )  # fmt: skip
    answer = fleet.rig.get("/findings?severity=HIGH&add=vpc&value=", person())
    assert header(answer, "Location") == "/findings?severity=HIGH"


def test_a_filter_that_is_none_is_refused(fleet: ConsoleFleet) -> None:
    assert fleet.rig.get("/findings?add=format&value=csv", person()).status == 400
