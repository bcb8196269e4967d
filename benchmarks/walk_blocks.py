"""The 512 KiB blocks that a walk fetches, beside those that it cannot do without.

`python benchmarks/walk_blocks.py` walks every image of walks/images.py over counted blocks with the
default cache, and asks debugfs or xfs_db and the kernel which blocks hold directories' inodes and
entries. What a walk fetches beyond those is listed: blocks of the log, and others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from walks import images
from walks.fetching import Counted, walk_blocks
from walks.floor import floor

if TYPE_CHECKING:
    from pathlib import Path


def show(image: Path, kind: str) -> None:
    """One line."""
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


def main() -> None:
    """A table."""
    print(
        "image                          paths needed  fetched  of log  others  missed   twice",
        flush=True,
    )
    for kind in images.KINDS:
        show(images.debian(kind), kind)
        show(images.files(kind), kind)
    show(images.laid_out_by_mke2fs(), "ext4")


if __name__ == "__main__":
    main()
