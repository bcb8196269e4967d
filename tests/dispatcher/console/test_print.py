"""What a page is on paper: all of its text, without controls, and no wider than the sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dispatcher.services.console_users import ConsoleUserService
from sidelight.fleet.settings import Settings
from sidelight.store import Store
from tests.fixtures.console_browser import NEEDS_CHROMIUM, PASSWORD, Visit
from tests.fixtures.console_fleet import HOSTILE, OWN, ConsoleFleet
from tests.fixtures.console_rig import person
from tests.fixtures.http_servers import served

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.slow]
WIDTH = 718  # pixels of A4 between margins of a centimetre
CONTROLS = ("nav.rail", "header.top", "button", ".row-form", ".toast", ".menu", "[data-row]")
# Tables and other parts whose text is cut by the edge of what holds them.
CUT = """[...document.querySelectorAll('main .sheet, main .card')]
  .filter((item) => item.checkVisibility() && item.getBoundingClientRect().right > innerWidth + 1
     || item.matches('.sheet') && item.scrollWidth > item.clientWidth + 1)
  .map((item) => item.getAttribute('aria-label') || item.className)"""
DARK = """[...document.querySelectorAll('body, main, .card, .tile, .sheet')]
  .filter((item) => item.checkVisibility())
  .filter((item) => /rgb\\((\\d+), (\\d+), (\\d+)\\)/.exec(getComputedStyle(item).backgroundColor)
     ?.slice(1).some((value) => Number(value) < 128)).map((item) => item.className)"""


def test_every_page_can_be_printed_also_from_a_dark_screen(
    browser: Browser, tmp_path: Path
) -> None:
    found: list[str] = []
    with Store(f"sqlite:///{tmp_path}/store.db") as store:
        store.migrate()
        fleet = ConsoleFleet(store, HOSTILE)
        ConsoleUserService(store).create(person(), PASSWORD)
        with served(store, Settings.of()) as server:
            context = browser.new_context(viewport={"width": WIDTH, "height": 1000})
            visit = Visit(context.new_page(), server.url)
            visit.page.emulate_media(media="print", color_scheme="dark")
            for url in fleet.urls(OWN):
                if "format=" in url or url in {"/search", "/scans/events"}:
                    continue
                visit.page.goto(f"{visit.url}{url}")
                shown = [name for name in CONTROLS
                         if visit.page.locator(f"{name}:visible").count()]  # fmt: skip
                found += [f"{url}: {name} is printed" for name in shown]
                found += [f"{url}: cut: {name}" for name in visit.page.evaluate(CUT)]
                found += [f"{url}: dark: {name}" for name in visit.page.evaluate(DARK)]
                assert visit.page.locator("h1:visible").count() == 1, url
            context.close()
    assert not found, "\n".join(dict.fromkeys(found))
