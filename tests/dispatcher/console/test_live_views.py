"""Live parts in Chromium: what is not live says so and since when, and comes back."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from dispatcher.api import console_mount
from dispatcher.console.pages import scans
from dispatcher.services.console_users import ConsoleUserService
from sidelight.fleet.settings import Settings
from sidelight.model import State
from sidelight.store import Store
from tests.fixtures.console_browser import NEEDS_CHROMIUM, PASSWORD, Visit
from tests.fixtures.console_rig import person
from tests.fixtures.http_servers import served
from tests.fixtures.stored_findings import in_state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from dispatcher.api.server import ApiServer

pytestmark = NEEDS_CHROMIUM
LIVE, STALE = "[data-live]:text('live'):not(.stale *)", ".stale [data-live]"
PAGES = ("/scans", "/")


class RestartedServer:
    """A server of the console that can be away for a while."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._running = ExitStack()
        self._port = 0
        self.url = self.start().url

    def start(self) -> ApiServer:
        server = self._running.enter_context(served(self.store, Settings.of(), port=self._port))
        self._port = server.server_address[1]
        return server

    def stop(self) -> None:
        self._running.close()


@pytest.fixture
def restarted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RestartedServer]:
    monkeypatch.setattr(scans, "_SECONDS", 0.1)
    with Store(f"sqlite:///{tmp_path}/store.db") as store:
        store.migrate()
        ConsoleUserService(store).create(person(), PASSWORD)
        server = RestartedServer(store)
        yield server
        server.stop()


@pytest.fixture
def page(browser: Browser, restarted: RestartedServer) -> Iterator[Page]:
    context = browser.new_context()
    yield Visit(context.new_page(), restarted.url).page
    context.close()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_says_that_its_server_is_away_and_comes_back(
    page: Page, restarted: RestartedServer, path: str
) -> None:
    page.goto(f"{restarted.url.rstrip('/')}{path}")
    page.wait_for_selector(LIVE)
    restarted.stop()
    page.wait_for_selector(STALE)
    text = page.inner_text(STALE)
    assert text.startswith("not live since ")
    assert page.inner_text("#live") == text  # also to who does not see it
    in_state(restarted.store, State.READING)
    restarted.start()
    page.wait_for_selector(LIVE)
    assert page.locator(".stale").count() == 0
    page.wait_for_selector("#scan-states :text('1 working')")


def test_a_cut_that_nobody_reports_is_seen_by_its_silence(
    page: Page, restarted: RestartedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The connection is there, but nothing comes: as behind a firewall that forgot it.
    monkeypatch.setattr(scans, "_SECONDS", 3600.0)
    page.clock.install()
    page.goto(f"{restarted.url}scans")
    page.wait_for_selector(LIVE)
    page.clock.fast_forward(14_000)
    assert page.locator(".stale").count() == 0
    page.clock.fast_forward(2_000)
    page.wait_for_selector(STALE)
    monkeypatch.setattr(scans, "_SECONDS", 0.1)
    page.clock.fast_forward(4_000)
    page.wait_for_selector(LIVE)


def test_the_planned_end_of_a_stream_is_no_loss(
    page: Page, restarted: RestartedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console_mount, "STREAM_SECONDS", 0.3)
    page.goto(f"{restarted.url}scans")
    requests = 0
    page.evaluate("""() => { window.seen = []; const mark = document.querySelector('[data-live]');
      new MutationObserver(() => window.seen.push(mark.textContent)).observe(mark,
        {childList: true, characterData: true, subtree: true}); }""")
    while requests < 2:
        with page.expect_request("**/scans/events*"):
            requests += 1
    page.wait_for_selector(LIVE)
    assert not [text for text in page.evaluate("window.seen") if "not live" in text]


def test_a_session_that_ended_leaves_no_page_that_looks_live(
    page: Page, restarted: RestartedServer
) -> None:
    page.goto(f"{restarted.url}scans")
    page.wait_for_selector(LIVE)
    ConsoleUserService(restarted.store).revoke(person().name)
    page.wait_for_selector(STALE)
    assert "reload to sign in" in page.inner_text(STALE)
    page.reload()
    page.wait_for_url("**/login*")


def test_a_page_that_the_browser_brings_back_is_live(
    page: Page, restarted: RestartedServer
) -> None:
    page.goto(f"{restarted.url}scans")
    page.wait_for_selector(LIVE)
    page.goto(f"{restarted.url}settings")
    page.go_back()
    in_state(restarted.store, State.READING)
    page.wait_for_selector("#scan-states :text('1 working')")
    page.wait_for_selector(LIVE)


def test_without_script_nothing_says_that_it_is_live(
    browser: Browser, restarted: RestartedServer
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = Visit(context.new_page(), restarted.url).page
    for path in PAGES:
        page.goto(f"{restarted.url.rstrip('/')}{path}")
        assert page.locator("[data-live]").inner_text() == ""
    context.close()
