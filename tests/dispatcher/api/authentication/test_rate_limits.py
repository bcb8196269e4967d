"""Rate limits of principals: shared by servers, bursts, and what happens without Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dispatcher.api.authentication.rate_limits import (
    CallLimiter,
    SharedCallLimiter,
    limiter_of,
)
from dispatcher.api.errors import ThrottlingError
from sidelight.fleet.rate_limit.limiter import rate_for
from sidelight.fleet.rate_limit.slots import LocalRate
from sidelight.fleet.settings import Settings
from tests.fixtures.redis_servers import client, free_port, server

if TYPE_CHECKING:
    from pathlib import Path

    from dispatcher.api.authentication.rate_limits import PrincipalLimiter

RATE, BURST = 10.0, 5


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def admitted(limiter: PrincipalLimiter, principal: str, calls: int) -> int:
    count = 0
    for _ in range(calls):
        try:
            limiter.admit(principal)
        except ThrottlingError:
            continue
        count += 1
    return count


def test_two_servers_admit_one_burst_of_a_principal_together() -> None:
    clock = Clock()
    shared = LocalRate(clock)
    first, second = (SharedCallLimiter(shared, RATE, BURST) for _ in range(2))
    assert admitted(first, "alice", 3) + admitted(second, "alice", 20) == BURST
    assert admitted(second, "bob", 20) == BURST
    clock.now += 0.25  # of calls 0.11 s apart: a tenth of a low rate is slack (`slots`)
    assert admitted(first, "alice", 100) in {2, 3}
    clock.now += 60
    assert admitted(first, "alice", 100) == BURST


def test_a_refused_call_says_when_to_come_again() -> None:
    clock = Clock()
    limiter = SharedCallLimiter(LocalRate(clock), 0.1, 1)
    limiter.admit("alice")
    with pytest.raises(ThrottlingError) as error:
        limiter.admit("alice")
    assert 1 <= error.value.retry_after <= 11
    clock.now += error.value.retry_after
    limiter.admit("alice")


def test_without_a_redis_each_server_counts_alone() -> None:
    settings = Settings.of(budgets_url="process", api_calls_per_second=10.0, api_burst=5)
    assert isinstance(limiter_of(settings), CallLimiter)


@pytest.mark.services
def test_while_redis_does_not_answer_a_server_admits_the_whole_rate() -> None:
    settings = Settings.of(broker_url="redis://127.0.0.1:1/0")
    limiter = SharedCallLimiter(rate_for(settings, share=1.0), RATE, BURST)
    assert admitted(limiter, "alice", 20) == BURST


@pytest.mark.services
def test_servers_share_the_rate_of_a_principal_in_redis(tmp_path: Path) -> None:
    port = free_port()
    settings = Settings.of(
        broker_url=f"redis://127.0.0.1:{port}/0", api_calls_per_second=1.0, api_burst=BURST
    )
    with server(tmp_path, [f"port {port}"], probe=client(port)):
        first, second = limiter_of(settings), limiter_of(settings)
        assert isinstance(first, SharedCallLimiter)
        assert admitted(first, "alice", 3) == 3
        assert admitted(second, "alice", 20) in {BURST - 3, BURST - 2}  # a second may have passed
        (key,) = client(port).keys("*")
        assert key.startswith(b"sidelight:api:{")
