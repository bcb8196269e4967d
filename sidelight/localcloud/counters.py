"""What was called: how often, how fast, how many at once."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right, insort
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase

WINDOW = 1.0
KEPT = 10.0  # seconds: no call is reported so long after another that came later


@dataclass(slots=True)
class Tally:
    """One operation of one account. `per_second` is the most calls in any one second."""

    operation: str
    account: str
    calls: int = 0
    errors: int = 0
    bytes: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    per_second: int = 0


class Counters:
    """Tallies by operation (`ebs:GetSnapshotBlock`) and account. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Forget all but the calls that are under way."""
        with self._lock:
            self._tallies: dict[tuple[str, str], Tally] = {}
            self._recent: dict[tuple[str, str], list[float]] = {}
            self._blocks: dict[str, set[str]] = {}
            self._max_in_flight = self._in_flight

    def block(self, resource: str) -> None:
        """A block was asked for: `snap-…/INDEX`."""
        snapshot, _, index = resource.partition("/")
        with self._lock:
            self._blocks.setdefault(snapshot, set()).add(index)

    def distinct_blocks(self, snapshot: str) -> int:
        """How many different blocks of a snapshot were asked for."""
        return len(self._blocks.get(snapshot, ()))

    def enter(self, operation: str, account: str, arrived: float) -> Tally:
        """A call begins that came at this second of real time, whatever the cloud's clock says.

        Calls are reported in the order of their threads, which is not quite that of their coming.
        """
        key = (operation, account)
        with self._lock:
            tally = self._tallies.setdefault(key, Tally(operation, account))
            recent = self._recent.setdefault(key, [])
            insort(recent, arrived)
            del recent[: bisect_right(recent, recent[-1] - KEPT)]
            tally.calls += 1
            tally.per_second = max(tally.per_second, busiest(recent, arrived))
            tally.in_flight += 1
            tally.max_in_flight = max(tally.max_in_flight, tally.in_flight)
            self._in_flight += 1
            self._max_in_flight = max(self._max_in_flight, self._in_flight)
        return tally

    def leave(self, tally: Tally, size: int, *, failed: bool) -> None:
        """A call ends; `size` bytes of body are the answer's."""
        with self._lock:
            tally.in_flight -= 1
            self._in_flight -= 1
            tally.bytes += size
            tally.errors += failed

    @property
    def max_in_flight(self) -> int:
        """The most calls at once, of all operations and accounts."""
        return self._max_in_flight

    def tallies(self, operation: str = "*", account: str = "*") -> list[Tally]:
        """Those that match; `operation` with or without its service, shell wildcards."""
        with self._lock:
            return [
                tally
                for tally in self._tallies.values()
                if matches(operation, tally.operation) and fnmatchcase(tally.account, account)
            ]

    def calls(self, operation: str = "*", account: str = "*") -> int:
        """How many calls match."""
        return sum(tally.calls for tally in self.tallies(operation, account))

    def answers(self, operation: str = "*", account: str = "*") -> int:
        """How many of them were answered without an error."""
        return sum(tally.calls - tally.errors for tally in self.tallies(operation, account))

    def exceeded(self, limits: dict[str, int]) -> list[Tally]:
        """Tallies that were called more often in some second than `limits` (a second) allow."""
        return [
            tally
            for operation, most in limits.items()
            for tally in self.tallies(operation)
            if tally.per_second > most
        ]

    def as_json(self) -> dict[str, object]:
        """All of it, as the control endpoint gives it."""
        found = [asdict(tally) for tally in self.tallies()]
        blocks = {snapshot: len(seen) for snapshot, seen in self._blocks.items()}
        return {"calls": found, "max_in_flight": self._max_in_flight, "distinct_blocks": blocks}


def busiest(moments: list[float], among: float) -> int:
    """The most of these moments, in order, in any one second that `among`, one of them, is in."""
    first, last = bisect_left(moments, among), bisect_left(moments, among + WINDOW)
    return max(
        number + 1 - bisect_right(moments, moments[number] - WINDOW)
        for number in range(first, last)
    )


def matches(pattern: str, operation: str) -> bool:
    """Whether `ec2:Describe*` or `DescribeSnapshots` means `ec2:DescribeSnapshots`."""
    if ":" not in pattern and pattern != "*":
        operation = operation.partition(":")[2]
    return fnmatchcase(operation, pattern)
