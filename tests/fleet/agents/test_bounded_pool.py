"""Calls at once are bounded, and keep the order of their items."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from sidelight.fleet.agents.bounded_pool import in_order

PATIENCE = 20.0  # seconds; a test that works waits for none of them


@dataclass
class Together:
    """Calls that wait until `count` of them run; the most that ever ran."""

    count: int
    most: int = 0
    running: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.barrier = threading.Barrier(self.count)

    def __call__(self, item: int) -> int:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.barrier.wait(PATIENCE)
        with self.lock:
            self.running -= 1
        return item * item


def test_as_many_calls_as_the_bound_run_at_once_and_no_more() -> None:
    calls = Together(4)
    assert list(in_order(calls, range(40), 4)) == [(n, n * n) for n in range(40)]
    assert calls.most == 4


def test_results_that_nobody_took_count_as_running() -> None:
    begun: list[int] = []

    def call(item: int) -> int:
        begun.append(item)
        return item

    results = in_order(call, range(100), 3)
    assert next(results) == (0, 0)
    assert len(begun) <= 4
    del results
    assert len(begun) <= 4


def test_one_at_a_time_needs_no_thread() -> None:
    names = {name for _, name in in_order(lambda _: threading.current_thread(), range(3), 1)}
    assert names == {threading.current_thread()}


def test_an_error_is_raised_in_its_turn() -> None:
    def call(item: int) -> int:
        if item == 2:
            raise ValueError(item)
        return item

    results = in_order(call, range(10), 4)
    assert [next(results), next(results)] == [(0, 0), (1, 1)]
    with pytest.raises(ValueError, match="2"):
        next(results)
