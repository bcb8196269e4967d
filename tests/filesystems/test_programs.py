"""Which inodes may be programs, by samples: what stat says, and no block fetched again."""

from __future__ import annotations

import os
import random
import shutil
import stat
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest

from sidelight.blocks import BlockCache, ImageFile, metadata_cache
from sidelight.filesystems import mode_samples
from sidelight.filesystems.open import open_filesystem
from sidelight.filesystems.protocol import PROGRAM_BYTES, FindsPrograms, InodeKind, ReadsAhead
from sidelight.filesystems.walk import walk
from tests.fakes.sources import CountingFetcher
from tests.images.kernel import mounted, unmountable

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.blocks import BlockSource

pytestmark = [pytest.mark.images, pytest.mark.slow]

BLOCK = 32 << 10
SIZES = (0, 1, PROGRAM_BYTES - 1, PROGRAM_BYTES, 1 << 20, (4 << 30) + 1)
MODES = (0o644, 0o755, 0o600, 0o100, 0o010, 0o001, 0o4755, 0o2710, 0o1777, 0)


def _fill(top: Path) -> None:
    chance = random.Random(7)
    for number in range(3000):
        folder = top / f"d{number % 60}"
        folder.mkdir(exist_ok=True)
        path = folder / f"file{number}"
        with path.open("wb") as file:
            file.truncate(chance.choice(SIZES))
        path.chmod(chance.choice(MODES))
    (top / "link").symlink_to("d1/file1")
    os.mkfifo(top / "pipe", 0o777)


def _programs(top: Path) -> set[int]:
    """What the kernel would run, by its own stat."""
    return {
        status.st_ino
        for status in (path.lstat() for path in top.rglob("*"))
        if stat.S_ISREG(status.st_mode)
        and status.st_mode & 0o111
        and status.st_size >= PROGRAM_BYTES
    }


Disk = tuple["Path", "set[int]"]


@pytest.fixture(scope="module", params=["ext4", "ext3", "xfs"])
def disk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Disk:
    kind = str(request.param)
    if why := unmountable():
        pytest.skip(why)
    if shutil.which(f"mkfs.{kind}") is None:
        pytest.skip(f"needs mkfs.{kind}")
    image = tmp_path_factory.mktemp(kind) / "disk.img"
    with image.open("wb") as file:
        file.truncate(400 << 20)
    quiet = ["-q", "-f"] if kind == "xfs" else ["-q", "-F"]
    subprocess.run([f"mkfs.{kind}", *quiet, image], check=True)
    with mounted(image, kind, "rw") as top:
        _fill(top)
        return image, _programs(top)


def _of_walk(source: BlockSource) -> tuple[FindsPrograms, list[int]]:
    """A filesystem and its files, met by a walk."""
    fs = open_filesystem(source)
    assert isinstance(fs, ReadsAhead)
    assert isinstance(fs, FindsPrograms)
    fs.read_ahead()
    files = [
        number
        for level in walk(fs)
        for _, _, entries in level
        for _, number, kind in entries
        if kind == InodeKind.REGULAR
    ]
    assert fs.problems == []
    return fs, files


def test_programs_of_an_image_are_those_of_the_kernel(disk: Disk) -> None:
    image, expected = disk
    with ImageFile(str(image)) as source:
        fs, files = _of_walk(source)
        assert set(fs.may_be_programs(files)) == expected
        assert 200 < len(expected) < len(files) == 3000


def test_programs_of_a_snapshot_cost_no_block_twice(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata_cache, "AHEAD", 8)
    image, expected = disk
    fetcher = CountingFetcher(str(image), "snapshot")
    fetcher.block_size = BLOCK
    cache = BlockCache(fetcher, budget=12 * BLOCK, in_flight=4)
    fs, files = _of_walk(cache)
    fetcher.fetched.clear()
    assert set(fs.may_be_programs(files)) == expected
    assert fetcher.fetched == []
    cache.close()
    fetcher.close()


def test_an_inode_in_doubt_may_be_a_program(disk: Disk) -> None:
    image, _ = disk
    with ImageFile(str(image)) as source:
        fs, _ = _of_walk(source)
        impossible = [(1 << 63) + 5, 1 << 40]
        assert fs.may_be_programs(impossible) == impossible


def test_the_type_in_a_sample_is_the_modes() -> None:
    modes = np.array([0o100755, 0o100644, 0o040755, 0o120777], np.uint16)
    large = np.array([True, True, True, True])
    samples = mode_samples.samples_of(modes, large)
    assert [byte >> 4 for byte in samples] == [mode >> 12 for mode in modes.tolist()]
    assert [byte & mode_samples.PROGRAM for byte in samples] == [1, 0, 0, 0]
