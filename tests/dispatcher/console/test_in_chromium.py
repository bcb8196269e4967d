"""The console in Chromium: accessible in light and dark, by keyboard, without errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from dispatcher.console.pages import PAGES
from dispatcher.services.console_users import ConsoleUserService
from sidelight.fleet.settings import Settings
from sidelight.model import AccountStatus
from tests.fixtures.console_browser import NEEDS_CHROMIUM, PASSWORD, Visit
from tests.fixtures.console_fleet import OWN, ConsoleFleet, member_of
from tests.fixtures.console_rig import person
from tests.fixtures.http_servers import served
from tests.fixtures.searched_findings import ACCOUNTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page, Route

    from sidelight.model import EffectiveConfiguration
    from sidelight.store import Store

pytestmark = NEEDS_CHROMIUM
NAME = 'web "><b>1</b>\u202egnp'
NOT_PAGES = ("/search", "/scans/events")
# Rows of lists, and tabs, that a phone cuts at its right edge.
CUT = """[...document.querySelectorAll('.list .sheet, .tabs')]
  .filter((sheet) => sheet.scrollWidth > sheet.clientWidth + 1)
  .map((sheet) => sheet.getAttribute('aria-label'))"""
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# A scheme changes colours alone: the second one is asked for what they decide.
SCHEMES: dict[Literal["light", "dark"], dict[str, object]] = {
    "light": {"type": "tag", "values": RULES},
    "dark": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
}


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[ConsoleFleet]:
    from sidelight.store import Store

    with Store(f"sqlite:///{tmp_path}/store.db") as store:
        store.migrate()
        yield ConsoleFleet(store, NAME)


@pytest.fixture
def visit(browser: Browser, fleet: ConsoleFleet) -> Iterator[Visit]:
    store: Store = fleet.store
    ConsoleUserService(store).create(person(), PASSWORD)
    with served(store, Settings.of()) as server:
        context = browser.new_context()
        yield Visit(context.new_page(), server.url)
        context.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_page_is_accessible_and_without_errors(visit: Visit, fleet: ConsoleFleet) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    urls = [url for url in fleet.urls(OWN) if "format=" not in url and url not in NOT_PAGES]
    assert len(urls) >= len([page for page in PAGES if page.method == "GET"]) - len(NOT_PAGES)
    found: list[str] = []
    for url in urls:
        answer = visit.page.goto(f"{visit.url}{url}")
        assert answer is not None
        if answer.status != 200 or "text/html" not in answer.headers["content-type"]:
            found.append(f"{url}: {answer.status}")
            continue
        for scheme, rules in SCHEMES.items():
            # Contrast is measured at rest, not during the fade of a live part.
            visit.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            results = axe.run(visit.page, options={"runOnly": rules, "resultTypes": ["violations"]})
            for violation in results.response["violations"]:
                node = violation["nodes"][0]
                found.append(f"{scheme} {url}: {violation['id']}: {node['html'][:200]}")
        for width in (390, 800, 1280):
            visit.page.set_viewport_size({"width": width, "height": 844})
            wide = visit.page.evaluate("document.documentElement.scrollWidth > innerWidth")
            if wide:
                found.append(f"{url}: wider than {width} px")
            if width == 390:
                hidden = visit.page.evaluate(CUT)
                found.extend(f"{url}: cut at {width} px: {text}" for text in hidden)
    assert not found, "\n".join(found[:40])
    assert visit.complaints == []


def violations(page: Page) -> list[str]:
    """What axe finds on the page as it is now."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    results = axe.run(page, options={"runOnly": {"type": "tag", "values": RULES}})
    return [
        f"{page.url}: {violation['id']}: {violation['nodes'][0]['html'][:200]}"
        for violation in results.response["violations"]
    ]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_what_no_list_of_pages_has_is_accessible(visit: Visit, scheme: str, width: int) -> None:
    """The help with keys, a page that does not exist, a refused form, and the login, also small."""
    page = visit.page
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{visit.url}/findings")
    found = violations(page)
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    found += violations(page)
    page.goto(f"{visit.url}/instances/i-unknown")
    found += violations(page)
    page.goto(f"{visit.url}/nowhere")
    found += violations(page)
    page.context.clear_cookies()
    page.goto(f"{visit.url}/login")
    found += violations(page)
    page.fill("[name=name]", "alice")
    page.fill("[name=password]", "wrong")
    page.click("button.primary")
    page.wait_for_load_state()
    found += violations(page)
    assert not found, "\n".join(found)


def test_a_run_by_keyboard_finds_opens_and_suppresses(visit: Visit, fleet: ConsoleFleet) -> None:
    page = visit.page
    page.goto(f"{visit.url}/findings")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.type(fleet.vulnerability)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/vulnerabilities/{fleet.vulnerability}")
    page.goto(f"{visit.url}/findings")
    page.keyboard.press("j")
    page.keyboard.press("x")
    assert page.locator("tbody input:checked").count() == 1
    page.keyboard.press("o")
    page.wait_for_url("**/findings/*")
    page.locator("textarea[name=reason]").focus()
    page.keyboard.type("accepted")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector(".toast")
    assert "suppressed" in page.inner_text(".toast")
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    assert visit.complaints == []
    assert fleet.store.suppression_rules.all("")


