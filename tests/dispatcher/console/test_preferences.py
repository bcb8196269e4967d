"""Density and appearance are chosen by links, and kept."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest

from tests.fixtures.console_rig import ConsoleRig, header, person, text_of
from tests.fixtures.searched_findings import fill

if TYPE_CHECKING:
    from sidelight.store import Store


@pytest.fixture
def rig(store: Store) -> ConsoleRig:
    fill(store, 5, 200, covers=True)
    return ConsoleRig(store)


def kept(rig: ConsoleRig, cookie: str) -> list[tuple[str, str]]:
    return [("cookie", f"sidelight={rig.session(person())}; {cookie}")]


def test_a_link_makes_all_lists_compact_and_comfortable_again(rig: ConsoleRig) -> None:
    page = text_of(rig.get("/findings?status=any", person()))
    assert 'class="compact"' not in page
    link = re.search(r'href="([^"]*density=compact[^"]*)"', page)
    assert link
    answer = rig.get(unescape(link[1]), person())
    assert answer.status == 303
    assert header(answer, "location") == "/findings?status=any"
    assert header(answer, "set-cookie").startswith("sidelight_density=compact; ")
    compact = kept(rig, "sidelight_density=compact")
    for path in ("/findings", "/findings?group=package"):
        page = text_of(rig.get(path, None, compact))
        assert 'class="compact"' in page, path
        assert "density=comfortable" in page
    back = rig.get("/findings?density=comfortable", None, compact)
    assert "Max-Age=0" in header(back, "set-cookie")


def test_a_choice_stays_at_the_same_page_of_a_list(rig: ConsoleRig) -> None:
    page = text_of(rig.get("/findings?status=any", person()))
    following = re.search(r'rel="next" href="([^"]*)"', page)
    assert following
    url = unescape(following[1])
    second = text_of(rig.get(url, person()))
    link = re.search(r'href="([^"]*density=compact[^"]*)"', second)
    assert link
    place = header(rig.get(unescape(link[1]), person()), "location")
    assert sorted(place.partition("?")[2].split("&")) == sorted(url.partition("?")[2].split("&"))


def test_the_theme_is_chosen_without_script(rig: ConsoleRig) -> None:
    answer = rig.get("/findings?status=any&theme=dark", person())
    assert header(answer, "location") == "/findings?status=any"
    # The script changes it too, so it is not hidden from it.
    assert header(answer, "set-cookie").startswith("sidelight_theme=dark; ")
    assert "HttpOnly" not in header(answer, "set-cookie")
    page = text_of(rig.get("/findings", None, kept(rig, "sidelight_theme=dark")))
    assert 'data-theme="dark"' in page


@pytest.mark.parametrize("query", ["density=x", "theme=%3Cb%3E", "density="])
def test_a_choice_that_is_none_changes_nothing(rig: ConsoleRig, query: str) -> None:
    answer = rig.get(f"/findings?{query}", person())
    assert (answer.status, header(answer, "set-cookie")) == (200, "")


def test_a_cookie_that_is_no_choice_is_the_usual_look(rig: ConsoleRig) -> None:
    page = text_of(rig.get("/findings", None, kept(rig, 'sidelight_theme="><b>')))
    assert "data-theme=" not in page
