"""Instances' events: EC2 is asked what the instances are, whatever an event says."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from dispatcher.changes.bus_events import BusEvent
from dispatcher.changes.instance_states import KIND, InstanceStateHandler
from dispatcher.discovery.accounts import AccountRegion

if TYPE_CHECKING:
    from collections.abc import Collection

HERE = AccountRegion("123456789012", "us-east-1")
WEB = "i-0123456789abcdef0"


@dataclass
class Looks:
    """It notes what is looked at. `missing` are instances that EC2 does not list."""

    calls: list[tuple[list[str], list[str]]] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)

    def __call__(
        self, _place: AccountRegion, ids: Collection[str], ended: Collection[str]
    ) -> list[str]:
        self.calls.append((sorted(ids), sorted(ended)))
        return sorted(self.missing & set(ids) - set(ended))


def event(number: int, instance: object, state: object) -> BusEvent:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
    detail = {"instance-id": instance, "state": state}
    return BusEvent(f"e{number}", HERE.account, HERE.region, KIND, at, detail)


def test_instances_that_run_stop_or_end_are_looked_at_in_one_call() -> None:
    looks = Looks()
    events = [event(1, WEB, "running"), event(2, "i-00000001", "stopped"),
              event(3, "i-00000002", "shutting-down")]  # fmt: skip
    assert InstanceStateHandler(looks).handle(HERE, events) == []
    assert looks.calls == [(["i-00000001", "i-00000002", WEB], ["i-00000002"])]


@pytest.mark.parametrize("state", ["pending", "stopping", "", None, 5, ["running"], "RUNNING"])
def test_other_states_ask_nothing(state: object) -> None:
    looks = Looks()
    if isinstance(state, list):
        state = tuple(state)
    assert InstanceStateHandler(looks).handle(HERE, [event(1, WEB, state)]) == []
    assert looks.calls == []


@pytest.mark.parametrize("instance", [None, 5, "", "i-", "i-xyz", "i-" + "0" * 18, f"{WEB}\n", "*"])
def test_what_is_not_an_id_asks_nothing(instance: object) -> None:
    looks = Looks()
    assert InstanceStateHandler(looks).handle(HERE, [event(1, instance, "running")]) == []
    assert looks.calls == []


def test_the_events_of_an_instance_that_ec2_does_not_list_yet_come_again() -> None:
    looks = Looks(missing={WEB})
    assert InstanceStateHandler(looks).handle(HERE, [event(1, WEB, "running")]) == ["e1"]


def test_the_last_event_of_an_instance_says_whether_it_ended_in_any_order_of_arrival() -> None:
    looks = Looks(missing={WEB})
    events = [event(2, WEB, "terminated"), event(1, WEB, "running")]
    assert InstanceStateHandler(looks).handle(HERE, events) == []
    assert looks.calls == [([WEB], [WEB])]
