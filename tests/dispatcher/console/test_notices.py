"""Notices after a change: they say what was done, undo it, and are of this session alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from dispatcher.console.notices import Notice
from sidelight.model import FindingStatus
from tests.fixtures.console_fleet import OWN, ConsoleFleet
from tests.fixtures.console_rig import header, person, text_of

if TYPE_CHECKING:
    from dispatcher.console.web_messages import WebAnswer
    from sidelight.store import Store


@pytest.fixture
def fleet(store: Store) -> ConsoleFleet:
    return ConsoleFleet(store, "web")


def notice_of(answer: WebAnswer) -> tuple[str, str]:
    """The cookie header that a browser sends after an answer."""
    return "cookie", header(answer, "Set-Cookie").partition(";")[0]


def test_a_suppression_is_undone_from_its_notice(fleet: ConsoleFleet) -> None:
    who, number = person(), fleet.rows(OWN)[0].id
    answer = fleet.rig.post(f"/findings/{number}/suppress", {"reason": "known"}, who)
    body = text_of(fleet.rig.get("/findings", who, [notice_of(answer)]))
    assert "The finding is suppressed." in body
    found = re.search(r'action="(/rules/[^"]{1,80}/remove)"', body)
    assert found is not None
    fleet.rig.post(found[1], {}, who)
    row = fleet.store.found_findings.by_id([number], None)[number]
    assert row.status is FindingStatus.ACTIVE


@pytest.mark.parametrize("change", ["session", "text", "none"])
def test_a_notice_that_this_session_did_not_make_is_not_shown(
    fleet: ConsoleFleet, change: str
) -> None:
    who = person()
    number = fleet.rig.session(who)
    value = Notice("Call 555-0100", "/logout").signed("other" if change == "session" else number)
    if change == "text":
        value = f"A{value}"
    body = text_of(fleet.rig.get("/findings", who, [("cookie", f"sidelight_notice={value}")]))
    assert ("Call 555-0100" in body) is (change == "none")


@pytest.mark.parametrize("undo", ["https://example.org/", "//example.org", "x", ""])
def test_a_notice_undoes_nothing_of_another_site(undo: str) -> None:
    assert Notice.of(Notice("Done", undo).signed("s"), "s") == Notice("Done", "")


@pytest.mark.parametrize("value", ["", ".", "\udcff", "A" * 9000, "e30.", "²"])
def test_a_cookie_that_is_no_notice_is_empty(value: str) -> None:
    assert Notice.of(value, "s") == Notice()
