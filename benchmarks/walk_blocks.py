"""The 512 KiB blocks that a walk fetches, beside those that it cannot do without.

`python benchmarks/walk_blocks.py` walks every image of walks/images.py over counted blocks with the
default cache, and asks debugfs or xfs_db and the kernel which blocks hold directories' inodes and
entries. What a walk fetches beyond those is listed: blocks of the log, and others. Then what a
whole inventory of the Debian machines fetches, whose files lie in the inode tables that the walk
read. Exit status 1 where a walk fetches a block twice.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from benchmarks.walks import images
from benchmarks.walks.counted import Counted
from benchmarks.walks.fetching import inventory_blocks, walk_blocks
from benchmarks.walks.floor import floor

if TYPE_CHECKING:
    from pathlib import Path


def show(image: Path, kind: str) -> int:
    """One line; how many blocks were fetched twice."""
    fetcher = Counted(image)
    paths = walk_blocks(fetcher)
    fetched = set(fetcher.calls)
    needed, log = floor(image, kind)
    twice = sum(count > 1 for count in fetcher.calls.values())
    beyond = fetched - needed
    print(
        f"{image.name:28} {paths:7} {len(needed):6} {len(fetched):8} {len(beyond & log):7} "
        f"{len(beyond - log):7} {len(needed - fetched):7} {twice:7}",
        flush=True,
    )
    return twice


def show_inventory(image: Path) -> None:
    """The same of a whole inventory."""
    fetcher = Counted(image)
    packages = inventory_blocks(fetcher)
    twice = sum(count > 1 for count in fetcher.calls.values())
    print(f"{image.name:28} {packages:8} {len(fetcher.calls):8} {twice:7}", flush=True)


def main() -> None:
    """A table."""
    print(
        "image                          paths needed  fetched  of log  others  missed   twice",
        flush=True,
    )
    twice = 0
    for kind in images.KINDS:
        twice += show(images.debian(kind), kind)
        twice += show(images.files(kind), kind)
    twice += show(images.laid_out_by_mke2fs(), "ext4")
    print("inventory                    packages  fetched   twice", flush=True)
    for kind in images.KINDS:
        show_inventory(images.debian(kind))
    sys.exit(twice > 0)


if __name__ == "__main__":
    main()
