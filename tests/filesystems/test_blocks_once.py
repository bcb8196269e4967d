"""A walk fetches each block of a snapshot once, whatever little of them a cache may hold.

The images' directories lie between files and in each other's way: a level of the tree comes to
blocks that an earlier one was at.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from sidelight.blocks import BlockCache, ImageFile, SliceSource, metadata_cache, scatter_read
from sidelight.filesystems.open import open_filesystem
from sidelight.filesystems.protocol import InodeKind, ReadsAhead
from sidelight.filesystems.walk import walk
from sidelight.filesystems.xfs import directories
from tests.images.kernel import mounted, unmountable

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = 32 << 10  # so that a small image has many
ROOM = 24 * BLOCK
AT_ONCE = 12  # blocks of a window
SHIFT = 1 << 20  # as a partition


class Counted:
    """A BlockFetcher over an image that counts its calls."""

    block_size = BLOCK

    def __init__(self, image: Path) -> None:
        self._image = ImageFile(str(image))
        self.name = image.name
        self.size = SHIFT + self._image.size
        self.calls: Counter[int] = Counter()

    def present(self, index: int) -> bool:
        return index * BLOCK >= SHIFT

    def fetch(self, index: int) -> bytes:
        self.calls[index] += 1
        begin = index * BLOCK - SHIFT
        return self._image.read_at(begin, min(BLOCK, self._image.size - begin)).ljust(BLOCK, b"\0")


def _fill(top: Path) -> int:
    """A deep tree of small directories, with files that part them; how many paths it has."""
    chance = random.Random(4)
    folders, paths = [top], 0
    for number in range(600):
        folder = chance.choice(folders[-60:]) / f"folder-{number}"
        folder.mkdir()
        folders.append(folder)
        entries = 400 if number % 100 == 50 else chance.choice([1, 2, 5])
        for index in range(entries):
            data = b"x" * (chance.choice([100, 20_000]) if entries < 10 else 0)
            (folder / f"{'name' * chance.randrange(1, 5)}-{index}").write_bytes(data)
        paths += 1 + entries
    return paths


@pytest.mark.images
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ext4", "ext3", "xfs"])
def test_each_block_is_fetched_once(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (scatter_read, directories):
        monkeypatch.setattr(module, "FAR", BLOCK.bit_length() - 1)
        monkeypatch.setattr(module, "WINDOW_BLOCKS", AT_ONCE)
    tree, image = tmp_path / "tree", tmp_path / "disk.img"
    tree.mkdir()
    with image.open("wb") as file:
        file.truncate(400 << 20)
    if kind == "xfs":
        if why := unmountable():
            pytest.skip(why)
        if shutil.which("mkfs.xfs") is None:
            pytest.skip("needs mkfs.xfs")
        subprocess.run(["mkfs.xfs", "-q", "-f", image], check=True)
        with mounted(image, "xfs", "rw") as top:
            paths = _fill(top)
    else:
        if shutil.which("mke2fs") is None:
            pytest.skip("needs mke2fs")
        paths = _fill(tree)
        subprocess.run(["mke2fs", "-q", "-F", "-t", kind, "-d", tree, image], check=True)
        paths += 1  # lost+found
    fetcher = Counted(image)
    cache = BlockCache(fetcher, budget=ROOM, in_flight=4)
    fs = open_filesystem(SliceSource(cache, SHIFT, fetcher.size - SHIFT, "partition"))
    # Recognising it reads what is one block of a real snapshot, and several here.
    fetcher.calls.clear()
    level, found = [fs.root], 0
    while level:
        below = []
        for _, entries in fs.directories(level):
            found += len(entries)
            below += [number for _, number, kind_ in entries if kind_ == 2]
        level = below
    cache.close()
    assert found == paths
    assert not fs.problems
    # More than the cache holds, or this would prove nothing.
    assert len(fetcher.calls) * BLOCK > ROOM
    assert {index: count for index, count in fetcher.calls.items() if count > 1} == {}


@pytest.mark.images
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ext4", "ext3"])
def test_inodes_that_a_walk_read_ahead_are_at_hand_after_it(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("mke2fs") is None:
        pytest.skip("needs mke2fs")
    monkeypatch.setattr(metadata_cache, "AHEAD", AT_ONCE)
    tree, image = tmp_path / "tree", tmp_path / "disk.img"
    tree.mkdir()
    with image.open("wb") as file:
        file.truncate(400 << 20)
    _fill(tree)
    subprocess.run(["mke2fs", "-q", "-F", "-t", kind, "-d", tree, image], check=True)
    fetcher = Counted(image)
    cache = BlockCache(fetcher, budget=6 * ROOM, in_flight=4)
    fs = open_filesystem(SliceSource(cache, SHIFT, fetcher.size - SHIFT, "partition"))
    assert isinstance(fs, ReadsAhead)
    fs.read_ahead()
    files = [
        number
        for level in walk(fs)
        for _, _, entries in level
        for _, number, kind_ in entries
        if kind_ == InodeKind.REGULAR
    ]
    assert len(fetcher.calls) * BLOCK > 6 * ROOM
    assert len(fs.inodes(files)) == len(files)
    cache.close()
    assert {index: count for index, count in fetcher.calls.items() if count > 1} == {}
