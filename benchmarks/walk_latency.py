"""A walk of a snapshot whose every call takes 30 ms: 64 in flight against one after the other.

`python benchmarks/walk_latency.py [--milliseconds 30]` walks the Debian tree on ext4, ext3 and XFS
(see walks/images.py) over a fetcher that waits so long in each call, and prints wall seconds.
"""

from __future__ import annotations

import argparse
import time

from walks import images
from walks.fetching import Counted, walk_blocks


def main() -> None:
    """Print a line for each image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--milliseconds", type=float, default=30)
    delay = parser.parse_args().milliseconds / 1000
    print("image              paths  blocks  calls   64 at once  one at a time")
    for kind in images.KINDS:
        image = images.debian(kind)
        seconds = []
        for in_flight in (64, 1):
            fetcher = Counted(image, delay)
            begin = time.monotonic()
            paths = walk_blocks(fetcher, in_flight=in_flight)
            seconds.append(time.monotonic() - begin)
        print(
            f"{image.name:17} {paths:6} {len(fetcher.calls):7} {fetcher.calls.total():6} "
            f"{seconds[0]:10.2f} s {seconds[1]:10.2f} s: {seconds[1] / seconds[0]:.1f} times",
            flush=True,
        )


if __name__ == "__main__":
    main()
