"""Scans that are written and sent to their queues."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dispatcher.enqueue import enqueue, tick
from sidelight.errors import BrokerError
from sidelight.model import State

if TYPE_CHECKING:
    from sidelight.fleet.stages.stage_runner import Next
    from tests.fakes.fake_fleet import FakeFleet


def nowhere(_scan_id: str, _following: Next) -> None:
    raise BrokerError("the broker is away")


def test_the_row_is_committed_before_its_message_is_sent(fake_fleet: FakeFleet) -> None:
    seen: list[State] = []
    enqueue(
        fake_fleet.store,
        lambda scan_id, _: seen.append(fake_fleet.store.scans.get(scan_id).state),
        fake_fleet.instances,
        "here",
    )
    assert seen == [State.NEW] * 3


def test_without_a_broker_nothing_is_lost(fake_fleet: FakeFleet) -> None:
    scans = enqueue(fake_fleet.store, nowhere, fake_fleet.instances, "here")
    assert len(scans) == 3
    assert tick(fake_fleet.store, nowhere) == 0
    sent: list[str] = []
    assert tick(fake_fleet.store, lambda scan_id, _: sent.append(scan_id)) == 3
    assert sorted(sent) == sorted(scan.id for scan in scans)
    assert tick(fake_fleet.store, lambda scan_id, _: sent.append(scan_id)) == 0


def test_a_second_dispatcher_makes_no_second_scan(fake_fleet: FakeFleet) -> None:
    assert len(fake_fleet.start()) == 3
    assert fake_fleet.start() == []


def test_a_tick_over_many_live_scans_publishes_only_what_is_due(fake_fleet: FakeFleet) -> None:
    fake_fleet.start()
    fake_fleet.run(rounds=3000)
    assert tick(fake_fleet.store, nowhere) == 0