def test_a_finding_opens_beside_its_list_and_escape_leads_back(visit: Visit) -> None:
    page = visit.page
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(f"{visit.url}/findings?severity=HIGH")
    title = page.title()
    page.keyboard.press("j")
    page.keyboard.press("o")
    page.wait_for_selector(".panel h1")
    assert page.evaluate("document.activeElement.className") == "panel"
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found += violations(page)
    assert not found, "\n".join(found)
    # Another row takes its place, and the way back is one step all the same.
    first = page.url
    page.locator("main tbody a.row").nth(1).click()
    page.wait_for_url(lambda url: url != first)
    assert page.locator(".panel").count() == 1
    own = page.url
    page.keyboard.press("Escape")
    page.wait_for_url("**/findings?severity=HIGH")
    assert page.locator(".panel").count() == 0
    assert page.title() == title
    assert page.evaluate("document.activeElement.href") == own
    # The address is that of a whole page.
    page.goto(own)
    assert page.locator(".panel").count() == 0
    assert page.locator("main h1").is_visible()
    assert visit.complaints == []


def test_without_room_a_finding_is_a_page_of_its_own(visit: Visit) -> None:
    page = visit.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{visit.url}/findings")
    page.locator("main tbody a.row").first.click()
    page.wait_for_url("**/findings/*")
    assert page.locator(".panel").count() == 0
    assert page.locator("main h1").is_visible()


def test_a_suppression_is_undone_from_its_notice(visit: Visit, fleet: ConsoleFleet) -> None:
    before = len(fleet.store.suppression_rules.all(""))
    page = visit.page
    page.goto(f"{visit.url}/findings/{fleet.rows(OWN)[0].id}")
    page.fill("textarea[name=reason]", "accepted")
    page.locator("form:has(textarea[name=reason]) button").first.click()
    page.click(".toast button:has-text('Undo')")
    page.wait_for_selector(".toast:has-text('removed')")
    assert len(fleet.store.suppression_rules.all("")) == before
    assert visit.complaints == []


def test_a_phone_has_the_pages_in_a_sheet(visit: Visit) -> None:
    page = visit.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{visit.url}/")
    assert not page.locator("#rail").is_visible()
    page.locator(".menu-button").focus()
    page.keyboard.press("Enter")
    assert page.locator("#rail").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#rail").is_visible()
    page.click(".menu-button")
    page.click("#rail a:has-text('Findings')")
    page.wait_for_url("**/findings")
    assert visit.complaints == []


def test_pages_work_without_script(browser: Browser, fleet: ConsoleFleet) -> None:
    ConsoleUserService(fleet.store).create(person(), PASSWORD)
    with served(fleet.store, Settings.of()) as server:
        context = browser.new_context(java_script_enabled=False)
        page = Visit(context.new_page(), server.url).page
        page.goto(f"{server.url}findings")
        page.fill("form [name=package]", "openssl")
        page.click("aside button")
        assert "package=openssl" in page.url
        assert page.locator("tbody tr").count() >= 1
        page.click("tbody a.row >> nth=0")
        assert "/findings/" in page.url
        context.close()


def test_an_account_is_disabled_by_keyboard_after_it_was_said_what_that_does(
    visit: Visit, fleet: ConsoleFleet
) -> None:
    page = visit.page
    # An administrator that has members stays enabled.
    configuration = fleet.rig.services.configuration
    (own,) = [
        item
        for item in fleet.store.configurations.organizations()
        if item.administrator == min(ACCOUNTS)
    ]
    configuration.disassociate(own, member_of(min(ACCOUNTS)))
    page.goto(f"{visit.url}/settings")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.locator("details.bulk summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/settings/disable?key=*")
    assert "Findings are deleted 24 hours from now" in page.inner_text("main")
    assert all(item.status is AccountStatus.ENABLED for item in accounts_of(fleet))
    page.locator("main form button").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".toast")
    assert "being disabled in 1 account" in page.inner_text(".toast")
    assert [item.account for item in accounts_of(fleet)
            if item.status is AccountStatus.PENDING_DISABLE] == [min(ACCOUNTS)]  # fmt: skip
    assert visit.complaints == []


def accounts_of(fleet: ConsoleFleet) -> list[EffectiveConfiguration]:
    service = fleet.rig.services.configuration
    return service.effective(service.known_accounts())


# How far the middle of a hint is from that of the button in its row.
OFF_CENTRE = """[...document.querySelectorAll('.bulk .row-form > p')].map((hint) => {
  const middle = (box) => (box.top + box.bottom) / 2;
  const button = hint.parentElement.querySelector('button');
  return Math.abs(middle(hint.getBoundingClientRect()) - middle(button.getBoundingClientRect()));
})"""


def test_a_hint_is_level_with_the_buttons_that_it_is_about(visit: Visit) -> None:
    page = visit.page
    page.set_viewport_size({"width": 1280, "height": 900})
    hints = 0
    for path in ("/settings", "/settings/people"):
        page.goto(f"{visit.url}{path}")
        page.click("details.bulk summary")
        distances = page.evaluate(OFF_CENTRE)
        assert all(distance <= 1 for distance in distances), (path, distances)
        hints += len(distances)
    assert hints == 2


def test_a_second_click_sends_no_form_again(visit: Visit, fleet: ConsoleFleet) -> None:
    page = visit.page
    held: list[Route] = []
    number = fleet.rows(OWN)[0].id

    def hold(route: Route) -> None:
        held.append(route)

    page.route(f"**/findings/{number}/suppress*", hold)
    page.goto(f"{visit.url}/findings/{number}")
    form = page.locator("form[action*='/suppress']")
    form.evaluate(
        "(element) => { for (let at = element; at; at = at.parentElement) at.open = true; }"
    )
    form.locator("[name=reason]").fill("known")
    form.locator("button").scroll_into_view_if_needed()
    box = form.locator("button").bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    with page.expect_request(f"**/findings/{number}/suppress*"):
        page.mouse.click(*middle)
    page.mouse.click(*middle)
    held[0].continue_()
    page.wait_for_selector(".toast")
    assert len(held) == 1
