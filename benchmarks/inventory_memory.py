"""Peak memory of an inventory by phase, with the blocks and calls that each phase took.

    python benchmarks/inventory_memory.py [IMAGE]

The image (build/debian.img by default) is read in 512 KiB blocks through a block cache of the
default budget, as a snapshot is; boto3 is imported, so that the base is that of a real scan.
trivy_vm.py has the whole command over EBS direct.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import boto3

from sidelight import scan
from sidelight.blocks import BlockCache
from sidelight.inventory.collect import collect
from sidelight.inventory.registry import EXTRACTORS, OS_EXTRACTORS

MEMORY = Path("/proc/self/status")


class Blocks:
    """An image as a BlockFetcher; `fetched` are the numbers of blocks, in order."""

    block_size = 512 << 10

    def __init__(self, path: str) -> None:
        self.name = path
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self._fd).st_size
        self.fetched: list[int] = []
        self._lock = threading.Lock()

    def present(self, index: int) -> bool:
        """Whether it lies within the image."""
        return index * self.block_size < self.size

    def fetch(self, index: int) -> bytes:
        """One block."""
        with self._lock:
            self.fetched.append(index)
        data = os.pread(self._fd, self.block_size, index * self.block_size)
        return data.ljust(self.block_size, b"\0")


def show(phase: str, blocks: Blocks | None = None) -> None:
    """Print the phase's peak, what is held after it, and the blocks so far; begin a new peak."""
    fields = dict(line.split(":", 1) for line in MEMORY.read_text().splitlines())
    held, peak = (int(fields[name].split()[0]) // 1024 for name in ("VmRSS", "VmHWM"))
    calls = len(blocks.fetched) if blocks else 0
    distinct = len(set(blocks.fetched)) if blocks else 0
    print(f"{phase:34} peak {peak:4} MB  held {held:4} MB  calls {calls:5}  distinct {distinct:5}")
    Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    """Measure and print."""
    path = sys.argv[1] if len(sys.argv) > 1 else "build/debian.img"
    if not Path(path).exists():
        print(f"no image {path}: benchmarks/make_debian.sh makes it")
        return
    show(f"imports (boto3 {boto3.__version__})")
    blocks = Blocks(path)
    source = BlockCache(blocks)
    tree, problems = scan.open_machine([source])
    show("disks and filesystems opened", blocks)
    collect(tree, extractors=())
    show("the walk alone", blocks)
    collect(tree, extractors=OS_EXTRACTORS)
    show("walk, and OS packages", blocks)
    found = collect(tree, extractors=EXTRACTORS)
    show("walk, and all packages", blocks)
    print(f"{len(found.packages)} packages, {len(problems) + len(found.problems)} problems")
    source.close()


if __name__ == "__main__":
    main()
