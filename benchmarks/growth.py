"""How costs grow with what is worked on.

    python -m benchmarks.growth CURVE [--sizes 10000,100000]

| curve | sizes, by default | figures |
|---|---|---|
| files | 10k, 100k, 1M, 4M of a machine (--filesystem ext4 or xfs) | blocks, rounds, CPU, MB |
| directory | 10k, 100k, 1M, 2M entries of one directory (--filesystem) | blocks, rounds, CPU, MB |
| volumes | 1, 4, 8, 28 volumes of one machine | blocks, CPU, MB |
| disk | 8 GiB, 64 GiB, 1 TiB, 16 TiB, all written | pages of its list for 258 blocks, CPU, MB |
| instances | 1k, 10k, 100k instances of a fleet | statements of discovery, plan, ticks; CPU, MB |
| findings | 10k, 100k, 1M, 5M findings of a fleet (--postgresql) | first row listed, MB stored |

Each size is measured in a process of its own. Behind each figure is how it grew since the size
before, as an exponent: 0 does not grow, 1 grows as the size does, 2 as its square. More than 1 is
work that grows faster than what is worked on. Disks are made with mke2fs or mkfs.xfs (as root, by a
loop mount, as a large directory always is); a million files take 3 GB below --scratch.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg

from benchmarks import fleet_findings
from benchmarks.api_queries import place
from benchmarks.counts.disks import WANTED, WrittenVolume
from benchmarks.drawn_store import fill
from benchmarks.million_instances import Meter, dispatcher_costs
from benchmarks.walks.counted import BLOCK, Counted
from sidelight import scan
from sidelight.aws.ebs import SnapshotBlocks
from sidelight.blocks.cache import BlockCache, BlockPool
from sidelight.store import Store
from tests.fakes.sources import RoundsCache
from tests.images.kernel import mounted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GIB: Final = 1 << 30
OF_A_DIRECTORY: Final = 25
STATUS: Final = (
    "Package: bash\nStatus: install ok installed\nVersion: 5.2-1\nArchitecture: amd64\n\n"
)
Figures = dict[str, float]


def files(size: int, options: argparse.Namespace) -> Figures:
    """Read one machine of so many files."""
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        image = make_disk(Path(scratch), size, options.filesystem, root=True)
        return _inspected([image])


def directory(size: int, options: argparse.Namespace) -> Figures:
    """Read a machine that has so many entries in one directory."""
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        return _inspected([make_large_directory(Path(scratch), size, options.filesystem)])


def volumes(size: int, options: argparse.Namespace) -> Figures:
    """Read one machine of so many volumes of 20,000 files each."""
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        first = make_disk(Path(scratch), 20_000, options.filesystem, root=True)
        images = [first]
        if size > 1:
            data = make_disk(Path(scratch) / "data", 20_000, options.filesystem, root=False)
            images += [data] * (size - 1)
        return _inspected(images)


def _inspected(images: Sequence[Path]) -> Figures:
    pool = BlockPool()
    fetchers = [Counted(image) for image in images]
    alone = RoundsCache(fetchers[0])
    several = [BlockCache(fetcher, pool=pool) for fetcher in fetchers] if len(images) > 1 else []
    begin = time.process_time()
    scan.inspect(several or [alone])
    spent = time.process_time() - begin
    for cache in (alone, *several):
        cache.close()
    calls = sum(fetcher.calls.total() for fetcher in fetchers)
    figures: Figures = {
        "CPU s": spent,
        "blocks": calls,
        "fetched twice": calls - sum(len(fetcher.calls) for fetcher in fetchers),
    }
    return figures if several else figures | {"rounds": alone.rounds}


def disk(size: int, options: argparse.Namespace) -> Figures:
    """Find the blocks of an inventory on a written volume of so many GiB."""
    del options
    volume = WrittenVolume(size * GIB)
    begin = time.process_time()
    blocks = SnapshotBlocks("snap-1", volume)
    blocks.locate([index * (size * GIB // BLOCK // WANTED) for index in range(WANTED)])
    return {"CPU s": time.process_time() - begin, "list pages": volume.pages}


def instances(size: int, options: argparse.Namespace) -> Figures:
    """Do a dispatcher's work for so many instances."""
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        url = f"sqlite:///{scratch}/store.db"
        meter = Meter(quiet=True)
        begin = time.process_time()
        dispatcher_costs(url, size, meter)
        statements = sum(cost.statements for cost in meter.costs)
        return {"CPU s": time.process_time() - begin, "statements": statements}


