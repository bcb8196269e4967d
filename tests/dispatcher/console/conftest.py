"""Passwords of the console's tests are hashed at a low cost, but where hashing is tested."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dispatcher.services import console_users

if TYPE_CHECKING:
    from collections.abc import Iterator


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
