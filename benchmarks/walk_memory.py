"""A machine of a million files: peak memory and blocks of a full walk over a snapshot's blocks.

`python benchmarks/walk_memory.py [--files 1000000]` makes the image by its recipe where it is
absent, as the kernel lays it out and as `mke2fs -d` does (each directory between the files of
others), and walks each in a process of its own with the default cache. With `--one-directory N`
a whole inventory instead of machines whose N files lie in one directory, on ext4 and XFS.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.walks import images
from benchmarks.walks.counted import Counted
from benchmarks.walks.fetching import inventory_blocks, walk_blocks


def main() -> None:
    """Print a line for each image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--one-directory", type=int, default=0)
    parser.add_argument("--only", type=Path)
    chosen = parser.parse_args()
    if chosen.only:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        fetcher = Counted(chosen.only)
        count = chosen.one_directory
        paths = (inventory_blocks(fetcher) or count) if count else walk_blocks(fetcher)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        print(
            f"{chosen.only.name:28} {paths:8} {len(fetcher.calls):7} {fetcher.calls.total():6} "
            f"{time.process_time():6.2f} {before:6} {peak:6}",
            flush=True,
        )
        return
    print("image                           paths  blocks  calls  CPU s  MB at start, at peak")
    more = []
    if count := chosen.one_directory:
        more = ["--one-directory", str(count)]
        disks = [images.one_directory(kind, count) for kind in ("ext4", "xfs")]
    else:
        disks = [images.files("ext4", chosen.files), images.laid_out_by_mke2fs(chosen.files)]
    for image in disks:
        subprocess.run([sys.executable, __file__, "--only", image, *more], check=True)


if __name__ == "__main__":
    main()
