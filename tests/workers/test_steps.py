"""The stages, by what they leave behind. Faults at every point are in tests/faults."""

from __future__ import annotations

import itertools
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sidelight.aws.ec2 import SnapshotInfo
from sidelight.disk import Attachment
from sidelight.errors import AccessDeniedError, SourceError, ThrottledError
from sidelight.fleet.rate_limit.limiter import RateLimitedError
from sidelight.fleet.snapshot_ownership import description
from sidelight.fleet.stages import take_snapshots
from sidelight.model import LIVE, Inventory, OperatingSystem, State, Status
from tests.workers.bench import ACCOUNT, REGION, KilledError, Mode, World

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sidelight.model import Scan


def only(world: World) -> Scan:
    return world.store.scans.select()[0]


def test_a_scan_walks_through_all_stages(world: World) -> None:
    world.start()
    world.run()
    scan = only(world)
    assert scan.state is State.DONE
    assert len(world.findings()) == 4
    cost = world.store.costs.of([scan.id])[scan.id]
    assert (cost.get_calls, cost.list_calls, cost.blocks) == (2, 2, 2)
    covered = world.store.instances.coverage()[0]
    assert (covered.status_code, covered.reason, covered.scanned_at) == (
        "ACTIVE", "SUCCESSFUL", scan.finished_at,
    )  # fmt: skip


def test_each_disk_is_inspected_with_its_device_and_its_volume(world: World) -> None:
    given: list[Attachment] = []
    inspect = world.context.inspect

    def seen(sources: Sequence[Any], attachments: tuple[Attachment, ...]) -> Inventory:
        given.extend(attachments)
        return inspect(sources, attachments)

    world.context = replace(world.context, inspect=seen)
    world.start()
    world.run()
    (known,) = world.store.instances.known()
    assert given == [Attachment(one.device, one.id) for one in known.instance.volumes]
    assert [one.volume for one in given] == ["vol-0-0", "vol-0-1"]


def test_each_snapshot_ends_with_a_receipt(world: World) -> None:
    world.start()
    world.run()
    snapshots = world.store.scans.snapshots(only(world).id)
    assert [snapshot.volume for snapshot in snapshots] == ["vol-0-0", "vol-0-1"]
    for snapshot in snapshots:
        assert snapshot.state == "deleted"
        assert snapshot.deleted_at is not None
        assert "none" in snapshot.receipt


def test_the_intent_is_committed_before_the_call(world: World) -> None:
    world.start()
    world.trip.decide = lambda _, name: Mode.KILL_BEFORE if name == "ec2.create_snapshots" else None
    world.trip.armed = True
    with pytest.raises(BaseException, match="create_snapshots"):
        take_snapshots.take_snapshots(world.context, only(world).id)
    assert only(world).state is State.SNAPSHOTTING


def test_waiting_is_one_describe_and_holds_no_worker(world: World) -> None:
    world.start()
    take_snapshots.take_snapshots(world.context, only(world).id)
    world.clock.advance(2)
    world.trip.armed = True
    following = take_snapshots.await_snapshots(world.context, only(world).id)
    assert world.trip.seen.count("ec2.describe_by_id") == 1
    assert following is not None
    assert (following.state, following.delay) == (State.SNAPSHOTS_PENDING, 10.0)
    assert only(world).lease == ""


def test_a_stage_delivered_twice_does_nothing_the_second_time(world: World) -> None:
    world.start()
    scan_id = only(world).id
    take_snapshots.take_snapshots(world.context, scan_id)
    world.clock.advance(60)
    for step in (
        take_snapshots.await_snapshots,
        take_snapshots.inspect,
        take_snapshots.evaluate,
        take_snapshots.delete_snapshots,
    ):
        following = step(world.context, scan_id)
        assert step(world.context, scan_id) is None
    assert following is None
    assert take_snapshots.take_snapshots(world.context, scan_id) is None
    assert only(world).state is State.DONE
    assert world.ec2.created == 2


@pytest.mark.parametrize(
    ("code", "state", "reason"),
    [
        ("InvalidInstanceID.NotFound", "", "RESOURCE_TERMINATED"),
        ("IncorrectState", "terminated", "RESOURCE_TERMINATED"),
        ("IncorrectInstanceState", "shutting-down", "RESOURCE_TERMINATED"),
        ("IncorrectState", "running", "INTERNAL_ERROR"),
        ("InternalError", "terminated", "INTERNAL_ERROR"),
    ],
)
def test_a_refused_creation_ends_with_its_reason(
    world: World, code: str, state: str, reason: str
) -> None:
    world.ec2.refuse[world.instances[0].id] = code
    world.ec2.instance_states[world.instances[0].id] = state
    world.start()
    world.run()
    covered = world.store.instances.coverage()[0]
    assert (only(world).state, covered.reason) == (State.FAILED, reason)
    assert code in covered.detail


