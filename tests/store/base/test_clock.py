"""One clock for all workers: theirs may be wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from sidelight.errors import StoreError
from sidelight.model import State
from sidelight.store import Store
from sidelight.store.base.clock import ASK_EVERY, ServerClock

if TYPE_CHECKING:
    from collections.abc import Callable

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_the_server_is_asked_now_and_then_and_carried_on_meanwhile() -> None:
    server_times, elapsed = [NOON], [100.0]
    calls: list[int] = []

    def ask() -> datetime:
        calls.append(1)
        return server_times[0]

    clock = ServerClock(ask, lambda: elapsed[0])
    assert clock() == NOON
    elapsed[0] += ASK_EVERY / 2
    assert clock() == NOON + timedelta(seconds=ASK_EVERY / 2)
    assert len(calls) == 1
    elapsed[0] += ASK_EVERY
    server_times[0] = NOON + timedelta(seconds=200)
    assert clock() == server_times[0]
    assert len(calls) == 2


def test_a_server_that_does_not_answer_for_a_while_leaves_the_time_known() -> None:
    elapsed = [0.0]
    answers: list[datetime | None] = [NOON, None, None]

    def ask() -> datetime:
        answer = answers.pop(0)
        if answer is None:
            raise StoreError("away")
        return answer

    clock = ServerClock(ask, lambda: elapsed[0])
    clock()
    elapsed[0] += 3 * ASK_EVERY
    assert clock() == NOON + timedelta(seconds=3 * ASK_EVERY)
    with pytest.raises(StoreError):
        ServerClock(ask, lambda: 0.0)()


@pytest.mark.services
@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_worker_whose_clock_is_ten_minutes_off_neither_takes_a_live_lease_nor_waits(
    minutes: int, make_postgresql: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_postgresql()
    with Store(url) as right, Store(url) as wrong:
        right.migrate()

        def off() -> datetime:
            return datetime.now(UTC) + timedelta(minutes=minutes)

        monkeypatch.setattr("sidelight.store.base.clock.now", off)
        monkeypatch.setattr("sidelight.store.base.engine.now", off)
        first, second = right.scans.create([("1", "r", "i-1"), ("1", "r", "i-2")], "d")
        assert right.scans.claim(first.id, {State.NEW}, 120) is not None
        assert wrong.scans.claim(first.id, {State.NEW}, 120) is None
        assert {scan.id for scan in wrong.due_messages.due(10)} == {second.id}
        held = wrong.scans.claim(second.id, {State.NEW}, 120)
        assert held is not None
        assert held.lease_until is not None
        assert abs((held.lease_until - right.clock()).total_seconds() - 120) < 30
        assert right.scans.claim(second.id, {State.NEW}, 120) is None
