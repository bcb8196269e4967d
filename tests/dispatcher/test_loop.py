"""The dispatcher's process: one works, the next goes on, and SIGTERM ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from dispatcher.discovery.accounts import ScanScope
from dispatcher.loop import DISPATCHER, ROUND, DispatcherLoop, Intervals
from dispatcher.on_demand import in_process
from dispatcher.planning.cadence import DAY, last_time, time_of_day
from dispatcher.planning.eligibility import Configuration
from dispatcher.planning.schedules import Schedule
from dispatcher.planning.selection import EVERYTHING, of_instances
from sidelight.errors import OutdatedCodeError
from sidelight.fleet.settings import Settings
from sidelight.fleet.snapshot_ownership import description, tags
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.localcloud.server import LocalCloud
from sidelight.model import State
from sidelight.store import Store
from sidelight.store.base import engine
from tests.fakes.clocks import Clock
from tests.fixtures.document_schemas import conform
from tests.fixtures.local_messages import messages_of
from tests.fixtures.newer_stores import migrated_by_newer
from tests.fixtures.scan_states import advance
from workers.app import ON_DEMAND, SCHEDULED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dispatcher.services.fleet_service import FleetService
    from sidelight.model import Scan

pytestmark = pytest.mark.services


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCloud]:
    disk = tmp_path / "disk.img"
    disk.write_bytes(bytes(1 << 20))
    with LocalCloud(tmp_path / "cloud") as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        for name in ("one", "two"):
            cloud.add_instance(name, [disk])
        yield cloud


@pytest.fixture
def clock() -> Clock:
    cloud_clock = Clock()
    cloud_clock.time = datetime.now(UTC)  # the cloud's
    return cloud_clock


@pytest.fixture
def dispatcher(
    tmp_path: Path, cloud: LocalCloud, clock: Clock
) -> Iterator[Callable[[], tuple[DispatcherLoop, FleetService]]]:
    """Dispatchers of one store, by the same clock."""
    assert cloud.endpoint
    services: list[FleetService] = []

    def make() -> tuple[DispatcherLoop, FleetService]:
        settings = Settings.of(store_url=f"sqlite:///{tmp_path}/store.db")
        store = Store(settings.store.url, clock=clock)
        store.migrate()
        control = in_process(settings, store=store)
        services.append(control)
        return DispatcherLoop(control, ScanScope(), Configuration(), pace=Intervals()), control

    yield make
    for control in services:
        control.close()


def turns(schedule: DispatcherLoop, number: int, between: Callable[[], object]) -> None:
    """So many turns of its loop, a round that was begun brought to its end in each."""
    left = [number]

    def wait(_seconds: float) -> None:
        schedule._rounds.join()
        between()
        left[0] -= 1
        if not left[0]:
            schedule.stop()

    schedule.run(wait)


def test_an_hour_passes_between_rounds_and_a_lost_message_is_sent_again(
    dispatcher: Callable[[], tuple[DispatcherLoop, FleetService]], cloud: LocalCloud, clock: Clock
) -> None:
    schedule, control = dispatcher()
    schedule._pace = Intervals(lease=7200)  # it is not suspended between its turns
    turns(schedule, 3, lambda: clock.advance(1800))
    assert cloud.answers("DescribeInstances") == 2, "at once, and after an hour"
    assert len(control.store.scans.select()) == 2, "a live scan is not made twice"
    # Nobody took the messages: after a grace each was sent again.
    assert len(messages_of(control)) >= 4
    assert control.store.leases.done_at(ROUND) is not None


def test_a_round_ends_the_scans_of_a_disabled_account_and_starts_none(
    dispatcher: Callable[[], tuple[DispatcherLoop, FleetService]], cloud: LocalCloud, clock: Clock
) -> None:
    schedule, control = dispatcher()
    turns(schedule, 1, lambda: None)
    (account_region,) = control.places((), ())
    assert len(control.store.account_scans.live(account_region.account)) == 2
    control.configuration.begin_disable([account_region.account])
    calls = cloud.answers("DescribeInstances")
    schedule, control = dispatcher()
    turns(schedule, 1, lambda: clock.advance(3600))
    scans = control.store.scans.select()
    assert {scan.state for scan in scans} == {State.DELETING}, "for the workers"
    assert {scan.failure_code for scan in scans} == {"PENDING_DISABLE"}
    assert {row.reason for row in control.store.instances.coverage()} == {"PENDING_DISABLE"}
    assert cloud.answers("DescribeInstances") == calls
    assert control.disabler.pending() == [account_region.account]


def test_an_account_region_whose_instances_cannot_be_listed_is_still_swept(
    dispatcher: Callable[[], tuple[DispatcherLoop, FleetService]], cloud: LocalCloud, clock: Clock
) -> None:
    schedule, control = dispatcher()
    turns(schedule, 1, lambda: None)
    (scan, _) = control.store.scans.select()
    ec2 = control.ec2(*control.places((), ()))
    (other,) = [one for one in control.store.scans.select() if one.id != scan.id]
    held = control.store.scans.claim(other.id, {State.NEW}, 60)
    assert held is not None
    # A killed worker's, whose scan has ended.
    marks = (
        tags(other.id, control.deployment),
        description(other.id, other.instance, control.deployment, held.lease),
    )
    control.store.scans.intend(held, dict.fromkeys(cloud.volumes(other.instance).values(), 5))
    advance(control.store, replace(held, state=State.SNAPSHOTTING), State.FAILED)
    ec2.create_snapshots(other.instance, *marks)
    cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, "DescribeInstances")])
    clock.advance(3600)
    turns(dispatcher()[0], 1, lambda: None)
    assert cloud.snapshots() == []
    assert [one.orphans for one in control.store.sweeps.all()] == [1]


def test_what_is_asked_for_on_demand_leaves_its_place_in_the_queue(
    dispatcher: Callable[[], tuple[DispatcherLoop, FleetService]], cloud: LocalCloud
) -> None:
    assert cloud.endpoint
    schedule, control = dispatcher()
    turns(schedule, 1, lambda: None)
    first, second = control.store.scans.select()
    assert {following.priority for _, following in messages_of(control)} == {SCHEDULED}
    messages_of(control).clear()
    (place,) = control.places((), ())
    scans = control.scans.start_scans(
        place, Configuration(), on_demand=True, only=of_instances([second.instance])
    )
    assert [scan.id for scan in scans] == [second.id]
    assert [(one, following.priority) for one, following in messages_of(control)] == [
        (second.id, ON_DEMAND)
    ]
    assert control.store.scans.get(first.id).priority == SCHEDULED


def test_the_second_dispatcher_stands_by_and_goes_on_where_the_first_died(
    dispatcher: Callable[[], tuple[DispatcherLoop, FleetService]], cloud: LocalCloud, clock: Clock
) -> None:
    first, control = dispatcher()
    second, _ = dispatcher()
    assert first._beat()
    first._rounds.join()
    assert not second._beat()
    clock.advance(Intervals().lease / 2)
    assert first._beat()
    clock.advance(Intervals().lease / 2 + 1)
    assert not second._beat(), "it was renewed"
    # The first is heard of no more.
    clock.advance(Intervals().lease)
    assert second._beat()
    assert not first._beat()
    second._rounds.join()
    assert cloud.answers("DescribeInstances") == 2, "what is due is known by discovery"
    assert len(control.store.scans.select()) == 2


def test_a_round_that_fails_is_tried_again_after_a_while(
    dispatcher: Callable[[], tuple[DispatcherLoop, FleetService]], cloud: LocalCloud, clock: Clock
) -> None:
    schedule, control = dispatcher()
    cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, "sts:*", times=1)])
    turns(schedule, 1, lambda: None)
    assert control.store.leases.done_at(ROUND) is None
    # Not one account is known: the console says why.
    failure = control.store.unreached_targets.failure()
    assert failure is not None
    assert (failure.since, "AccessDenied" in failure.error) == (clock(), True)
    schedule._stop.clear()
    turns(schedule, 1, lambda: None)
    assert cloud.calls("GetCallerIdentity") == 1, "not at once"
    clock.advance(Intervals().retry)
    schedule._stop.clear()
    turns(schedule, 1, lambda: None)
    assert control.store.leases.done_at(ROUND) == clock()
    assert control.store.unreached_targets.failure() is None


def test_a_scan_begins_at_its_instances_time_and_not_at_the_next_round(
    dispatcher: Callable[[], tuple[DispatcherLoop, FleetService]], cloud: LocalCloud, clock: Clock
) -> None:
    assert cloud.endpoint
    schedule, control = dispatcher()
    (account_region,) = control.places((), ())
    turns(schedule, 1, lambda: None)
    first, _ = control.store.scans.select()
    for scan in control.store.scans.select():
        held = control.store.scans.claim(scan.id, {State.NEW}, 60)
        assert held is not None
        advance(control.store, held, State.DONE)
    of_day = time_of_day(account_region.account, first.instance)
    due = last_time(clock() + 2 * DAY, of_day)
    # A round is done just before, and no other is due.
    schedule._rounds.schedule = Schedule(1000 * DAY)
    schedule._pace = Intervals(lease=10 * DAY.total_seconds())
    clock.time = due - timedelta(minutes=1)
    schedule._stop.clear()
    turns(schedule, 1, lambda: None)
    calls = cloud.answers("DescribeInstances")
    begun = len(control.store.scans.select())
    clock.time = due + timedelta(seconds=1)
    schedule._stop.clear()
    turns(schedule, 1, lambda: None)
    assert cloud.answers("DescribeInstances") == calls
    scans = control.store.scans.select()[begun:]
    assert first.instance in {scan.instance for scan in scans}


def test_two_dispatchers_at_once_make_one_scan_an_instance(
    dispatcher: Callable[[], tuple[DispatcherLoop, FleetService]],
) -> None:
    _, one = dispatcher()
    _, other = dispatcher()
    (place,) = one.places((), ())
    planned = []
    for starter in (one.scans, other.scans):
        found = starter._discoverer(place, Configuration())
        _, due = starter._plan(place, found, Configuration(), on_demand=False, only=EVERYTHING)
        planned.append(due)
    one.scans._start([], planned[0], {}, {}, on_demand=False)
    other.scans._start([], planned[1], {}, {}, on_demand=False)
    assert len(one.store.scans.select()) == 2
    assert len(messages_of(one)) + len(messages_of(other)) == 2


def test_sigterm_ends_the_process_and_gives_its_lease_back(
    tmp_path: Path, cloud: LocalCloud
) -> None:
    health = tmp_path / "health"
    url = f"sqlite:///{tmp_path}/store.db"
    environment = os.environ | cloud.environment()
    environment |= {"SIDELIGHT_STORE_URL": url, "SIDELIGHT_BROKER_URL": "memory://"}
    command = [sys.executable, "-m", "dispatcher.cli", "fleet", "run", "--health", str(health)]
    with (
        Store(url) as store,
        subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as running,
    ):
        store.migrate()
        until = time.monotonic() + 120
        while store.leases.done_at(ROUND) is None or not health.exists():
            assert running.poll() is None
            assert time.monotonic() < until
            time.sleep(0.1)
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 0
        assert running.stderr is not None
        assert "Traceback" not in running.stderr.read()
        document = json.loads(health.read_text())
        conform("run-health", document)
        assert document["active"] is True
        assert store.leases.hold(DISPATCHER, "the next", 60)
        assert {scan.instance for scan in store.scans.select()} == {
            instance.instance.id for instance in store.instances.known()
        }


def test_a_dispatcher_that_was_suspended_starts_nothing_by_its_old_discovery(
    dispatcher: Callable[[], tuple[DispatcherLoop, FleetService]], cloud: LocalCloud, clock: Clock
) -> None:
    schedule, control = dispatcher()
    assert schedule._beat()
    schedule._rounds.join()
    (place,) = control.scans.discovered()
    seen: list[bool] = []
    real = control.scans.start_due

    def start_due(configuration: Configuration) -> list[Scan]:
        seen.append(control.scans.is_discovered(place))
        return real(configuration)

    control.scans.start_due = start_due  # type: ignore[method-assign]
    assert schedule._beat()
    clock.advance(20 * 3600)
    calls = cloud.answers("DescribeInstances")
    assert schedule._beat()
    schedule._rounds.join()
    assert seen == [True, False]
    assert cloud.answers("DescribeInstances") == calls + 1, "it discovers again at once"


def test_a_dispatcher_ends_once_a_newer_version_took_away_what_it_uses(
    dispatcher: Callable[[], tuple[DispatcherLoop, FleetService]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "GUARD_SECONDS", 0.0)
    schedule, control = dispatcher()
    schedule._health = tmp_path / "health"
    beats: list[bool] = []

    def wait(_seconds: float) -> None:
        beats.append(schedule._active)
        schedule._rounds.join()
        migrated_by_newer(control.store.where, tmp_path, monkeypatch, takes=True)

    with pytest.raises(OutdatedCodeError, match="a newer version of Sidelight"):
        schedule.run(wait)
    assert beats == [True], "it ended at the first beat after the migration"
    document = json.loads(schedule._health.read_text())
    assert (document["active"], "upgrade it" in document["error"]) == (False, True)