def findings(size: int, options: argparse.Namespace) -> Figures:
    """List the findings of a fleet that has so many, and measure its store."""
    with place(server=options.postgresql) as url, tempfile.TemporaryDirectory() as scratch:
        empty = f"sqlite:///{scratch}/empty.db"
        with Store(empty) as store:
            store.migrate()
        fill(url, size, max(10, size // 900), 6000)
        base = min(fleet_findings.run(empty, ()).whole for _ in range(3))
        took = fleet_findings.run(url, ("--limit", "20"))
        figures = {"first row s": max(0.0, took.first - base), "its MB": took.peak}
        figures["MB stored"] = _stored(url) / 1e6
        return figures


def _stored(url: str) -> int:
    path = url.removeprefix("sqlite:///")
    if path != url:
        return Path(path).stat().st_size
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return int(row[0])


CURVES: Final[dict[str, tuple[Callable[[int, argparse.Namespace], Figures], list[int]]]] = {
    "files": (files, [10_000, 100_000, 1_000_000, 4_000_000]),
    "directory": (directory, [10_000, 100_000, 1_000_000, 2_000_000]),
    "volumes": (volumes, [1, 4, 8, 28]),
    "disk": (disk, [8, 64, 1024, 16_384]),
    "instances": (instances, [1_000, 10_000, 100_000]),
    "findings": (findings, [10_000, 100_000, 1_000_000, 5_000_000]),
}


def make_disk(folder: Path, count: int, filesystem: str, *, root: bool) -> Path:
    """Make an image of a filesystem with so many small files, below directories of a few each."""
    tree = folder / "tree"
    tree.mkdir(parents=True)
    if root:
        _write_system(tree)
    for number in range(count // OF_A_DIRECTORY):
        below = tree / f"srv/a{number % 1000}/b{number}"
        below.mkdir(parents=True)
        for index in range(OF_A_DIRECTORY):
            (below / f"file{index}").touch()
    image = folder / "disk.img"
    with image.open("wb") as file:
        file.truncate(GIB + count * 2048)
    if filesystem == "ext4":
        inodes = str(count + count // 10 + 10_000)
        command = ["mke2fs", "-q", "-F", "-t", "ext4", "-N", inodes, "-d", str(tree), str(image)]
        subprocess.run(command, check=True)
    else:
        subprocess.run(["mkfs.xfs", "-q", image], check=True)
        with mounted(image, filesystem, "rw") as top:
            subprocess.run(["cp", "-a", f"{tree}/.", top], check=True)
    shutil.rmtree(tree)
    return image


def make_large_directory(folder: Path, count: int, filesystem: str) -> Path:
    """Make an image of a filesystem with so many empty files in one directory, through the kernel.

    mke2fs looks for each new entry among all that a directory has.
    """
    image = folder / "disk.img"
    with image.open("wb") as file:
        file.truncate(GIB + count * 2048)
    options = ["mkfs.xfs", "-q"]
    if filesystem == "ext4":
        options = ["mke2fs", "-q", "-F", "-t", "ext4", "-N", str(count + 20_000)]
    subprocess.run([*options, image], check=True)
    with mounted(image, filesystem, "rw") as top:
        _write_system(top)
        spool = top / "srv/spool"
        spool.mkdir(parents=True)
        within = os.open(spool, os.O_RDONLY)
        for number in range(count):
            os.mknod(f"entry-{number:08}", dir_fd=within)
        os.close(within)
    return image


def _write_system(tree: Path) -> None:
    """Write what makes a tree a Debian with a package."""
    for path, text in {
        "etc/os-release": 'ID=debian\nVERSION_ID="12"\n', "var/lib/dpkg/status": STATUS,
    }.items():  # fmt: skip
        (tree / path).parent.mkdir(parents=True)
        (tree / path).write_text(text)


def exponent(before: tuple[int, float], after: tuple[int, float]) -> str:
    """Return how a figure grew with the size, empty where it was or is 0."""
    if before[1] <= 0 or after[1] <= 0:
        return ""
    return f"^{math.log(after[1] / before[1]) / math.log(after[0] / before[0]):.2f}"


def lines(points: Sequence[tuple[int, Figures]]) -> list[str]:
    """Return a table's lines: a size each, with its figures and how they grew."""
    # Rounds are counted of one volume alone.
    names = [name for name in points[0][1] if all(name in figures for _, figures in points)]
    found = ["".join([f"{'size':>10}", *(f"{name:>16}       " for name in names)]).rstrip()]
    for number, (size, figures) in enumerate(points):
        line = f"{size:10,}"
        for name in names:
            grew = ""
            if number:
                earlier = points[number - 1]
                grew = exponent((earlier[0], earlier[1][name]), (size, figures[name]))
            line += f"{figures[name]:16,.2f} {grew:6}"
        found.append(line.rstrip())
    return found


def main() -> None:
    """Measure each size in a process, and print the curve."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("curve", choices=CURVES)
    parser.add_argument("--sizes", help="separated by commas")
    parser.add_argument("--filesystem", choices=["ext4", "xfs"], default="ext4")
    parser.add_argument("--postgresql", action="store_true", help="findings: on a server")
    parser.add_argument("--scratch", help="a folder for disks and stores")
    parser.add_argument("--point", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    measure, usual = CURVES[options.curve]
    if options.point is not None:
        figures = measure(options.point, options)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"MB": peak} | figures))
        return
    sizes = list(map(int, options.sizes.split(","))) if options.sizes else usual
    points = []
    for size in sizes:
        command = [sys.executable, "-m", "benchmarks.growth", *sys.argv[1:], "--point", str(size)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        points.append((size, json.loads(done.stdout.splitlines()[-1])))
    print("\n".join(lines(points)))


if __name__ == "__main__":
    main()
