"""What reading container runtimes' layers costs: blocks, calls and dollars, with and without.

    python -m benchmarks.container_layers DEBIAN.tar WHEELS

As root. A machine is made of a Debian tree (`mmdebstrap --variant=minbase
--include=openssl,curl,ca-certificates bookworm DEBIAN.tar`), and in its /var/lib/docker images as
overlay2 keeps them, a directory a layer: the same Debian, which a real image begins with, and above
it an application's layer with the Python wheels of a folder, unpacked as pip does. Prices and the
instance-month are the cost model's.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.model import DAYS
from benchmarks.walks.counted import BLOCK, Counted
from sidelight import scan
from sidelight.aws.ebs import USD_PER_GET, USD_PER_LIST
from sidelight.blocks import BlockCache
from sidelight.inventory import collect

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = "8G"  # of the disk
SITE = "usr/local/lib/python3.11/site-packages"
LISTED_AT_ONCE = 10_000  # blocks of a ListSnapshotBlocks call
IMAGES = (0, 1, 3, 10)


@contextmanager
def mounted(disk: Path, at: Path) -> Iterator[Path]:
    """The disk's files, through the kernel."""
    at.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", disk, at], check=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", at], check=True)


def machine(folder: Path, debian: Path, wheels: Path, images: int) -> Path:
    """A disk with so many images of two layers each."""
    disk = folder / f"{images}.img"
    subprocess.run(["truncate", "-s", SIZE, disk], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-F", disk], check=True)
    with mounted(disk, folder / "mount") as top:
        _unpack(debian, top)
        for number in range(images):
            layers = top / "var/lib/docker/overlay2"
            _unpack(debian, layers / f"base{number}" / "diff")
            site = layers / f"application{number}" / "diff" / SITE
            for wheel in sorted(wheels.glob("*.whl")):
                unpack = [sys.executable, "-m", "zipfile", "-e", str(wheel), str(site)]
                subprocess.run(unpack, check=True)
    return disk


def _unpack(tree: Path, into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "-x", "-C", into, "--exclude=./dev/*", "-f", tree], check=True)


def measure(disk: Path, images: int, *, containers: bool) -> None:
    """One line: what an inventory fetches, and what that costs."""
    fetcher = Counted(disk)
    listed = sum(fetcher.present(block) for block in range(fetcher.size // BLOCK))
    cache = BlockCache(fetcher)
    try:
        options = scan.ScanOptions(collecting=collect.CollectOptions(include_containers=containers))
        inventory = scan.inspect([cache], options)
    finally:
        cache.close()
    lists = -(-listed // LISTED_AT_ONCE)
    usd = sum(fetcher.calls.values()) * USD_PER_GET + lists * USD_PER_LIST
    of_layers = sum(bool(package.layer) for package in inventory.packages)
    print(
        f"| {images} | {'yes' if containers else 'no'} | {len(inventory.packages)} | {of_layers}"
        f" | {len(fetcher.calls)} | {sum(fetcher.calls.values())} | {lists}"
        f" | {usd:.6f} | {usd * DAYS:.4f} |",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    debian, wheels = map(Path, sys.argv[1:3])
    print("| images | layers read | packages | of layers | blocks | Get | List | $ | a month |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for images in IMAGES:
            disk = machine(Path(folder), debian, wheels, images)
            for containers in (False, True):
                measure(disk, images, containers=containers)
            disk.unlink()


if __name__ == "__main__":
    main()
