"""What a scan reads: blocks and dependent rounds of calls, and pages of lists of blocks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.walks.counted import BLOCK, Counted
from sidelight import scan
from sidelight.aws.ebs import PAGE, SnapshotBlocks
from tests.fakes.sources import RoundsCache

DEMO = Path(__file__).resolve().parent.parent.parent / "demo"
TIB = 1 << 40
WANTED = 258  # blocks that an inventory of a Debian wants, spread over its volume


def disk_counts(directory: Path) -> dict[str, int]:
    """Return what the inventory of each demo machine costs."""
    machines = directory / "machines"
    machines.mkdir()
    subprocess.run([sys.executable, DEMO / "build.py", machines], check=True, capture_output=True)
    counts: dict[str, int] = {}
    for image in sorted(machines.glob("*.img")):
        fetcher = Counted(image)
        cache = RoundsCache(fetcher)
        found = scan.inspect([cache])
        cache.close()
        counts |= {
            f"{image.stem}: packages": len(found.packages),
            f"{image.stem}: blocks fetched": fetcher.calls.total(),
            f"{image.stem}: blocks fetched twice": fetcher.calls.total() - len(fetcher.calls),
            f"{image.stem}: rounds of calls": cache.rounds,
        }
    return counts


class WrittenVolume:
    """A client of EBS direct whose snapshot has every block of a volume. Counts pages."""

    def __init__(self, size: int) -> None:
        self.pages = 0
        self._count = size // BLOCK
        self._gib = size >> 30

    def list_snapshot_blocks(self, **request: Any) -> dict[str, Any]:
        """Return one page."""
        self.pages += 1
        begin = int(request.get("NextToken") or request.get("StartingBlockIndex", 0))
        end = min(begin + request["MaxResults"], self._count)
        answer = {
            "Blocks": [{"BlockIndex": index, "BlockToken": "t"} for index in range(begin, end)],
            "VolumeSize": self._gib,
            "BlockSize": BLOCK,
        }
        return answer | ({"NextToken": str(end)} if end < self._count else {})


def list_counts(directory: Path) -> dict[str, int]:
    """Return how many pages are read until the blocks of an inventory are known."""
    del directory
    counts = {}
    for name, size in (("64 GiB", TIB >> 4), ("1 TiB", TIB), ("16 TiB", TIB << 4)):
        volume = WrittenVolume(size)
        blocks = SnapshotBlocks("snap-1", volume)
        counts[f"list of a written {name}: pages before the first block"] = volume.pages
        whole = size // BLOCK
        blocks.locate([0, 1, 2, whole // 2, whole - 1])
        counts[f"list of a written {name}: pages for five blocks"] = volume.pages
        blocks.locate([index * (whole // WANTED) for index in range(WANTED)])
        counts[f"list of a written {name}: pages for {WANTED} blocks apart"] = volume.pages
        counts[f"list of a written {name}: pages there are"] = -(-whole // PAGE)
    return counts
