"""The receiver gives each event to the handler of its kind once, and drops what has none."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dispatcher.changes.event_receiver import MOST_RECEIVES, EventReceiver
from dispatcher.discovery.accounts import AccountRegion
from sidelight.aws.event_queue import QueuedMessage
from sidelight.errors import CloudError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import pytest

    from dispatcher.changes.bus_events import BusEvent

HERE = AccountRegion("123456789012", "us-east-1")
KIND = ("aws.ec2", "EC2 Instance State-change Notification")


@dataclass
class Queue:
    """Messages, those that were not deleted being delivered again."""

    bodies: dict[str, str] = field(default_factory=dict)
    receives: dict[str, int] = field(default_factory=dict)
    fails: bool = False
    _delivered: set[str] = field(default_factory=set)

    def put(self, *bodies: str) -> None:
        for body in bodies:
            self.bodies[f"m{len(self.receives) + len(self.bodies)}"] = body

    def receive(self, wait: int) -> list[QueuedMessage]:
        if self.fails:
            raise CloudError("no such queue", where="queue")
        if wait:
            self._delivered.clear()  # the next turn: all are visible again
        names = [name for name in self.bodies if name not in self._delivered][:10]
        self._delivered.update(names)
        for name in names:
            self.receives[name] = self.receives.get(name, 0) + 1
        return [QueuedMessage(n, n, self.bodies[n], self.receives[n]) for n in names]

    def delete(self, messages: Sequence[QueuedMessage]) -> None:
        for message in messages:
            del self.bodies[message.receipt]


@dataclass
class Handler:
    """It notes the batches that it gets."""

    batches: list[tuple[AccountRegion, list[str]]] = field(default_factory=list)
    again: set[str] = field(default_factory=set)
    fails: bool = False

    def handle(self, account_region: AccountRegion, events: Sequence[BusEvent]) -> Collection[str]:
        if self.fails:
            raise CloudError("throttled", where="ec2")
        self.batches.append((account_region, [event.id for event in events]))
        return self.again


def event(number: int, *, region: str = "us-east-1", kind: tuple[str, str] = KIND) -> str:
    source, detail_type = kind
    return json.dumps({
        "id": f"event-{number}", "account": HERE.account, "region": region, "source": source,
        "detail-type": detail_type, "time": "2026-01-01T00:00:00Z", "detail": {},
    })  # fmt: skip


def receiver(queue: Queue, handler: Handler) -> EventReceiver:
    return EventReceiver(queue, {KIND: handler}, lambda place: place.account == HERE.account)


def test_many_messages_are_one_batch_for_each_account_region() -> None:
    queue, handler = Queue(), Handler()
    queue.put(*(event(number) for number in range(25)), event(99, region="eu-west-1"))
    assert receiver(queue, handler).turn() == 26
    assert [(account_region.region, len(ids)) for account_region, ids in handler.batches] == [
        ("us-east-1", 25),
        ("eu-west-1", 1),
    ]
    assert queue.bodies == {}


def test_a_repeated_event_is_handled_once_also_in_a_later_turn() -> None:
    queue, handler = Queue(), Handler()
    queue.put(event(1), event(1))
    event_receiver = receiver(queue, handler)
    event_receiver.turn()
    queue.put(event(1))
    event_receiver.turn()
    assert handler.batches == [(HERE, ["event-1"])]
    assert queue.bodies == {}


def test_what_can_never_be_handled_is_dropped_with_a_line_for_each_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue, handler = Queue(), Handler()
    strange = json.loads(event(3)) | {"account": "999999999999"}
    queue.put("{", "\x1b[31m", event(2, kind=("aws.s3", "Object Created")), json.dumps(strange))
    receiver(queue, handler).turn()
    assert (queue.bodies, handler.batches) == ({}, [])
    text = caplog.text
    assert "2 messages dropped: it is not JSON" in text
    assert "nothing handles Object Created of aws.s3" in text
    assert "not scanned" in text
    assert "\x1b" not in text


def test_an_event_that_a_handler_wants_again_or_fails_with_stays() -> None:
    queue, handler = Queue(), Handler(again={"event-2"})
    queue.put(event(1), event(2))
    event_receiver = receiver(queue, handler)
    event_receiver.turn()
    assert list(queue.bodies.values()) == [event(2)]
    handler.fails = True
    event_receiver.turn()
    assert "throttled" in event_receiver.error
    handler.fails, handler.again = False, set()
    event_receiver.turn()
    assert queue.bodies == {}


def test_an_event_that_is_wanted_again_and_again_is_dropped() -> None:
    queue, handler = Queue(), Handler(again={"event-1"})
    queue.put(event(1))
    event_receiver = receiver(queue, handler)
    for _turn in range(MOST_RECEIVES + 1):
        event_receiver.turn()
    assert len(handler.batches) == MOST_RECEIVES
    assert queue.bodies == {}


def test_a_queue_that_refuses_is_asked_again_after_a_pause() -> None:
    queue, pauses = Queue(fails=True), list[float]()
    event_receiver = receiver(queue, Handler())
    event_receiver.run(lambda: len(pauses) == 2, pauses.append)
    assert pauses == [60.0, 60.0]
    assert "no such queue" in event_receiver.error


def test_an_endpoint_without_long_polls_is_not_asked_all_the_time() -> None:
    pauses = list[float]()
    receiver(Queue(), Handler()).run(lambda: len(pauses) == 3, pauses.append)
    assert pauses == [1.0, 1.0, 1.0]
