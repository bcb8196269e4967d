"""When pages of the console can be used in Chromium on a slow phone.

    python -m benchmarks.console_interactive                      # a small fleet, SQLite

The processor is slowed down 4 times, and the network is Lighthouse's "slow 4G": 150 ms for each
round trip, 1.6 Mbit/s. Prints for each page the milliseconds to the first paint, to the end of
DOMContentLoaded (the page's script has run by then), and to the end of the last task of more than
50 ms; a page can be used from the later one of the last two. The browser's cache is empty for
`cold`, and has style sheet and script for `warm`. Needs Playwright and Debian's chromium.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from playwright.sync_api import sync_playwright

from dispatcher.services.console_users import ConsoleUserService
from sidelight.fleet.settings import Settings
from sidelight.store import Store
from tests.fixtures.console_fleet import OWN, ConsoleFleet
from tests.fixtures.console_rig import person
from tests.fixtures.http_servers import served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PASSWORD = "correct horse battery"  # noqa: S105 - of nobody
RUNS = 3
SLOWED = 4  # times
NETWORK = {
    "offline": False,
    "latency": 150,  # ms
    "downloadThroughput": 1_600_000 / 8,  # bytes a second
    "uploadThroughput": 750_000 / 8,
}
MEASURE = """() => new Promise((resolve) => {
  const page = performance.getEntriesByType("navigation")[0];
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  let last = 0;
  new PerformanceObserver((list) => {
    for (const task of list.getEntries()) last = Math.max(last, task.startTime + task.duration);
  }).observe({ type: "longtask", buffered: true });
  setTimeout(() => resolve({
    paint: paint ? paint.startTime : 0, loaded: page.domContentLoadedEventEnd, busy: last,
    bytes: page.transferSize,
  }), 300);
})"""


class PageTimes(TypedDict):
    """Milliseconds since the navigation began, and the bytes of the page as sent."""

    paint: float
    loaded: float
    busy: float
    bytes: float


def main() -> None:
    """Measure the pages of a small fleet, and print a table."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium is not installed")
    with (
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as engine,
        Store(f"sqlite:///{Path(folder)}/store.db") as store,
    ):
        store.migrate()
        fleet = ConsoleFleet(store, "web")
        ConsoleUserService(store).create(person(), PASSWORD)
        paths = ["/", "/findings", f"/findings/{fleet.rows(OWN)[0].id}", "/instances",
                 f"/vulnerabilities/{fleet.vulnerability}", "/plan", "/network"]  # fmt: skip
        with served(store, Settings.of()) as server:
            browser = engine.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            _measure(browser, server.url.rstrip("/"), paths)
            browser.close()


def _measure(browser: Browser, url: str, paths: list[str]) -> None:
    page = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
    page.goto(f"{url}/login")
    page.fill("[name=name]", "alice")
    page.fill("[name=password]", PASSWORD)
    page.click("button.primary")
    page.wait_for_url(f"{url}/")
    print(f"{'':5} {'paint':>6} {'loaded':>6} {'busy':>6} {'usable':>6} {'KB':>6}  page")
    for path in paths:
        for name in ("cold", "warm"):
            found = [_times(page, f"{url}{path}", warm=name == "warm") for _ in range(RUNS)]
            paint, loaded, busy, size = (
                statistics.median(times[key] for times in found)
                for key in ("paint", "loaded", "busy", "bytes")
            )
            print(f"{name:5} {paint:6.0f} {loaded:6.0f} {busy:6.0f} {max(loaded, busy):6.0f}"
                  f" {size / 1024:6.1f}  {path}")  # fmt: skip


def _times(page: Page, url: str, *, warm: bool) -> PageTimes:
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": not warm})
    session.send("Network.emulateNetworkConditions", NETWORK)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWED})
    page.goto(url, wait_until="load")
    found: PageTimes = page.evaluate(MEASURE)
    session.detach()
    return found


if __name__ == "__main__":
    main()
