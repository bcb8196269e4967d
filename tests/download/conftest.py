"""The fixture that the tests of fetching share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.download.fetched_feeds import Fleet

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.publisher import Publisher


@pytest.fixture
def fleet(publisher: Publisher, tmp_path: Path) -> Fleet:
    return Fleet(publisher, tmp_path)
