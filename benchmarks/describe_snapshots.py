"""DescribeSnapshots of one account-region, by its size: `python -m benchmarks.describe_snapshots`.

The stages of the code run on a simulated EC2 and a clock that is moved by hand: instances of one
account and Region are scanned evenly over a day; a snapshot is pending for five minutes. Only
the calls are counted, as many as EC2 takes (200 ids a call), and the statements of the store; they
do not depend on the machine. CPU is this process's. docs/cost-model.md has the table.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

from benchmarks.model import sustained
from benchmarks.query_costs import executed_statements
from dispatcher.enqueue import enqueue
from sidelight.aws.ec2 import FILTERED_AT_ONCE
from sidelight.fleet.settings import Settings
from sidelight.model import State
from tests.fakes.fake_ec2 import FakeEc2
from tests.fakes.fake_fleet import FakeFleet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sidelight.aws.ec2 import SnapshotInfo
    from sidelight.fleet.stages.stage_runner import Next

SIZES = (1_000, 10_000, 100_000)
DAY = 86_400.0
PENDING = 300.0  # seconds


class CountedEc2(FakeEc2):
    """Counts the DescribeSnapshots calls that the real client would make."""

    described = 0

    def snapshots_by_id(self, ids: Sequence[str]) -> list[SnapshotInfo]:
        """One call for 200 ids."""
        self.described += ceil(len(ids) / FILTERED_AT_ONCE)
        return super().snapshots_by_id(ids)

    def snapshots_by_tags(self, tags: Mapping[str, str | None]) -> list[SnapshotInfo]:
        """One call."""
        self.described += 1
        return super().snapshots_by_tags(tags)

    def pending_snapshots(self) -> list[SnapshotInfo]:
        """One call for 1,000 snapshots."""
        found = super().pending_snapshots()
        self.described += max(1, ceil(len(found) / 1000))
        return found


@dataclass(frozen=True, slots=True)
class DescribeRate:
    """The calls of `scans` scans, begun within `seconds` seconds of simulated time.

    `statements` are SQLite's, the beginnings of transactions among them; `cpu` is in seconds.
    """

    instances: int
    scans: int
    calls: int
    seconds: float
    statements: int
    cpu: float

    @property
    def per_scan(self) -> float:
        """Calls a scan."""
        return self.calls / self.scans

    @property
    def share(self) -> float:
        """The part of the rate limit that they use, when all instances are scanned each day."""
        return (
            self.per_scan * self.instances / DAY / sustained(Settings().rates.describe_per_second)
        )


class ScannedPlace(FakeFleet):
    """An account-region whose machines are scanned at even times."""

    def __init__(self, url: str, machines: int) -> None:
        super().__init__(url, machines=machines, disks=1, snapshots_pending=0)
        self.ec2 = self.counted = CountedEc2(self.clock, self.trip)
        self.ec2.pending_seconds = PENDING
        for one in self.instances:
            self.ec2.volumes[one.id] = tuple(volume.id for volume in one.volumes)
        self._numbers = itertools.count()
        self._messages: list[tuple[datetime, int, State, str]] = []

    def scan_all(self, apart: float) -> None:
        """Begin a scan each `apart` seconds, and run all to their ends."""
        begun = self.clock()
        starts = [begun + timedelta(seconds=apart * n) for n in range(len(self.instances))]
        waiting = list(zip(starts, self.instances, strict=True))[::-1]
        while waiting or self._messages:
            if waiting and (not self._messages or waiting[-1][0] <= self._messages[0][0]):
                start, one = waiting.pop()
                self.clock.time = max(self.clock.time, start)
                enqueue(self.store, self._send, [one], "here")
                continue
            due, _, state, scan_id = heapq.heappop(self._messages)
            self.clock.time = max(self.clock.time, due)
            for name, following in self._stage(state, scan_id):
                self._send(name, following)

    def _send(self, scan_id: str, following: Next) -> None:
        due = self.clock() + timedelta(seconds=following.delay)
        message = (due, next(self._numbers), following.state, scan_id)
        heapq.heappush(self._messages, message)


def measure(instances: int, scans: int) -> DescribeRate:
    """Run the first scans of a day of an account-region of so many instances."""
    apart = DAY / instances
    with tempfile.TemporaryDirectory() as scratch:
        place = ScannedPlace(f"sqlite:///{scratch}/place.db", scans)
        with executed_statements(place.store._database) as statements:  # noqa: SLF001 - to count them
            begin = time.process_time()
            place.scan_all(apart)
            cpu = time.process_time() - begin
        states = place.states()
        if states != {State.DONE}:
            raise RuntimeError(f"scans ended as {states}")
        calls = place.counted.described
        place.close()
    return DescribeRate(instances, scans, calls, apart * scans, len(statements), cpu)


def describe_counts(_: Path) -> dict[str, int]:
    """Return the calls and statements of 40 scans, 20,000 instances a day: they do not vary."""
    found = measure(20_000, 40)
    of_scans = "of 40 scans, 20,000 instances a day"
    return {
        f"DescribeSnapshots {of_scans}": found.calls,
        f"statements {of_scans}": found.statements,
    }


def main(sizes: Sequence[int], seconds: float) -> None:
    """Print the growth curve."""
    print(
        "| instances a day | scans run | DescribeSnapshots a scan | of the rate limit "
        "| statements a scan | CPU ms a scan |"
    )
    print("|---|---|---|---|---|---|")
    for size in sizes:
        found = measure(size, max(20, int(seconds * size / DAY)))
        print(
            f"| {size:,} | {found.scans:,} | {found.per_scan:.2f} | {found.share:.1%} "
            f"| {found.statements / found.scans:.0f} | {1e3 * found.cpu / found.scans:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--seconds", type=float, default=900.0, help="simulated")
    options = parser.parse_args()
    main(options.sizes, options.seconds)