def test_a_terminated_instance_is_not_tried_again(world: World) -> None:
    world.ec2.refuse[world.instances[0].id] = "InvalidInstanceID.NotFound"
    world.ec2.instance_states[world.instances[0].id] = "terminated"
    world.trip.armed = True
    world.start()
    world.run()
    assert world.trip.seen.count("ec2.create_snapshots") == 1


def test_a_busy_volume_is_waited_for_and_counts_as_no_failure(world: World) -> None:
    instance = world.instances[0].id
    world.ec2.refuse[instance] = "ConcurrentSnapshotLimitExceeded"
    world.start()
    for _ in range(10):
        take_snapshots.take_snapshots(world.context, only(world).id)
        world.clock.advance(120)
    assert only(world).state is State.SNAPSHOTTING
    del world.ec2.refuse[instance]
    world.run()
    assert only(world).state is State.DONE


def test_a_volume_that_stays_busy_ends_the_scan(make_world: Callable[..., World]) -> None:
    world = make_world(busy_seconds=600.0)
    world.ec2.refuse[world.instances[0].id] = "ConcurrentSnapshotLimitExceeded"
    world.start()
    world.run()
    assert only(world).state is State.FAILED


def test_a_snapshot_in_error_is_deleted_and_said(world: World) -> None:
    world.ec2.broken = {"vol-0-1"}
    world.start()
    world.run()
    assert only(world).state is State.FAILED
    assert "state error" in only(world).failure
    assert not world.ec2.snapshots


def test_a_snapshot_that_is_never_completed_is_given_up(make_world: Callable[..., World]) -> None:
    world = make_world(snapshot_seconds=600.0)
    world.ec2.pending_seconds = 1e9
    world.start()
    world.run()
    assert only(world).state is State.FAILED
    assert "not completed" in only(world).failure
    assert not world.ec2.snapshots


def test_a_snapshot_that_somebody_deleted_ends_the_scan(world: World) -> None:
    world.start()
    take_snapshots.take_snapshots(world.context, only(world).id)
    world.clock.advance(60)
    take_snapshots.await_snapshots(world.context, only(world).id)
    world.ec2.snapshots.popitem()
    world.run()
    assert only(world).state is State.FAILED
    assert not world.ec2.snapshots


def test_a_machine_that_cannot_be_read_is_not_clean(world: World) -> None:
    world.start()
    world.run()
    world.status = Status.FAILED
    world.start()
    world.run()
    covered = world.store.instances.coverage()[0]
    assert (covered.status_code, covered.reason) == ("INACTIVE", "UNSUPPORTED_OS")
    assert len(world.findings()) == 4, "what was found before stays open"


def test_a_key_that_cannot_be_used_is_its_own_reason(world: World) -> None:
    world.inspect_error = AccessDeniedError("KMS key is disabled", where="snap-1: block 0")
    world.start()
    world.run()
    assert world.store.instances.coverage()[0].reason == "ACCESS_DENIED_TO_ENCRYPTION_KEY"
    assert not world.ec2.snapshots


def test_a_defect_of_ours_ends_one_scan_and_leaves_no_snapshot(world: World) -> None:
    world.inspect_error = ZeroDivisionError("division by zero")
    world.start()
    world.run()
    assert "ZeroDivisionError" in only(world).failure
    assert not world.ec2.snapshots


@pytest.mark.parametrize("status", [Status.COMPLETE, Status.FAILED])
def test_a_reader_keeps_nothing_that_is_read_when_another_deletes_the_snapshots(
    make_world: Callable[..., World], status: Status
) -> None:
    world = make_world(block_cache="/somewhere")
    forgotten: list[str] = []
    world.status = status
    world.context = replace(world.context, forget=forgotten.append)
    world.start()
    while only(world).state is not State.READING:
        world._work()
    assert not forgotten
    assert take_snapshots.inspect(world.context, only(world).id) is not None
    assert forgotten == sorted(world.ec2.snapshots)


def test_what_a_reader_paid_for_that_came_too_late_is_told_as_well(world: World) -> None:
    world.start()
    while only(world).state is not State.READING:
        world._work()
    scan = only(world)
    inspect = world.context.inspect

    def slow(sources: Sequence[Any], attachments: tuple[Attachment, ...]) -> Inventory:
        # A frozen machine: no heartbeat, and the lease ends.
        world.clock.advance(world.context.settings.workers.lease_seconds + 1)
        assert take_snapshots.inspect(replace(world.context, inspect=inspect), scan.id) is not None
        return inspect(sources, attachments)

    assert take_snapshots.inspect(replace(world.context, inspect=slow), scan.id) is None
    assert only(world).state is State.EVALUATING
    assert world.store.costs.of([scan.id])[scan.id].get_calls == 4


