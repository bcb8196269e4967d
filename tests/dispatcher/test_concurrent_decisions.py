"""Threads that decide on the same instances: what was discovered last is what coverage says."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.discovery.accounts import AccountRegion
from dispatcher.discovery.discoverer import Discovery, discover
from dispatcher.planning.eligibility import Configuration
from dispatcher.scan_starter import ScanStarter
from sidelight.model import Coverage, Instance, ScanMode, Volume

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sidelight.store import Store

HERE = AccountRegion("123456789012", "eu-west-1")
BLOCKED = 0.5  # seconds after which a thread that did not end waits for the other


def machine(state: str) -> Instance:
    volumes = (Volume("vol-1", "/dev/xvda", 8),)
    return Instance("i-1", HERE.account, HERE.region, state, volumes)


@dataclass
class Account:
    """What AWS lists; the part of a Discoverer that ScanStarter uses."""

    store: Store
    present: Sequence[Instance]

    def instances(self) -> Sequence[Instance]:
        return self.present

    def tagged(self, key_ids: object, tag: str) -> frozenset[str]:
        del key_ids, tag
        return frozenset()

    def __call__(self, account_region: AccountRegion, configuration: Configuration) -> Discovery:
        del configuration
        own: Any = self
        found = discover(
            self.store,
            own,
            own,
            account=account_region.account,
            region=account_region.region,
            tag="excluded",
        )
        return replace(found, managed={})


class Fleet:
    """A starter whose next decision can be held between what it read and what it writes."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.account = Account(store, [machine("pending")])
        discoverer: Any = self.account
        self.starter = ScanStarter(
            store=store, discoverer=discoverer, publish=lambda *_: None, deployment="here",
            agents=True,
        )  # fmt: skip

    def round(self) -> None:
        self.starter.start_everywhere([HERE], Configuration(), on_demand=False)

    def replan(self) -> None:
        self.starter.agents_changed(HERE, {}, Configuration())

    def start_due(self) -> None:
        self.starter.start_due(Configuration())

    def covered(self) -> tuple[str, str]:
        (row,) = (row for row in self.store.instances.coverage() if row.instance == "i-1")
        return row.status_code, row.reason


@pytest.fixture
def fleet(store: Store) -> Fleet:
    fleet = Fleet(store)
    fleet.round()
    assert fleet.covered() == ("INACTIVE", "PENDING_INITIAL_SCAN")
    return fleet


def overtaken(fleet: Fleet, monkeypatch: pytest.MonkeyPatch, slow: Callable[[], object]) -> None:
    """Run `slow`, and a round between what it reads and what it writes."""
    has_read, may_write = threading.Event(), threading.Event()
    instances = fleet.store.instances
    read = instances.with_history
    first = threading.Lock()

    def held(*arguments: Any) -> Any:
        rows = read(*arguments)
        if first.acquire(blocking=False):
            has_read.set()
            assert may_write.wait(60)
        return rows

    monkeypatch.setattr(instances, "with_history", held)
    threads = [threading.Thread(target=slow), threading.Thread(target=fleet.round)]
    threads[0].start()
    assert has_read.wait(60)
    threads[1].start()
    threads[1].join(BLOCKED)
    may_write.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


@pytest.mark.parametrize("work", ["replan", "start_due"])
@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("running", ("ACTIVE", "PENDING_INITIAL_SCAN")),
        ("", ("INACTIVE", "RESOURCE_TERMINATED")),
    ],
)
def test_an_older_decision_does_not_replace_a_newer_one(
    fleet: Fleet,
    monkeypatch: pytest.MonkeyPatch,
    work: str,
    state: str,
    expected: tuple[str, str],
) -> None:
    every = "dispatcher.planning.cadence.Timetable.candidates"
    monkeypatch.setattr(every, lambda own, _: own._instances)
    fleet.account.present = [machine(state)] if state else []
    overtaken(fleet, monkeypatch, getattr(fleet, work))
    assert fleet.covered() == expected


def test_what_was_discovered_before_an_instance_was_gone_covers_it_no_more(fleet: Fleet) -> None:
    fleet.account.present = []
    fleet.account(HERE, Configuration())
    fleet.replan()
    assert fleet.covered() == ("INACTIVE", "RESOURCE_TERMINATED")


def test_an_agents_result_is_not_written_to_an_instance_that_stopped_since(store: Store) -> None:
    def row(name: str, **values: str) -> Coverage:
        known = Coverage(
            HERE.account, HERE.region, name, "", "ACTIVE", "PENDING_INITIAL_SCAN",
            scan_mode=ScanMode.AGENT_BASED,
        )  # fmt: skip
        return replace(known, **values)  # type: ignore[arg-type]

    store.instances.cover([row("i-1"), row("i-2")])
    store.instances.cover([row("i-2", status_code="INACTIVE", reason="EC2_INSTANCE_STOPPED")])
    store.instances.cover_by_agents([row("i-1", reason="SUCCESSFUL"), row("i-2"), row("i-3")])
    assert {one.instance: one.reason for one in store.instances.coverage()} == {
        "i-1": "SUCCESSFUL",
        "i-2": "EC2_INSTANCE_STOPPED",
    }
