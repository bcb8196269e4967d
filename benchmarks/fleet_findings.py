"""`sidelight fleet findings` over a whole fleet: time to the first row, in all, and memory.

    python -m benchmarks.fleet_findings [--findings 1000000] [--details 6000] [--instances 1000]

Fills a store (SQLite; with --postgresql a server of its own) and runs the command as a process, in
each order, with a limit and without. Prints the seconds to its first row beyond those that the
command takes over an empty store, all of its seconds, those of its CPU, and MB at its peak. And for
SQLite what the first page and the closing counts read, which does not vary with the load.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from typing import NamedTuple

from benchmarks.api_queries import place
from benchmarks.drawn_store import fill
from benchmarks.query_costs import cost
from sidelight.store import LISTING_ORDERS, ListedFindings, Store
from sidelight.store.base.engine import Database
from sidelight.store.findings.finding_listing import FindingListing

RUNS = (
    *(("--sort", order, "--limit", "20") for order in LISTING_ORDERS),
    ("--severity", "critical", "--limit", "20"),
    ("--format", "json", "--limit", "20"),
    (),
)


class Run(NamedTuple):
    """Seconds to the first row, in all, and of CPU; MB at the peak; and lines."""

    first: float
    whole: float
    cpu: float
    peak: float
    lines: int


def run(url: str, arguments: tuple[str, ...]) -> Run:
    """Run the command."""
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
    spent = used.ru_utime + used.ru_stime
    return Run(first, time.perf_counter() - begun, spent, used.ru_maxrss / 1024, lines)


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
    bases = [run(empty, ()) for _ in range(5)]
    base, cpu = min(each.whole for each in bases), min(each.cpu for each in bases)
    print(f"over an empty store {base:.2f} s, CPU {cpu:.2f} s", flush=True)
    for arguments in RUNS:
        took = run(url, arguments)
        print(
            f"{' '.join(arguments):40} first row {took.first - base:+6.2f} s  all {took.whole:6.2f}"
            f" s  CPU {took.cpu:6.2f} s  {took.peak:4.0f} MB  {took.lines} more lines",
            flush=True,
        )
    with closing(Database(url)) as database:
        listing, every = FindingListing(database), ListedFindings()
        for order in LISTING_ORDERS:
            first_page = cost(database, lambda order=order: next(listing.pages(every, order)))  # type: ignore[misc]
            print(f"first page by {order:14} {first_page}")
        print(f"closing counts {'':13} {cost(database, lambda: listing.tally(every))}")


if __name__ == "__main__":
    main()
