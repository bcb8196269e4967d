"""Stages that are throttled, out of budget or without room: they wait, and nothing is lost."""

from __future__ import annotations

import itertools
import threading
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sidelight.errors import SourceError, ThrottledError
from sidelight.fleet.rate_limit.limiter import RateLimitedError
from sidelight.fleet.stages import take_snapshots
from sidelight.model import Inventory, OperatingSystem, State, Status
from tests.fakes.fake_ec2 import ACCOUNT, REGION
from tests.fakes.tripwire import KilledError, Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sidelight.disk import Attachment
    from sidelight.model import Scan
    from tests.fakes.fake_fleet import FakeFleet


def test_the_cost_of_a_read_that_lost_its_lease_is_counted(fake_fleet: FakeFleet) -> None:
    fake_fleet.start()
    while fake_fleet.only_scan().state is not State.READING:
        fake_fleet._work()
    scan = fake_fleet.only_scan()
    inspect = fake_fleet.context.inspect

    def slow(sources: Sequence[Any], attachments: tuple[Attachment, ...]) -> Inventory:
        # A frozen machine: no heartbeat, and the lease ends.
        fake_fleet.clock.advance(fake_fleet.context.settings.workers.lease_seconds + 1)
        assert (
            take_snapshots.inspect(replace(fake_fleet.context, inspect=inspect), scan.id)
            is not None
        )
        return inspect(sources, attachments)

    assert take_snapshots.inspect(replace(fake_fleet.context, inspect=slow), scan.id) is None
    assert fake_fleet.only_scan().state is State.EVALUATING
    assert fake_fleet.store.costs.of([scan.id])[scan.id].get_calls == 4


def test_what_kills_its_workers_ends_also_where_budgets_hand_it_back_in_between(
    fake_fleet: FakeFleet,
) -> None:
    opened, turns = fake_fleet.context.open_snapshot, itertools.count()

    def deadly(scan: Scan, snapshot_id: str) -> Any:
        if next(turns) % 2:
            raise RateLimitedError("no get calls are left", where="get", delay=1)
        opened(scan, snapshot_id)
        raise KilledError

    fake_fleet.context = replace(fake_fleet.context, open_snapshot=deadly)
    fake_fleet.start()
    fake_fleet.run()
    assert fake_fleet.only_scan().state is State.FAILED
    assert next(turns) == 2 * fake_fleet.context.settings.retries.attempts - 1
    assert not fake_fleet.ec2.snapshots


def test_the_heartbeat_outlives_the_lease(make_fake_fleet: Callable[..., FakeFleet]) -> None:
    """A stage longer than its lease keeps the scan: the lease is renewed beside it."""
    fake_fleet = make_fake_fleet(lease_seconds=0.03)
    fake_fleet.start()
    take_snapshots.take_snapshots(fake_fleet.context, fake_fleet.only_scan().id)
    fake_fleet.clock.advance(60)
    take_snapshots.await_snapshots(fake_fleet.context, fake_fleet.only_scan().id)
    beats = threading.Semaphore(0)
    renew = fake_fleet.store.scans.renew

    def renewed(scan: Scan, seconds: float) -> bool:
        held = renew(scan, seconds)
        beats.release()
        return held

    fake_fleet.store.scans.renew = renewed  # type: ignore[method-assign] # to see the beats
    inspect = fake_fleet.context.inspect

    def slow(sources: object, attachments: object) -> object:
        for _ in range(4):  # as long as four beats take, which is longer than the lease
            assert beats.acquire(timeout=60)
        return inspect(sources, attachments)  # type: ignore[arg-type] # as given

    context = replace(fake_fleet.context, inspect=slow)  # type: ignore[arg-type] # as inspect
    assert take_snapshots.inspect(context, fake_fleet.only_scan().id) is not None
    assert fake_fleet.only_scan().state is State.EVALUATING


