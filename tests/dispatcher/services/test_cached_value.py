"""A slow value is served as last computed, and is computed again in the background."""

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
    cached_sum = Sum(0.4)
    assert [cached_sum.kept() for _ in range(3)] == [
        CachedValue(1, 0.0),
        CachedValue(2, 0.0),
        CachedValue(3, 0.0),
    ]
    assert not cached_sum.beside


def test_what_is_slow_takes_a_twentieth_of_the_time() -> None:
    cached_sum = Sum(10.0)
    assert cached_sum.kept() == CachedValue(1, 0.0)
    cached_sum.now += 189.0
    assert cached_sum.kept() == CachedValue(1, 189.0)
    assert not cached_sum.beside
    cached_sum.now += 1.0
    assert cached_sum.kept() == CachedValue(1, 190.0)
    assert cached_sum.kept() == CachedValue(1, 190.0)
    (run,) = cached_sum.beside  # one, for all callers
    run()
    assert cached_sum.kept() == CachedValue(2, 0.0)


def test_what_cannot_be_computed_grows_old_and_is_tried_again() -> None:
    cached_sum = Sum(10.0)
    cached_sum.kept()
    cached_sum.now += 200.0
    cached_sum.broken = True
    cached_sum.kept()
    cached_sum.beside.pop()()
    assert cached_sum.kept() == CachedValue(1, 210.0)
    cached_sum.broken = False
    cached_sum.beside.pop()()
    assert cached_sum.kept().value == 2


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
    answers: list[CachedValue[int]] = []
    threads = [threading.Thread(target=lambda: answers.append(kept())) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert entered.wait(60)
    proceed.set()
    for thread in threads:
        thread.join()
    assert [one.value for one in answers] == [1, 1, 1, 1]


def test_the_first_who_asks_hears_of_a_failure() -> None:
    cached_sum = Sum(10.0)
    cached_sum.broken = True
    with pytest.raises(StoreError, match="is away"):
        cached_sum.kept()
    cached_sum.broken = False
    assert cached_sum.kept().value == 1
