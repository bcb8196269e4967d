"""Passwords of the console's tests are hashed at a low cost, but where hashing is tested."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dispatcher.services import console_users

if TYPE_CHECKING:
    from collections.abc import Iterator


# Of a module's scope, for the people of its fixtures.
@pytest.fixture(autouse=True, scope="module")
def low_cost_hashes(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if not request.module.__name__.endswith("test_sessions"):
            patch.setattr(console_users, "_N", 1 << 10)
        yield
