"""Counts that do not vary with the machine, beside those that were recorded.

    python -m benchmarks.check            # exit status 1 where a count differs
    python -m benchmarks.check --record   # write today's counts to counts/recorded.json

Blocks and rounds of calls of each demo machine's inventory, pages of a large volume's list, and
statements and rows of a rescan, of a dispatcher's work and of the console's pages, and
DescribeSnapshots of a place. `make test` runs it (tests/benchmarks/test_check.py), so that a saving
is not lost again. A count that fell is recorded with the change that lowered it.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from pathlib import Path

from benchmarks.counts.disks import disk_counts, list_counts
from benchmarks.counts.stores import page_counts, rescan_counts, tick_counts
from benchmarks.describe_snapshots import describe_counts
from benchmarks.million_instances import dispatcher_counts
from sidelight.store.base import engine

RECORDED = Path(__file__).resolve().parent / "counts" / "recorded.json"


def current() -> dict[str, int]:
    """Count everything: some ten seconds."""
    counts: dict[str, int] = {}
    engine.GUARD_SECONDS = math.inf  # else a slow machine asks once more
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        for scene in (
            disk_counts, list_counts, rescan_counts, tick_counts, page_counts, dispatcher_counts,
            describe_counts,
        ):  # fmt: skip
            counts |= scene(directory)
    return counts


def recorded() -> dict[str, int]:
    """Return the recorded counts."""
    counts: dict[str, int] = json.loads(RECORDED.read_text("utf-8"))
    return counts


def differences(now: dict[str, int], before: dict[str, int]) -> list[str]:
    """Return a line for each count that differs, is new, or is no longer counted."""
    return [
        f"{name}: {before.get(name, 'nothing')} recorded, {now.get(name, 'nothing')} now"
        for name in sorted(now.keys() | before.keys())
        if now.get(name) != before.get(name)
    ]


def main() -> None:
    """Print or record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    now = current()
    if options.record:
        RECORDED.write_text(json.dumps(now, indent=2, sort_keys=True) + "\n", "utf-8")
        return
    before = recorded()
    for name, count in sorted(now.items()):
        known = before.get(name)
        ratio = f"{count / known:.2f}" if known else "-"
        print(f"{name:60} {known if known is not None else '-':>8} {count:>8} {ratio:>6}")
    sys.exit(1 if differences(now, before) else 0)


if __name__ == "__main__":
    main()
