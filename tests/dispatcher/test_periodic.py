"""Periodic work: one process does it at each of its times, and what fails is tried again."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from dispatcher.periodic import PeriodicWork
from dispatcher.planning.schedules import Schedule
from sidelight.errors import CloudError
from sidelight.store import Store
from tests.fakes.clocks import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HALF_AN_HOUR = timedelta(minutes=30)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(f"sqlite:///{tmp_path}/store.db", clock=Clock()) as store:
        store.migrate()
        yield store


def work_of(store: Store, holder: str, run: Callable[[], bool]) -> PeriodicWork:
    return PeriodicWork(store, "agents", holder, Schedule(HALF_AN_HOUR), run)


def noting(runs: list[str], name: str) -> Callable[[], bool]:
    """Work that notes who did it."""

    def run() -> bool:
        runs.append(name)
        return True

    return run


def advance(store: Store, seconds: float) -> None:
    clock = store.clock
    assert isinstance(clock, Clock)
    clock.advance(seconds)


def test_two_processes_do_the_work_once_at_each_time(store: Store) -> None:
    runs: list[str] = []

    def by(name: str) -> PeriodicWork:
        return work_of(store, name, noting(runs, name))

    works = [by("first"), by("second")]
    for _tick in range(2 * 60 * 6):  # two hours of ticks
        for work in works:
            work.beat()
            work.join()
        advance(store, 10)
    assert len(runs) == 4


def test_work_that_is_longer_than_its_interval_is_not_doubled(store: Store) -> None:
    ends = threading.Event()
    runs: list[str] = []

    def run() -> bool:
        runs.append("run")
        return ends.wait(60)

    first, second = work_of(store, "first", run), work_of(store, "second", run)
    first.beat()
    for _tick in range(200):
        advance(store, 10)
        for work in (first, second):
            work.renew()
            work.beat()
    assert runs == ["run"]
    ends.set()
    first.join()
    first.beat()
    first.join()
    assert len(runs) == 2, "once for the times that passed meanwhile"
    first.beat()
    first.join()
    assert len(runs) == 2


def test_work_of_a_process_that_was_killed_is_done_by_the_next(store: Store) -> None:
    assert store.leases.hold("agents", "killed", 60)
    runs: list[str] = []
    work = work_of(store, "next", noting(runs, "run"))
    work.beat()
    assert work.thread is None
    advance(store, 61)
    work.beat()
    work.join()
    assert runs == ["run"]


@pytest.mark.parametrize("stopped", [True, False])
def test_work_that_fails_is_tried_again_after_a_while(store: Store, stopped: bool) -> None:
    runs: list[str] = []

    def run() -> bool:
        runs.append("run")
        if len(runs) > 1:
            return True
        if stopped:
            return False
        raise CloudError("denied", where="here")

    work = work_of(store, "first", run)
    work.beat()
    work.join()
    assert bool(work.error) is not stopped
    work.beat(at_once=True)
    assert not work.is_running
    advance(store, 60)
    work.beat()
    work.join()
    assert (len(runs), work.error) == (2, "")
    assert store.leases.done_at("agents") == store.clock()