def test_blocks_that_were_throttled_away_are_read_again_not_taken_for_damage(
    fake_fleet: FakeFleet,
) -> None:
    inspect = fake_fleet.context.inspect
    attempts: list[int] = []

    def partly(sources: Sequence[Any], attachments: tuple[Attachment, ...]) -> Inventory:
        """As the readers do: a block that fails is a Problem, and they go on."""
        attempts.append(1)
        if len(attempts) < 3:
            fake_fleet.trip.decide = lambda _, name: (
                Mode.FAIL_BEFORE if name == "ebs.get_block" else None
            )
            with suppress(SourceError):
                sources[0].read_at(0, 512)
            return Inventory(Status.PARTIAL, OperatingSystem("debian"))
        fake_fleet.trip.armed = False
        return inspect(sources, attachments)

    fake_fleet.context = replace(fake_fleet.context, inspect=partly)
    fake_fleet.read_error = ThrottledError
    fake_fleet.trip.armed = True
    fake_fleet.start()
    fake_fleet.run()
    assert len(attempts) == 3
    assert fake_fleet.only_scan().state is State.DONE
    assert len(fake_fleet.findings()) == 4


def test_with_the_days_dollars_spent_new_scans_wait(
    make_fake_fleet: Callable[..., FakeFleet],
) -> None:
    fake_fleet = make_fake_fleet(machines=2, usd_per_day=0.000001)
    first, second = fake_fleet.start()
    fake_fleet.queue.clear()
    while fake_fleet.store.scans.get(first.id).state is not State.DONE:
        step = take_snapshots.STEPS[fake_fleet.store.scans.get(first.id).state]
        step(fake_fleet.context, first.id)
        fake_fleet.clock.advance(60)
    following = take_snapshots.take_snapshots(fake_fleet.context, second.id)
    assert following is not None
    assert (following.state, following.delay) == (State.NEW, take_snapshots.AFTER_SPENT)
    assert fake_fleet.ec2.created == 2
    fake_fleet.clock.advance(86400)
    take_snapshots.take_snapshots(fake_fleet.context, second.id)
    assert fake_fleet.ec2.created == 4


def test_a_scan_that_waited_for_a_day_spends_that_days_dollars(
    make_fake_fleet: Callable[..., FakeFleet],
) -> None:
    fake_fleet = make_fake_fleet(machines=3, usd_per_day=0.000001)
    first, second, third = fake_fleet.start()
    fake_fleet.queue.clear()
    for scan in (first, second):
        fake_fleet.clock.advance(86400)
        while (present := fake_fleet.store.scans.get(scan.id)).state is not State.DONE:
            take_snapshots.STEPS[present.state](fake_fleet.context, scan.id)
            fake_fleet.clock.advance(60)
    following = take_snapshots.take_snapshots(fake_fleet.context, third.id)
    assert following is not None
    assert following.delay == take_snapshots.AFTER_SPENT
    fake_fleet.clock.advance(86400)
    take_snapshots.take_snapshots(fake_fleet.context, third.id)
    assert fake_fleet.ec2.created == 6


def test_however_many_wait_for_room_they_do_not_all_ask_every_minute(
    make_fake_fleet: Callable[..., FakeFleet],
) -> None:
    fake_fleet = make_fake_fleet(machines=3, snapshots_in_flight=2)
    first, second, third = fake_fleet.start()
    take_snapshots.take_snapshots(fake_fleet.context, first.id)
    following = take_snapshots.take_snapshots(fake_fleet.context, second.id)
    assert following is not None
    assert following.delay == 40.0
    many = [(ACCOUNT, REGION, f"i-of-a-large-fleet-{number}") for number in range(3998)]
    fake_fleet.store.scans.create(many, "here")
    following = take_snapshots.take_snapshots(fake_fleet.context, third.id)
    assert following is not None
    assert following.delay == 4000 / take_snapshots.ASKING
    # One that is asked for on demand waits for others of its kind alone.
    fake_fleet.store.due_messages.prioritise([third.id], 0)
    following = take_snapshots.take_snapshots(fake_fleet.context, third.id)
    assert following is not None
    assert (following.priority, following.delay) == (0, 40.0)
