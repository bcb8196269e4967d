"""The dispatcher's process: one works, the next goes on, and SIGTERM ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.eligibility import Configuration
from dispatcher.on_demand import InProcess
from dispatcher.places import Wanted
from dispatcher.schedule import DISPATCHER, ROUND, Pace, Schedule
from sidelight.localcloud.faults import FaultPlan, Kind, Rule
from sidelight.localcloud.server import LocalCloud
from sidelight.store import Store
from tests.workers.bench import Clock
from workers.app import ON_DEMAND, SCHEDULED
from workers.context import DEPLOYMENT_TAG, SCAN_TAG
from workers.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

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
    return Clock()


@pytest.fixture
def dispatcher(
    tmp_path: Path, cloud: LocalCloud, clock: Clock
) -> Iterator[Callable[[], tuple[Schedule, InProcess]]]:
    """Dispatchers of one store, by the same clock."""
    assert cloud.endpoint
    made: list[InProcess] = []

    def make() -> tuple[Schedule, InProcess]:
        settings = Settings(store_url=f"sqlite:///{tmp_path}/store.db")
        store = Store(settings.store_url, clock=clock)
        store.migrate()
        control = InProcess(settings, store=store)
        made.append(control)
        return Schedule(control, Wanted(), Configuration(), pace=Pace()), control

    yield make
    for control in made:
        control.close()


def turns(schedule: Schedule, number: int, between: Callable[[], object]) -> None:
    """So many turns of its loop, a round that was begun brought to its end in each."""
    left = [number]

    def wait(_seconds: float) -> None:
        rounds = schedule._rounds
        if rounds is not None:
            rounds.join()
        between()
        left[0] -= 1
        if not left[0]:
            schedule.stop()

    schedule.run(wait)


def test_an_hour_passes_between_rounds_and_a_lost_message_is_sent_again(
    dispatcher: Callable[[], tuple[Schedule, InProcess]], cloud: LocalCloud, clock: Clock
) -> None:
    schedule, control = dispatcher()
    turns(schedule, 3, lambda: clock.advance(1800))
    assert cloud.calls("DescribeInstances") == 2, "at once, and after an hour"
    assert len(control.store.scans.select()) == 2, "a live scan is not made twice"
    # Nobody took the messages: after a grace each was sent again.
    assert len(control.messages) >= 4
    assert control.store.singletons.done_at(ROUND) is not None


def test_a_place_whose_instances_cannot_be_listed_is_swept_all_the_same(
    dispatcher: Callable[[], tuple[Schedule, InProcess]], cloud: LocalCloud, clock: Clock
) -> None:
    schedule, control = dispatcher()
    turns(schedule, 1, lambda: None)
    (scan, _) = control.store.scans.select()
    ec2 = control._ec2(*control.places((), ()))
    tags = {SCAN_TAG: "ended long ago", DEPLOYMENT_TAG: control.deployment}
    ec2.create_snapshots(scan.instance, tags, "of a killed worker")
    cloud.plan = FaultPlan([Rule(Kind.ACCESS_DENIED, "DescribeInstances")])
    clock.advance(3600)
    turns(dispatcher()[0], 1, lambda: None)
    assert cloud.snapshots() == []
    assert [one.orphans for one in control.store.sweeps.all()] == [1]


def test_what_is_asked_for_on_demand_leaves_its_place_in_the_queue(
    dispatcher: Callable[[], tuple[Schedule, InProcess]], cloud: LocalCloud
) -> None:
    assert cloud.endpoint
    schedule, control = dispatcher()
    turns(schedule, 1, lambda: None)
    first, second = control.store.scans.select()
    assert {following.priority for _, following in control.messages} == {SCHEDULED}
    control.messages.clear()
    (place,) = control.places((), ())
    asked = control.start_scans(place, Configuration(), on_demand=True, only=[second.instance])
    assert [scan.id for scan in asked] == [second.id]
    assert [(one, following.priority) for one, following in control.messages] == [
        (second.id, ON_DEMAND)
    ]
    assert control.store.scans.get(first.id).priority == SCHEDULED


def test_the_second_dispatcher_stands_by_and_goes_on_where_the_first_died(
    dispatcher: Callable[[], tuple[Schedule, InProcess]], cloud: LocalCloud, clock: Clock
) -> None:
    first, control = dispatcher()
    second, _ = dispatcher()
    assert first._beat()
    assert first._rounds is not None
    first._rounds.join()
    assert not second._beat()
    clock.advance(Pace().lease / 2)
    assert first._beat()
    clock.advance(Pace().lease / 2 + 1)
    assert not second._beat(), "it was renewed"
    # The first is heard of no more.
    clock.advance(Pace().lease)
    assert second._beat()
    assert not first._beat()
    assert cloud.calls("DescribeInstances") == 1, "the round was done already"
    assert len(control.store.scans.select()) == 2


def test_a_round_that_fails_is_tried_again_after_a_while(
    dispatcher: Callable[[], tuple[Schedule, InProcess]], cloud: LocalCloud, clock: Clock
) -> None:
    schedule, control = dispatcher()
    cloud.plan = FaultPlan([Rule(Kind.ACCESS_DENIED, "sts:*", times=1)])
    turns(schedule, 1, lambda: None)
    assert control.store.singletons.done_at(ROUND) is None
    schedule._stop.clear()
    turns(schedule, 1, lambda: None)
    assert cloud.calls("GetCallerIdentity") == 1, "not at once"
    clock.advance(Pace().retry)
    schedule._stop.clear()
    turns(schedule, 1, lambda: None)
    assert control.store.singletons.done_at(ROUND) == clock()


def test_two_dispatchers_at_once_make_one_scan_an_instance(
    dispatcher: Callable[[], tuple[Schedule, InProcess]],
) -> None:
    _, one = dispatcher()
    _, other = dispatcher()
    (place,) = one.places((), ())
    found = (one._discoverer(place, Configuration()), other._discoverer(place, Configuration()))
    options: dict[str, Any] = {"on_demand": False, "only": ()}
    _, due = one._plan(place, found[0], Configuration(), **options)
    _, due_too = other._plan(place, found[1], Configuration(), **options)
    one._start([], due, on_demand=False)
    other._start([], due_too, on_demand=False)
    assert len(one.store.scans.select()) == 2
    assert len(one.messages) + len(other.messages) == 2


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
        while store.singletons.done_at(ROUND) is None or not health.exists():
            assert running.poll() is None
            assert time.monotonic() < until
            time.sleep(0.1)
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 0
        assert running.stderr is not None
        assert "Traceback" not in running.stderr.read()
        assert json.loads(health.read_text())["active"] is True
        assert store.singletons.hold(DISPATCHER, "the next", 60)
        assert {scan.instance for scan in store.scans.select()} == {
            instance.instance.id for instance in store.fleet.known()
        }
