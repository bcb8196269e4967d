"""A publisher on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.publisher import Publisher

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield from Publisher().running()
