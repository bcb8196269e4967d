"""What a full walk of 300,000 files on XFS costs, against other readers, on the same image.

    python benchmarks/walk_xfs.py [--image build/walk-300k.xfs] [--only-ours]

Makes the image by recipe where it is absent (root and loop devices, once). Prints CPU seconds (the
best of three), the distinct 512 KiB blocks that the walk touches, how many were read more than
once, and the ratio to dissect.xfs, which is installed by the extra `reference`.
"""

from __future__ import annotations

import argparse
import os
import random
import stat
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sidelight.blocks import BlockCache, ImageFile
from sidelight.filesystems.protocol import Kind
from sidelight.filesystems.xfs.reader import XfsFilesystem
from tests.images import kernel
from tests.images.xfs import images

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = 300_000
BLOCK = 512 << 10
DIRECTORY = int(Kind.DIRECTORY)


class Counted:
    """A BlockFetcher over an image that counts its calls, holes left out."""

    def __init__(self, image: Path) -> None:
        self._image = ImageFile(str(image))
        self.name = image.name
        self.size = self._image.size
        self.block_size = BLOCK
        self.calls: Counter[int] = Counter()

    def present(self, index: int) -> bool:
        """Whether the file has data there."""
        try:
            found = os.lseek(self._image._fd, index * BLOCK, os.SEEK_DATA)  # noqa: SLF001 - sparse files
        except OSError:
            return False
        return found < (index + 1) * BLOCK

    def fetch(self, index: int) -> bytes:
        """One block, padded at the end of the image."""
        self.calls[index] += 1
        offset = index * BLOCK
        return self._image.read_at(offset, min(BLOCK, self.size - offset)).ljust(BLOCK, b"\0")


def build(image: Path) -> None:
    """300,000 small files and links in 15,000 directories of 1 to 5,000 entries, in one tree."""
    image.parent.mkdir(parents=True, exist_ok=True)
    part = image.with_suffix(".part")
    images.make(part, size="4G")
    chance = random.Random(300)  # noqa: S311 - a recipe, not a secret
    with kernel.mounted(part, "xfs", "rw") as top:
        folders, made = [top], 0
        while made < FILES:
            parent = chance.choice(folders[-2000:])
            folder = parent / f"dir-{len(folders)}"
            folder.mkdir()
            folders.append(folder)
            count = chance.choice([1, 3, 5, 8, 12, 20, 30, 60])
            if len(folders) % 1500 == 0:
                count = 5000
            for index in range(min(count, FILES - made)):
                ending = chance.choice(["py", "txt", "so.6"])
                path = folder / f"{'name' * chance.randrange(1, 5)}-{index}.{ending}"
                if chance.random() < 0.05:
                    path.symlink_to("../target")
                else:
                    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
            made += count
    part.rename(image)


def walk_ours(image: Path, *, metadata: bool = False) -> int:
    """Paths that Sidelight's reader lists, with every inode read or only the directories'."""
    with ImageFile(str(image)) as source:
        filesystem = XfsFilesystem(source)
        paths, level = 0, [filesystem.root]
        while level:
            below: list[int] = []
            listed: list[int] = []
            for _, entries in filesystem.directories(level):
                paths += len(entries)
                below += [number for _, number, kind in entries if kind == DIRECTORY]
                if metadata:
                    listed += [number for _, number, _ in entries]
            filesystem.inodes(listed)
            level = below
        assert not filesystem.problems, filesystem.problems[:3]
        return paths


def walk_dissect(image: Path, *, metadata: bool = False) -> int:
    """Paths that dissect.xfs lists, likewise."""
    from dissect.xfs.xfs import XFS

    with image.open("rb") as file:
        paths, stack = 0, [XFS(file).root]
        while stack:
            for name, inode in stack.pop().listdir().items():
                if name in (".", ".."):
                    continue
                paths += 1
                if metadata:
                    assert inode.inode.di_mode
                if inode.filetype == stat.S_IFDIR:
                    stack.append(inode)
        return paths


def best(function: Callable[[Path], int], image: Path, rounds: int) -> tuple[float, int]:
    """Least CPU seconds, and the paths found."""
    times, found = [], 0
    for _ in range(rounds):
        start = time.process_time()
        found = function(image)
        times.append(time.process_time() - start)
    return min(times), found


def blocks(image: Path) -> tuple[int, int]:
    """Distinct blocks of a walk, and calls in all."""
    fetcher = Counted(image)
    cache = BlockCache(fetcher)
    filesystem = XfsFilesystem(cache)
    level = [filesystem.root]
    while level:
        level = [
            number
            for _, entries in filesystem.directories(level)
            for _, number, kind in entries
            if kind == Kind.DIRECTORY
        ]
    cache.close()
    return len(fetcher.calls), fetcher.calls.total()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--image", type=Path, default=Path("build/walk-300k.xfs"))
    parser.add_argument("--only-ours", action="store_true")
    chosen = parser.parse_args()
    if not chosen.image.exists():
        build(chosen.image)
    distinct, calls = blocks(chosen.image)
    print(f"a walk touches {distinct} blocks of 512 KiB, in {calls} calls")
    for title, metadata in (("names and types", False), ("every inode read", True)):
        ours, paths = best(partial(walk_ours, metadata=metadata), chosen.image, 3)
        print(f"{title}: sidelight {ours:.2f} CPU s for {paths} paths", flush=True)
        if not chosen.only_ours:
            theirs, found = best(partial(walk_dissect, metadata=metadata), chosen.image, 1)
            print(f"  dissect.xfs {theirs:.2f} CPU s for {found}: {theirs / ours:.1f} times ours")


if __name__ == "__main__":
    main()
