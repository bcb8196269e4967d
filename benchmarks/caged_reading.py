"""What the cage costs: one image read in the process and in a caged one, by turns.

    python -m benchmarks.caged_reading [IMAGE] [ROUNDS] [MILLISECONDS]

The image (build/debian.img by default) is read in 512 KiB blocks through a block cache of the
default budget, as a snapshot is, each block after MILLISECONDS (5) on one of 64 threads. Each way
of reading has a process of its own, which has what a worker has imported, and reads the machine
once to warm up. In the last round, which is not timed, the memory is looked at: the most that all
processes of a way hold at one time, shared pages counted once (PSS).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import sidelight.fleet.bootstrap  # noqa: F401 - as a worker
from benchmarks.walks.counted import Counted
from sidelight.blocks import BlockCache

WAYS = ("uncaged", "caged")
EVERY = 0.05  # seconds between two looks at the memory


class ReadingProcess:
    """A process that reads the image in one way, at each line."""

    def __init__(self, way: str, image: str, delay: str) -> None:
        command = [sys.executable, "-m", "benchmarks.caged_reading", "--worker", way, image, delay]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def read(self, what: str) -> tuple[float, float, float, str]:
        """Return seconds of wall, of CPU, MB at the peak, and what was read."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            sys.exit("a process of the benchmark has ended")
        wall, cpu, peak, text = answer.strip().split(" ", 3)
        return float(wall), float(cpu), float(peak), text

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def main() -> None:
    """Run both ways by turns and print the ratios."""
    image = sys.argv[1] if len(sys.argv) > 1 else "build/debian.img"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    delay = sys.argv[3] if len(sys.argv) > 3 else "5"
    if not Path(image).exists():
        print(f"no image {image}: benchmarks/make_debian.sh makes it")
        return
    readers = {way: ReadingProcess(way, image, delay) for way in WAYS}
    walls: dict[str, list[float]] = {way: [] for way in WAYS}
    cpus: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(rounds + 1):
        for way, reader in readers.items():
            wall, cpu, _, text = reader.read("time")
            note = "" if number else "  (warm-up)"
            print(f"{way:8} {wall:6.2f} s wall  {cpu:6.2f} s CPU  {text}{note}", flush=True)
            if number:
                walls[way].append(wall)
                cpus[way].append(cpu)
    peaks = {way: reader.read("memory")[2] for way, reader in readers.items()}
    for reader in readers.values():
        reader.close()
    print(f"memory: {peaks['uncaged']:.0f} MB uncaged, {peaks['caged']:.0f} MB caged")
    print(
        f"caged/uncaged, median of {rounds}: {_ratio(walls):.3f} of the wall,"
        f" {_ratio(cpus):.3f} of the CPU; {peaks['caged'] - peaks['uncaged']:+.0f} MB at the peak"
    )


def _ratio(seconds: dict[str, list[float]]) -> float:
    pairs = zip(seconds["caged"], seconds["uncaged"], strict=True)
    return statistics.median(caged / plain for caged, plain in pairs)


def worker(way: str, image: str, delay: float) -> None:
    """Read the image at each line of standard input."""
    from sidelight.cage import CagedReading, reader_cpu_seconds

    if way == "uncaged":
        from sidelight import scan
    for line in sys.stdin:
        fetcher = Counted(Path(image), delay)
        source = BlockCache(fetcher)
        stop = threading.Event()
        peak = [0.0]
        looking = threading.Thread(target=_look, args=(stop, peak))
        if line.strip() == "memory":
            looking.start()
        begun, cpu = time.perf_counter(), time.process_time() + reader_cpu_seconds()
        found = CagedReading().inspect([source]) if way == "caged" else scan.inspect([source])
        wall = time.perf_counter() - begun
        cpu = time.process_time() + reader_cpu_seconds() - cpu
        stop.set()
        if looking.ident:
            looking.join()
        source.close()
        print(
            wall,
            cpu,
            peak[0],
            f"{len(found.packages)} packages, {fetcher.calls.total()} calls",
            flush=True,
        )


def _look(stop: threading.Event, peak: list[float]) -> None:
    """Note the most that this process and its descendants hold."""
    while not stop.wait(EVERY):
        peak[0] = max(peak[0], sum(map(_pss, _family(os.getpid()))) / 1000)


def _family(process: int) -> list[int]:
    found = [process]
    for task in Path(f"/proc/{process}/task").iterdir():
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            found += _family(int(child))
    return found


def _pss(process: int) -> int:
    """Return KB."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(sys.argv[2], sys.argv[3], float(sys.argv[4]) / 1000)
    else:
        main()
