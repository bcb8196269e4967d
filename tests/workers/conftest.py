"""A world for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.workers.bench import World, sqlite_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Worlds on SQLite, closed after the test."""
    made: list[World] = []

    def make(**options: Any) -> World:
        directory = tmp_path / str(len(made))
        directory.mkdir()
        made.append(World(sqlite_url(directory), **options))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """One machine of two disks."""
    return make_world()