def test_what_kills_its_workers_ends_also_where_budgets_hand_it_back_in_between(
    world: World,
) -> None:
    opened, turns = world.context.open_snapshot, itertools.count()

    def deadly(scan: Scan, snapshot_id: str) -> Any:
        if next(turns) % 2:
            raise RateLimitedError("no get calls are left", where="get", delay=1)
        opened(scan, snapshot_id)
        raise KilledError

    world.context = replace(world.context, open_snapshot=deadly)
    world.start()
    world.run()
    assert only(world).state is State.FAILED
    assert next(turns) == 2 * world.context.settings.retries.attempts - 1
    assert not world.ec2.snapshots


def test_two_calls_snapshots_are_not_mixed(world: World) -> None:
    """A first call whose answer was lost, and a second one, left two sets: one moment is read."""
    world.start()
    scan = world.store.scans.claim(only(world).id, LIVE, 60)
    assert scan is not None
    world.store.scans.intend(scan)
    tags = world.context.tags(scan.id)
    for lease in ("first", "second"):
        text = description(scan.id, scan.instance, "here", lease)
        world.ec2.create_snapshots(scan.instance, tags, text)
        world.clock.advance(3)
    world.clock.advance(120)
    world.run()
    assert only(world).state is State.DONE
    read = {source.name for source in world.sources}
    assert len(read) == 2
    assert read == {"snap-00000000000000001", "snap-00000000000000002"}
    assert not world.ec2.snapshots


@pytest.mark.parametrize("unlisted", [1, 1000])
def test_a_call_whose_snapshots_are_listed_one_after_the_other_is_waited_for(
    world: World, unlisted: int
) -> None:
    """Its answer was lost. For ever, where a volume was detached before it."""
    listed, turns = world.ec2.snapshots_by_tags, itertools.count()

    def by_tags(tags: Mapping[str, str | None]) -> list[SnapshotInfo]:
        found = listed(tags)
        first = only(world).state is State.SNAPSHOTTING and next(turns) < unlisted
        return found[:1] if first else found

    world.ec2.snapshots_by_tags = by_tags  # type: ignore[method-assign] # for one stage
    world.trip.decide = lambda _, name: Mode.FAIL_AFTER if name == "ec2.create_snapshots" else None
    world.trip.armed = True
    world.start()
    world.run()
    assert only(world).state is State.DONE
    assert world.ec2.created == 2
    assert len(world.findings()) == (4 if unlisted == 1 else 2)
    assert not world.ec2.snapshots


def test_a_second_snapshot_by_a_calls_own_description_is_not_read(world: World) -> None:
    """Anyone who may create and tag can copy the text of ours. It is deleted with the others."""
    world.trip.decide = lambda _, name: Mode.FAIL_AFTER if name == "ec2.create_snapshots" else None
    world.trip.armed = True
    world.start()
    take_snapshots.take_snapshots(world.context, only(world).id)
    made = world.ec2.snapshots["snap-00000000000000001"]
    assert made.started_at is not None
    later = replace(made, id="snap-0forged", started_at=made.started_at + timedelta(seconds=1))
    world.ec2.snapshots[later.id] = later
    world.trip.armed = False
    world.run()
    assert only(world).state is State.DONE
    assert sorted(source.name for source in world.sources) == [
        "snap-00000000000000001", "snap-00000000000000002",
    ]  # fmt: skip
    assert not world.ec2.snapshots


def test_strangers_snapshots_are_left_alone(world: World) -> None:
    stranger = SnapshotInfo("snap-stranger", "vol-0-0", "completed")
    other = replace(
        stranger,
        id="snap-other",
        tags=(("InspectorScan", "x"), ("SidelightDeployment", "elsewhere")),
        started_at=world.clock(),
    )
    world.ec2.snapshots |= {info.id: info for info in (stranger, other)}
    world.start()
    world.run()
    swept = world.sweep()
    assert not swept.orphans
    assert set(world.ec2.snapshots) == {"snap-stranger", "snap-other"}


def test_a_machine_that_was_fixed_closes_its_findings(world: World) -> None:
    world.start()
    world.run()
    world.version = "2.0"
    world.start()
    world.run()
    assert world.findings() == []


