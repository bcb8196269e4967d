"""The console in Chromium without script: every page is whole, and every form works."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dispatcher.services.console_users import ConsoleUserService
from sidelight.fleet.settings import Settings
from sidelight.store import Store
from tests.fixtures.console_browser import NEEDS_CHROMIUM, PASSWORD, Visit
from tests.fixtures.console_fleet import OWN, ConsoleFleet, member_of
from tests.fixtures.console_rig import person
from tests.fixtures.http_servers import served
from tests.fixtures.searched_findings import ACCOUNTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page, Response

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.slow]
NOT_PAGES = ("/search", "/scans/events")
# What a required field is filled with, by its name.
VALUES = {"add": "title", "account": OWN, "instance": "i-0", "port": "22", "grouptag": "owner"}
# Buttons that nothing but a script hears, and that a person sees.
DEAD = """[...document.querySelectorAll('button[type=button]:not([popovertarget])')]
  .filter((item) => getComputedStyle(item).display !== 'none').map((item) => item.outerHTML)"""
OPEN = """(item) => {
  for (let at = item; at; at = at.parentElement) if (at.localName === 'details') at.open = true;
}"""


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ConsoleFleet, str]]:
    path: Path = tmp_path_factory.mktemp("without") / "store.db"
    with Store(f"sqlite:///{path}") as store:
        store.migrate()
        fleet = ConsoleFleet(store, "web")
        ConsoleUserService(store).create(person(), PASSWORD)
        with served(store, Settings.of()) as server:
            yield fleet, server.url


@pytest.fixture
def page(browser: Browser, console: tuple[ConsoleFleet, str]) -> Iterator[Page]:
    context = browser.new_context(java_script_enabled=False, base_url=console[1])
    context.set_default_timeout(10_000)
    yield Visit(context.new_page(), console[1]).page
    context.close()


def pages_of(fleet: ConsoleFleet) -> list[str]:
    return [url for url in fleet.urls(OWN) if "format=" not in url and url not in NOT_PAGES]


def opened(page: Page, url: str) -> Response:
    answer = page.goto(url)
    assert answer is not None
    return answer


def reached(item: Locator) -> Locator:
    """A part, with what folds it opened, as clicks on each summary do."""
    item.evaluate(OPEN)
    return item


def sent(page: Page, form: Locator) -> Response:
    """Send a form by its button, with its required fields filled."""
    reached(form)
    for field in form.locator("input[required], textarea[required], select[required]").all():
        name = field.get_attribute("name") or ""
        if field.evaluate("(item) => item.tagName") == "SELECT":
            field.select_option(index=1)
        elif not field.input_value():
            field.fill(VALUES.get(name, "x"))
    with page.expect_navigation() as navigation:
        if form.locator("button").count():
            form.locator("button").first.click()
        else:
            form.locator("input:visible").first.press("Enter")
    return navigation.value


def test_every_page_is_whole_and_offers_nothing_that_does_nothing(
    page: Page, console: tuple[ConsoleFleet, str]
) -> None:
    found = []
    for url in pages_of(console[0]):
        answer = opened(page, url)
        if answer.status != 200 or not page.locator("h1").is_visible():
            found.append(f"{url}: {answer.status}")
        if url != "/styleguide":  # it has examples
            found += [f"{url}: {item[:200]}" for item in page.evaluate(DEAD)]
    assert not found, "\n".join(found[:20])


def test_every_form_that_only_asks_is_answered(
    page: Page, console: tuple[ConsoleFleet, str]
) -> None:
    """Each form of each page, those of a kind once."""
    found, seen = [], set()
    for url in pages_of(console[0]):
        if url == "/styleguide":  # it has examples
            continue
        opened(page, url)
        # The forms around the content are the same everywhere.
        forms = page.locator("form" if url == "/" else "main form")
        for number in range(forms.count()):
            form = forms.nth(number)
            method, kind = form.evaluate(
                "(item) => [item.method, [new URL(item.action).pathname, ...[...item.elements]"
                ".map((field) => field.name).filter((name) => name !== 'csrf')].join(' ')]"
            )
            if method != "get" or kind in seen or form.get_attribute("hidden") is not None:
                continue
            seen.add(kind)
            answer = sent(page, form)
            if answer.status != 200:
                found.append(f"{url}: {kind}: {answer.status}")
            opened(page, url)
    assert not found, "\n".join(found)
    assert len(seen) > 20


def toast(page: Page) -> str:
    return page.inner_text(".toast")


def test_what_changes_something_does_so_and_is_undone(
    page: Page, console: tuple[ConsoleFleet, str]
) -> None:
    fleet = console[0]
    rules = len(fleet.store.suppression_rules.all(""))
    opened(page, "/findings")
    page.locator("tbody input[data-row]").nth(0).check()
    page.locator("tbody input[data-row]").nth(1).check()
    reached(page.locator("[form=bulk][name=reason]")).fill("accepted")
    page.click("button[form=bulk]")
    assert "suppressed" in toast(page)
    assert len(fleet.store.suppression_rules.all("")) == rules + 1
    page.click(".toast button:has-text('Undo')")
    assert len(fleet.store.suppression_rules.all("")) == rules
    opened(page, "/findings")
    reached(page.locator("form[method=post] [name=name]")).fill("mine")
    page.click("form:has([name=name]) button.primary")
    assert "mine" in page.content()


def test_a_suppression_of_nothing_is_refused_in_words(page: Page) -> None:
    opened(page, "/findings")
    reached(page.locator("[form=bulk][name=reason]")).fill("accepted")
    with page.expect_navigation() as navigation:
        page.click("button[form=bulk]")
    assert navigation.value.status == 400
    assert "elect" in page.inner_text("main")


def test_density_appearance_and_columns_are_kept(page: Page) -> None:
    opened(page, "/findings")
    page.click("a:has-text('Compact rows')")
    assert page.locator("table.compact").count() == 1
    reached(page.locator("button[name=theme][value=dark]")).click()
    assert page.locator("html[data-theme=dark]").count() == 1
    page.goto("/instances")
    assert page.locator("html[data-theme=dark]").count() == 1
    reached(page.locator("button[name=theme][value=system]")).click()
    assert page.locator("html[data-theme]").count() == 0


def test_accounts_are_disabled_after_a_page_that_says_what_that_does(
    page: Page,
) -> None:
    opened(page, "/settings")
    # A member: an administrator that has members stays enabled.
    page.locator(f"tbody input[data-row][value='{member_of(min(ACCOUNTS))}']").check()
    reached(page.locator("details.bulk button").first).click()
    assert "/settings/disable?key=" in page.url
    page.locator("main form button").first.click()
    assert "being disabled in 1 account" in toast(page)


def test_a_person_signs_out(page: Page) -> None:
    opened(page, "/")
    reached(page.locator("form[action='/logout'] button")).click()
    page.goto("/findings")
    assert "/login" in page.url


def test_filters_are_folded_before_the_list_and_open_beside_it(page: Page) -> None:
    field = page.locator("aside input[name=package]")
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page, "/findings")
    assert not field.is_visible()
    page.click("aside summary >> nth=0")
    assert field.is_visible()
    page.set_viewport_size({"width": 1280, "height": 900})
    opened(page, "/findings")
    assert field.is_visible()
