"""Walking ext4: our CPU time and blocks against other readers, on the same image in one run.

`python benchmarks/walk_ext.py [--files 300000] [--image PATH]` makes `build/ext4-<files>.img` by
its recipe if it is absent (a tree of directories of 50 files, as a package store has), then walks
it with each reader in its own process and prints a table.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from sidelight.blocks import BlockCache, ImageFile  # noqa: E402 - a script finds its own checkout first
from sidelight.filesystems.ext import directories as ext_directories  # noqa: E402 - a script finds its own checkout first
from sidelight.filesystems.ext import inodes as ext_inodes  # noqa: E402 - a script finds its own checkout first
from sidelight.filesystems.ext.reader import ExtFilesystem  # noqa: E402 - a script finds its own checkout first

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK = 512 << 10
FILES_A_DIRECTORY = 50


def build(image: Path, files: int) -> None:
    """An ext4 of `files` files of about 100 bytes, by mke2fs -d from a tree."""
    image.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sidelight-tree-") as name:
        top = Path(name)
        for number in range(files // FILES_A_DIRECTORY):
            folder = top / f"section-{number % 60}" / f"package-{number}"
            folder.mkdir(parents=True)
            for n in range(FILES_A_DIRECTORY):
                (folder / f"some-file-name-{n}.txt").write_bytes(b"x" * (n * 4))
        partial = image.with_suffix(".partial")
        with partial.open("wb") as file:
            file.truncate(files * 4096 * 2 + (1 << 30))
        inodes = ["-N", str(files + files // 10 + 10000)]
        command = ["mke2fs", "-q", "-F", "-t", "ext4", *inodes, "-d", name, str(partial)]
        subprocess.run(command, check=True)
        partial.rename(image)


class Blocks:
    """Whole 512 KiB blocks of an image file, counted."""

    block_size = BLOCK

    def __init__(self, image: ImageFile) -> None:
        self._image = image
        self.name = image.name
        self.size = image.size
        self.fetched: list[int] = []

    def present(self, index: int) -> bool:
        """Every block of a file is there."""
        return index * BLOCK < self.size

    def fetch(self, index: int) -> bytes:
        """One block, the last one short."""
        self.fetched.append(index)
        begin = index * BLOCK
        return self._image.read_at(begin, min(BLOCK, self.size - begin))


def walk(fs: ExtFilesystem) -> int:
    """Every path, a level at a time."""
    level, paths = [fs.root], 0
    while level:
        below: list[int] = []
        for _, entries in fs.directories(level):
            paths += len(entries)
            below += [number for _, number, kind in entries if kind == 2]
        level = below
    return paths


def sidelight(image: Path) -> dict[str, Any]:
    """Ours, straight from the file."""
    return {"paths": walk(ExtFilesystem(ImageFile(str(image))))}


def sidelight_unverified(image: Path) -> dict[str, Any]:
    """Ours without checksums, to see what they cost."""
    setattr(ext_directories.Directories, "_verify", lambda *_: None)  # noqa: B010 - only here
    setattr(ext_inodes.Inodes, "_bad_checksums", lambda _, ids, *__: ids < 0)  # noqa: B010 - only here
    return sidelight(image)


def sidelight_blocks(image: Path) -> dict[str, Any]:
    """Ours, over 512 KiB blocks as from EBS."""
    blocks = Blocks(ImageFile(str(image)))
    cache = BlockCache(blocks, in_flight=8)
    paths = walk(ExtFilesystem(cache))
    cache.close()
    return {"paths": paths, "calls": len(blocks.fetched), "distinct": len(set(blocks.fetched))}


def ext4(image: Path) -> dict[str, Any]:
    """The package `ext4`."""
    import ext4 as package

    paths = 0
    with image.open("rb") as file:
        volume = package.Volume(file)
        waiting, seen = [volume.root], set()
        while waiting:
            for entry, kind in waiting.pop().opendir():
                if entry.name_str in {".", ".."}:
                    continue
                paths += 1
                if kind == package.EXT4_FT.DIR and entry.inode not in seen:
                    seen.add(entry.inode)
                    waiting.append(volume.inodes[entry.inode])
    return {"paths": paths}


def ext2py(image: Path) -> dict[str, Any]:
    """The package `ext2py`."""
    import ext2py as package

    volume = package.open_fs(str(image))
    paths = sum(len(folders) + len(files) for _, folders, files in volume.walk())
    volume.close()
    return {"paths": paths}


READERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "sidelight": sidelight,
    "sidelight-unverified": sidelight_unverified,
    "sidelight-blocks": sidelight_blocks,
    "ext4": ext4,
    "ext2py": ext2py,
}


def main() -> None:
    """Build if needed, then one process a reader."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=300_000)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--only", choices=sorted(READERS))
    parser.add_argument("--skip", choices=sorted(READERS), action="append", default=[])
    arguments = parser.parse_args()
    image = arguments.image or ROOT / "build" / f"ext4-{arguments.files}.img"
    if not image.exists():
        if shutil.which("mke2fs") is None:
            sys.exit("mke2fs is needed to build the image")
        build(image, arguments.files)
    if arguments.only:
        begin = time.process_time()
        result = READERS[arguments.only](image)
        result["cpu"] = time.process_time() - begin
        print(json.dumps(result))
        return
    ours = 0.0
    for name in READERS:
        if name in arguments.skip:
            continue
        command = [sys.executable, __file__, "--image", str(image), "--only", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{name:22} failed: {done.stderr.strip().splitlines()[-1]}")
            continue
        result = json.loads(done.stdout)
        ours = ours or result["cpu"]
        blocks = (
            f"{result['calls']} calls, {result['distinct']} blocks" if "calls" in result else ""
        )
        print(
            f"{name:22} {result['paths']:8} paths {result['cpu']:7.2f} s CPU "
            f"{result['cpu'] / ours:6.1f} x  {blocks}"
        )


if __name__ == "__main__":
    main()
