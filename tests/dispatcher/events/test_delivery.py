"""Each target has a thread and a pause of its own."""

from __future__ import annotations

import threading

from dispatcher.events.delivery import FIRST, LONGEST, EventDelivery
from dispatcher.events.publisher import TargetRefusedError


class Targets:
    """A clock, and targets that refuse while they have an error."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.errors: dict[str, TargetRefusedError] = {}
        self.called: list[str] = []

    def publish(self, target: str) -> None:
        self.called.append(target)
        if target in self.errors:
            raise self.errors[target]

    def beats(self, delivery: EventDelivery, seconds: float, targets: list[str]) -> int:
        """Let time pass; return how often these targets were called then."""
        self.now += seconds
        self.called.clear()
        delivery.beat(targets)
        delivery.join()
        return len(self.called)


def test_a_refusing_target_is_called_again_after_doubling_pauses() -> None:
    targets = Targets()
    delivery = EventDelivery(targets.publish, lambda: targets.now)
    targets.errors["a"] = TargetRefusedError("full", where="a")
    assert targets.beats(delivery, 0, ["a"]) == 1
    wait = FIRST
    for _ in range(9):
        assert targets.beats(delivery, wait - 1, ["a"]) == 0
        assert targets.beats(delivery, 1, ["a"]) == 1
        wait = min(LONGEST, wait * 2)
    assert "full" in delivery.error
    targets.errors.clear()
    assert targets.beats(delivery, LONGEST, ["a"]) == 1
    assert delivery.error == ""
    assert targets.beats(delivery, 0, ["a"]) == 1


def test_a_target_is_not_called_before_the_time_that_it_named() -> None:
    targets = Targets()
    delivery = EventDelivery(targets.publish, lambda: targets.now)
    targets.errors["a"] = TargetRefusedError("busy", where="a", retry_after=1800)
    targets.beats(delivery, 0, ["a"])
    assert targets.beats(delivery, 1799, ["a"]) == 0
    assert targets.beats(delivery, 1, ["a"]) == 1


def test_a_target_that_hangs_or_refuses_holds_up_no_other() -> None:
    free = threading.Event()
    sent: list[str] = []
    done = threading.Event()

    def publish(target: str) -> None:
        if target == "hanging":
            free.wait(30)
        if target == "refusing":
            raise TargetRefusedError("no", where=target)
        sent.append(target)
        if target == "good":
            done.set()

    delivery = EventDelivery(publish)
    delivery.beat(["hanging", "refusing", "good"])
    assert done.wait(30)
    delivery.beat(["hanging"])  # busy: it is not called twice at once
    free.set()
    delivery.join()
    assert sorted(sent) == ["good", "hanging"]
