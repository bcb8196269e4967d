"""A filter that a page does not know never widens a view in silence: it is named, or refused."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.fixtures.console_fleet import OWN, ConsoleFleet
from tests.fixtures.console_rig import header, person, text_of
from tests.fixtures.searched_findings import ACCOUNTS

if TYPE_CHECKING:
    from sidelight.store import Store

NOTICE = "Ignored in the address of this page"
LINK = re.compile(r'(?:href|action)="(/[^"#]*)"')


@pytest.fixture
def fleet(store: Store) -> ConsoleFleet:
    return ConsoleFleet(store, "web-1")


@pytest.mark.parametrize("path", ["/findings", "/instances", "/plan", "/coverage", "/audit"])
def test_a_filter_that_a_page_does_not_know_is_named_on_it(fleet: ConsoleFleet, path: str) -> None:
    body = text_of(fleet.rig.get(f"{path}?sevrity=HIGH&empty=", person()))
    assert NOTICE in body
    assert "sevrity" in body.partition(NOTICE)[2][:200]
    assert "empty" not in body.partition(NOTICE)[2][:200]


@pytest.mark.parametrize("scope", ["account=1234", "region=nowhere", "tag=%3Dx"])
def test_a_scope_that_cannot_be_is_named(fleet: ConsoleFleet, scope: str) -> None:
    body = text_of(fleet.rig.get(f"/findings?{scope}", person()))
    assert scope.partition("=")[0] in body.partition(NOTICE)[2][:200]


@pytest.mark.parametrize("kind", ["csv", "json"])
@pytest.mark.parametrize("query", ["sevrity=HIGH", "account=1234", "severity=HIGH&%3Cb%3E=1"])
def test_no_file_has_more_rows_than_its_address_says(
    fleet: ConsoleFleet, kind: str, query: str
) -> None:
    answer = fleet.rig.get(f"/findings?format={kind}&{query}", person())
    assert answer.status == 400
    assert "This list has no filter" in text_of(answer)


@pytest.mark.parametrize(
    "address",
    ["/plan?severity=HIGH&severity=nope", "/plan?reboot=maybe", "/instances?state=nope",
     "/network?port=70000", "/network?severity=high", "/rules?ending=late", "/scans?show=all"],
)  # fmt: skip
def test_a_choice_that_a_page_does_not_have_is_refused(fleet: ConsoleFleet, address: str) -> None:
    assert fleet.rig.get(address, person()).status == 400


@pytest.mark.services  # the page of limits asks the rates' Redis, which is not there
def test_no_link_of_the_console_has_a_filter_that_its_page_ignores(fleet: ConsoleFleet) -> None:
    seen = set(fleet.urls(OWN))
    for url in sorted(seen):
        answer = fleet.rig.get(url, person())
        if header(answer, "Content-Type").startswith("text/html"):
            body = text_of(answer)
            assert NOTICE not in body, url
            seen |= {html.unescape(link) for link in LINK.findall(body)}
    assert len(seen) > 200
    for url in sorted(seen):
        answer = fleet.rig.get(url, person())
        assert answer.status in {200, 303, 404}, (url, text_of(answer)[-300:])
        if header(answer, "Content-Type").startswith("text/html"):
            assert NOTICE not in text_of(answer), url


def test_a_day_as_the_end_of_a_range_has_all_its_hours(fleet: ConsoleFleet) -> None:
    def found(query: str) -> int:
        answer = fleet.rig.get(f"/findings?status=any&format=json&{query}", person())
        return len(json.loads(text_of(answer)))

    every = found("")
    days = {f"{row.first_observed:%Y-%m-%d}" for account in ACCOUNTS for row in fleet.rows(account)}
    assert every > len(days)
    assert sum(found(f"first={day}") for day in days) == every
    assert found(f"first=..{max(days)}") == found(f"first={min(days)}..{max(days)}") == every
