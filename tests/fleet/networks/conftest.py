"""A store of a test's own, with a clock by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.store import Store
from tests.fakes.clocks import Clock
from tests.fixtures.store_templates import lay
from tests.fixtures.store_urls import quick_directory, sqlite_url

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Iterator[Store]:
    with quick_directory() as directory:
        url = sqlite_url(directory)
        lay(url)
        with Store(url, clock=clock) as store:
            yield store
