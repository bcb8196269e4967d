"""Passwords of the console's tests are hashed at a low cost, but where hashing is tested."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dispatcher.services import console_users
from tests.fixtures.console_browser import CHROMIUM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser


COST = console_users._N


# Of a module's scope, for the people of its fixtures.
@pytest.fixture(autouse=True, scope="module")
def low_cost_hashes() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(console_users, "_N", 1 << 10)
        yield


@pytest.fixture
def real_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords at the product's cost."""
    monkeypatch.setattr(console_users, "_N", COST)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, of tests that are marked as needing it."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as engine:
        running = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()
