"""Reading a whole tree's blocks ahead: the same listing and Problems, in fewer rounds of calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from fuzz import ext as ext_images
from fuzz import xfs as xfs_images
from sidelight.blocks import BlockCache
from sidelight.errors import SidelightError
from sidelight.filesystems.open import open_filesystem
from sidelight.filesystems.protocol import InodeKind, ReadsAhead
from tests.fixtures.hypothesis_profiles import many
from tests.images.ext import tiny
from tests.images.xfs import fixtures

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.blocks import BlockSource
    from sidelight.filesystems.protocol import Filesystem

UNIT = 16 << 10


class Fetcher:
    """A BlockFetcher over an image, and what it was asked for."""

    name = "snapshot"
    block_size = UNIT

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)
        self.fetched: list[int] = []

    def present(self, index: int) -> bool:
        return self.data[index * UNIT : (index + 1) * UNIT].strip(b"\0") != b""

    def fetch(self, index: int) -> bytes:
        self.fetched.append(index)
        return self.data[index * UNIT : (index + 1) * UNIT].ljust(UNIT, b"\0")


def _listed(source: BlockSource, *, ahead: bool) -> tuple[dict[int, list[object]], list[str]]:
    fs = open_filesystem(source)
    if ahead:
        assert isinstance(fs, ReadsAhead)
        fs.read_ahead()
    found = _walk(fs)
    return found, sorted(f"{problem.where}: {problem.what}" for problem in fs.problems)


def _walk(fs: Filesystem) -> dict[int, list[object]]:
    found: dict[int, list[object]] = {}
    level = [fs.root]
    while level:
        below = []
        for number, entries in fs.directories(level):
            found[number] = list(entries)
            below += [child for _, child, kind in entries if kind == InodeKind.DIRECTORY]
        level = [number for number in dict.fromkeys(below) if number not in found]
    return found


def _image(name: str) -> bytes:
    if name in tiny.NAMES:
        return tiny.load(name)
    image = fixtures.load(name)
    return image.read_at(0, image.size)


@pytest.mark.parametrize("name", [*tiny.NAMES, "tiny", "tiny-dirty", "clean"])
def test_a_walk_that_was_read_ahead_waits_for_no_call(name: str) -> None:
    if name not in tiny.NAMES:
        pytest.importorskip("zstandard")
    plain = Fetcher(_image(name))
    cache = BlockCache(plain)
    expected = _listed(cache, ahead=False)
    cache.close()
    ahead = Fetcher(plain.data)
    cache = BlockCache(ahead)
    fs = open_filesystem(cache)
    assert isinstance(fs, ReadsAhead)
    fs.read_ahead()
    before = len(ahead.fetched)
    assert _walk(fs) == expected[0]
    cache.close()
    assert ahead.fetched[before:] == []
    assert len(ahead.fetched) == len(set(ahead.fetched))
    # No directory is far from the others here: nothing is fetched that the walk had not needed,
    # but where allocation groups begin.
    assert len(set(ahead.fetched) - set(plain.fetched)) <= 4


@many(60, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(min_size=8, max_size=60), st.booleans())
def test_damage_is_reported_the_same_with_reading_ahead(changes: bytes, xfs: bool) -> None:
    data = bytes((changes[0], changes[1] & 1)) + changes[2:]
    mutate: Callable[[bytes], BlockSource] = xfs_images.mutate if xfs else ext_images.mutate
    results: list[object] = []
    for unit, ahead in ((0, False), (8, True)):
        try:
            results.append(
                _listed(mutate(bytes((data[0], data[1] | unit)) + data[2:]), ahead=ahead)
            )
        except SidelightError as error:
            results.append(str(error))
    assert results[0] == results[1]
