"""What takes long is told as it last was, and is computed again beside the callers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from dispatcher.services.cached_value import CachedValue, RefreshingValue
from sidelight.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable


class Sum:
    """Counts how often it was computed, each time for so many seconds of a clock by hand."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.now = 100.0
        self.count = 0
        self.broken = False
        self.beside: list[Callable[[], None]] = []
        self.kept = RefreshingValue(self.compute, lambda: self.now, self.beside.append)

    def compute(self) -> int:
        self.now += self.seconds
        if self.broken:
            raise StoreError("is away", where="store")
        self.count += 1
        return self.count


def test_what_is_fast_is_always_of_now() -> None:
    made = Sum(0.4)
    assert [made.kept() for _ in range(3)] == [
        CachedValue(1, 0.0),
        CachedValue(2, 0.0),
        CachedValue(3, 0.0),
    ]
    assert not made.beside


def test_what_is_slow_takes_a_twentieth_of_the_time() -> None:
    made = Sum(10.0)
    assert made.kept() == CachedValue(1, 0.0)
    made.now += 189.0
    assert made.kept() == CachedValue(1, 189.0)
    assert not made.beside
    made.now += 1.0
    assert made.kept() == CachedValue(1, 190.0)
    assert made.kept() == CachedValue(1, 190.0)
    (run,) = made.beside  # one, for all callers
    run()
    assert made.kept() == CachedValue(2, 0.0)


def test_what_cannot_be_computed_grows_old_and_is_tried_again() -> None:
    made = Sum(10.0)
    made.kept()
    made.now += 200.0
    made.broken = True
    made.kept()
    made.beside.pop()()
    assert made.kept() == CachedValue(1, 210.0)
    made.broken = False
    made.beside.pop()()
    assert made.kept().value == 2


def test_of_many_who_ask_first_one_computes() -> None:
    entered, proceed = threading.Event(), threading.Event()
    computed = []

    def compute() -> int:
        entered.set()
        assert proceed.wait(60)
        computed.append(1)
        return len(computed)

    now = iter([0.0, *[10.0] * 10])
    kept = RefreshingValue(compute, lambda: next(now))
    told: list[CachedValue[int]] = []
    threads = [threading.Thread(target=lambda: told.append(kept())) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert entered.wait(60)
    proceed.set()
    for thread in threads:
        thread.join()
    assert [one.value for one in told] == [1, 1, 1, 1]


def test_the_first_who_asks_hears_of_a_failure() -> None:
    made = Sum(10.0)
    made.broken = True
    with pytest.raises(StoreError, match="is away"):
        made.kept()
    made.broken = False
    assert made.kept().value == 1