def test_the_heartbeat_outlives_the_lease(make_world: Callable[..., World]) -> None:
    """A stage longer than its lease keeps the scan: the lease is renewed beside it."""
    world = make_world(lease_seconds=0.03)
    world.start()
    take_snapshots.take_snapshots(world.context, only(world).id)
    world.clock.advance(60)
    take_snapshots.await_snapshots(world.context, only(world).id)
    beats = threading.Semaphore(0)
    renew = world.store.scans.renew

    def renewed(scan: Scan, seconds: float) -> bool:
        held = renew(scan, seconds)
        beats.release()
        return held

    world.store.scans.renew = renewed  # type: ignore[method-assign] # to see the beats
    inspect = world.context.inspect

    def slow(sources: object, attachments: object) -> object:
        for _ in range(4):  # as long as four beats take, which is longer than the lease
            assert beats.acquire(timeout=60)
        return inspect(sources, attachments)  # type: ignore[arg-type] # as given

    context = replace(world.context, inspect=slow)  # type: ignore[arg-type] # as inspect
    assert take_snapshots.inspect(context, only(world).id) is not None
    assert only(world).state is State.EVALUATING


def test_blocks_that_were_throttled_away_are_read_again_not_taken_for_damage(world: World) -> None:
    inspect = world.context.inspect
    attempts: list[int] = []

    def partly(sources: Sequence[Any], attachments: tuple[Attachment, ...]) -> Inventory:
        """As the readers do: a block that fails is a Problem, and they go on."""
        attempts.append(1)
        if len(attempts) < 3:
            world.trip.decide = lambda _, name: (
                Mode.FAIL_BEFORE if name == "ebs.get_block" else None
            )
            with suppress(SourceError):
                sources[0].read_at(0, 512)
            return Inventory(Status.PARTIAL, OperatingSystem("debian"))
        world.trip.armed = False
        return inspect(sources, attachments)

    world.context = replace(world.context, inspect=partly)
    world.read_error = ThrottledError
    world.trip.armed = True
    world.start()
    world.run()
    assert len(attempts) == 3
    assert only(world).state is State.DONE
    assert len(world.findings()) == 4


def test_with_the_days_dollars_spent_new_scans_wait(make_world: Callable[..., World]) -> None:
    world = make_world(machines=2, usd_per_day=0.000001)
    first, second = world.start()
    world.queue.clear()
    while world.store.scans.get(first.id).state is not State.DONE:
        step = take_snapshots.STEPS[world.store.scans.get(first.id).state]
        step(world.context, first.id)
        world.clock.advance(60)
    following = take_snapshots.take_snapshots(world.context, second.id)
    assert following is not None
    assert (following.state, following.delay) == (State.NEW, take_snapshots.AFTER_SPENT)
    assert world.ec2.created == 2
    world.clock.advance(86400)
    take_snapshots.take_snapshots(world.context, second.id)
    assert world.ec2.created == 4


def test_a_scan_that_waited_for_a_day_spends_that_days_dollars(
    make_world: Callable[..., World],
) -> None:
    world = make_world(machines=3, usd_per_day=0.000001)
    first, second, third = world.start()
    world.queue.clear()
    for scan in (first, second):
        world.clock.advance(86400)
        while (present := world.store.scans.get(scan.id)).state is not State.DONE:
            take_snapshots.STEPS[present.state](world.context, scan.id)
            world.clock.advance(60)
    following = take_snapshots.take_snapshots(world.context, third.id)
    assert following is not None
    assert following.delay == take_snapshots.AFTER_SPENT
    world.clock.advance(86400)
    take_snapshots.take_snapshots(world.context, third.id)
    assert world.ec2.created == 6


def test_however_many_wait_for_room_they_do_not_all_ask_every_minute(
    make_world: Callable[..., World],
) -> None:
    world = make_world(machines=3, snapshots_in_flight=2)
    first, second, third = world.start()
    take_snapshots.take_snapshots(world.context, first.id)
    following = take_snapshots.take_snapshots(world.context, second.id)
    assert following is not None
    assert following.delay == 40.0
    many = [(ACCOUNT, REGION, f"i-of-a-large-fleet-{number}") for number in range(3998)]
    world.store.scans.create(many, "here")
    following = take_snapshots.take_snapshots(world.context, third.id)
    assert following is not None
    assert following.delay == 4000 / take_snapshots.ASKING
    # One that is asked for on demand waits for others of its kind alone.
    world.store.due_messages.prioritise([third.id], 0)
    following = take_snapshots.take_snapshots(world.context, third.id)
    assert following is not None
    assert (following.priority, following.delay) == (0, 40.0)
