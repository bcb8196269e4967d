"""A walk of a snapshot whose every call takes 30 ms: 64 in flight against one after the other.

`python benchmarks/walk_latency.py [--milliseconds 30]` walks the Debian tree on ext4, ext3 and XFS
(see walks/images.py) over a fetcher that waits so long in each call, and prints wall and CPU
seconds. Both walks make the same calls; the last column is what a call at a time takes longer.
"""

from __future__ import annotations

import argparse
import time

from benchmarks.walks import images
from benchmarks.walks.counted import Counted
from benchmarks.walks.fetching import walk_blocks


def main() -> None:
    """Print a line for each image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--milliseconds", type=float, default=30)
    delay = parser.parse_args().milliseconds / 1000
    print("image              paths  calls  at 64: s, CPU s  calls  at 1: s, CPU s  times")
    for kind in images.KINDS:
        image = images.debian(kind)
        print(f"{image.name:17}", end="", flush=True)
        seconds = []
        for in_flight in (64, 1):
            fetcher = Counted(image, delay)
            begin, spent = time.monotonic(), time.process_time()
            paths = walk_blocks(fetcher, in_flight=in_flight)
            seconds.append(time.monotonic() - begin)
            spent = time.process_time() - spent
            if in_flight > 1:
                print(f" {paths:6}", end="")
            print(f" {fetcher.calls.total():6} {seconds[-1]:8.2f} {spent:7.2f}", end="", flush=True)
        print(f" {seconds[1] / seconds[0]:6.1f}", flush=True)


if __name__ == "__main__":
    main()
