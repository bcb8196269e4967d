"""`sidelight fleet findings` over a whole fleet: time to the first row, in all, and memory.

    python -m benchmarks.fleet_findings [--findings 1000000] [--details 6000] [--instances 1000]

Fills a store (SQLite; with --postgresql a server of its own) and runs the command as a process, in
each order, with a limit and without. Prints the seconds to its first row beyond those that the
command takes over an empty store, all of its seconds, and MB at its peak.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time

from benchmarks.api_queries import place
from benchmarks.drawn_store import fill
from sidelight.store import LISTING_ORDERS, Store

RUNS = (
    *(("--sort", order, "--limit", "20") for order in LISTING_ORDERS),
    ("--severity", "critical", "--limit", "20"),
    ("--format", "json", "--limit", "20"),
    (),
)


def run(url: str, arguments: tuple[str, ...]) -> tuple[float, float, float, int]:
    """Return seconds to the first row, seconds in all, MB at the peak, and lines."""
    begun = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "dispatcher.cli", "fleet", "findings", "--store", url, *arguments],
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        process.stdout.readline()
        process.stdout.readline()
        first = time.perf_counter() - begun
        lines = sum(1 for _ in process.stdout)
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
    return first, time.perf_counter() - begun, used.ru_maxrss / 1024, lines


def main() -> None:
    """Print a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--findings", type=int, default=1_000_000)
    parser.add_argument("--instances", type=int, default=1_000)
    parser.add_argument("--details", type=int, default=6_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        empty = f"sqlite:///{folder}/empty.db"
        with Store(empty) as store:
            store.migrate()
        with place(server=options.postgresql) as url:
            fill(url, options.findings, options.instances, options.details)
            measure(url, empty)


def measure(url: str, empty: str) -> None:
    """Print a line for each run."""
    base = min(run(empty, ())[1] for _ in range(5))
    print(f"over an empty store {base:.2f} s", flush=True)
    for arguments in RUNS:
        first, whole, peak, lines = run(url, arguments)
        print(
            f"{' '.join(arguments):40} first row {first - base:+6.2f} s  all {whole:6.2f} s"
            f"  {peak:4.0f} MB  {lines} more lines",
            flush=True,
        )


if __name__ == "__main__":
    main()
