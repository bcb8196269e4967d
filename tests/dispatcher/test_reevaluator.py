"""The workers' task that brings stored findings to a new database, and who asks for it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from kombu.exceptions import OperationalError

from dispatcher.discovery.accounts import ScanScope
from dispatcher.loop import REEVALUATION_ASKED_EVERY, DispatcherLoop
from dispatcher.on_demand import LocalQueue, in_process
from dispatcher.planning.eligibility import Configuration
from dispatcher.reevaluator import Reevaluator
from sidelight.errors import BrokerError, DatabaseError
from sidelight.fleet import bootstrap, evaluation
from sidelight.fleet.settings import Settings
from sidelight.fleet.stages import take_snapshots
from sidelight.store import Store
from tests.fakes.clocks import Clock
from tests.fixtures.store_templates import lay
from tests.fixtures.stored_findings import (
    REGION,
    Database,
    inventory,
    open_names,
    package,
    says,
    scanned,
)
from workers import message_queue, tasks
from workers.message_signatures import MessageKeys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    """A machine with `a` and `b`, by a database that speaks of `a`."""
    url = f"sqlite:///{tmp_path}/store.db"
    lay(url)
    with Store(url, clock=clock) as store:
        scanned(store, says("a"), inventory(package("a"), package("b")))
        yield store


@pytest.fixture
def worker(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[[Database], list[str]]:
    """Run the task in a worker that has this database; the regions it asks to go on for."""
    real = bootstrap.make_context(Settings.of(store_url="sqlite://"), store=store)
    sent: list[str] = []
    monkeypatch.setattr(tasks, "publish_reevaluation", lambda _a, _s, region: sent.append(region))

    def run(database: Database) -> list[str]:
        sent.clear()
        context = replace(real, opened=lambda: database)
        monkeypatch.setattr(bootstrap, "context", lambda: context)
        tasks.reevaluate(REGION)
        return list(sent)

    return run


def test_a_worker_with_a_new_database_brings_the_findings_to_it(
    store: Store, worker: Callable[[Database], list[str]]
) -> None:
    newer = says("b")
    assert worker(newer) == [], "all of it is done"
    assert open_names(store) == {"b"}
    newer.queries.clear()
    assert worker(newer) == []
    assert newer.queries == [], "the same database asks for nothing"


def test_a_worker_that_kept_the_older_file_changes_nothing(
    store: Store, worker: Callable[[Database], list[str]]
) -> None:
    worker(says("b"))
    assert worker(says("a")) == []
    assert open_names(store) == {"b"}


def test_what_takes_long_is_gone_on_with_after_the_scans_that_wait(
    store: Store, worker: Callable[[Database], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(take_snapshots, "REEVALUATE_SECONDS", -1.0)
    newer, messages = says("b"), 1
    while worker(newer) == [REGION]:
        messages += 1
        assert messages < 10
    assert messages > 1
    assert open_names(store) == {"b"}


def test_a_database_that_cannot_be_opened_ends_the_task_alone(
    store: Store, worker: Callable[[Database], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Database:
        raise DatabaseError("is damaged")

    assert worker(says("a")) == []
    context = replace(bootstrap.context(), opened=broken)
    monkeypatch.setattr(bootstrap, "context", lambda: context)
    tasks.reevaluate(REGION)
    assert open_names(store) == {"a"}


def test_the_dispatcher_asks_now_and_then_while_something_is_left(
    store: Store, clock: Clock
) -> None:
    queue = LocalQueue()
    requests = queue.reevaluations
    control = in_process(Settings.of(store_url="sqlite://"), store=store, queue=queue)
    schedule = DispatcherLoop(control, ScanScope(), Configuration())
    schedule._reevaluate()
    assert requests == [], "nothing is left"
    newer = says("b")
    store.reevaluation.register(newer)
    schedule._reevaluate()
    assert requests == [], "not at each beat"
    for _ in range(2):
        clock.advance(REEVALUATION_ASKED_EVERY.total_seconds())
        schedule._reevaluate()
    assert requests == [REGION, REGION], "the worker that took the first may have died"
    while evaluation.reevaluate(store, newer).left:
        pass
    clock.advance(REEVALUATION_ASKED_EVERY.total_seconds())
    schedule._reevaluate()
    assert requests == [REGION, REGION]


def test_a_round_asks_everywhere_whether_there_is_a_new_database(store: Store) -> None:
    queue = LocalQueue()
    control = in_process(Settings.of(store_url="sqlite://"), store=store, queue=queue)
    control.reevaluator.ask(everywhere=True)
    assert queue.reevaluations == [REGION]


def test_a_broker_that_does_not_answer_is_asked_another_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OperationalError("no broker")

    monkeypatch.setattr(message_queue, "publish_reevaluation", refused)
    queue = message_queue.CeleryQueue(Settings.of(broker_url="memory://"))
    with pytest.raises(BrokerError, match="no broker"):
        queue.publish_reevaluation(REGION)
    Reevaluator(store, Settings(), queue.publish_reevaluation).ask(everywhere=True)


def test_the_message_waits_with_the_evaluations_of_its_region() -> None:
    settings = Settings.of(regional_queues=True)
    sent: dict[str, object] = {}

    class Application:
        conf = SimpleNamespace(broker_transport_options={"message_keys": MessageKeys()})

        def send_task(self, name: str, **options: object) -> None:
            sent.update(options, name=name)

    tasks.publish_reevaluation(Application(), settings, REGION)
    assert sent["name"] == tasks.NAME.format(tasks.REEVALUATE)
    assert (sent["queue"], sent["args"]) == (f"evaluate.{REGION}", [REGION])
