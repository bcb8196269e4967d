"""What becomes of a scan when EC2, EBS and KMS say no: docs/outcomes.md, line by line.

The stages, EC2's and EBS direct's clients are the real ones, against the local cloud; only time is
moved by hand, the cloud's and the store's together. In the end no snapshot is left, ever.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.on_demand import in_process
from dispatcher.planning.eligibility import Configuration
from sidelight.aws import session
from sidelight.fleet.bootstrap import make_context
from sidelight.fleet.settings import Settings
from sidelight.fleet.stages.take_snapshots import STEPS
from sidelight.localcloud.conditions import KIND
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.localcloud.server import LocalCloud
from sidelight.model import TERMINAL, Coverage, Scan, State
from sidelight.store import Store
from tests.aws.test_ebs import client
from tests.dispatcher.local_messages import messages_of
from tests.faults.test_killed_workers import advisories, image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sidelight.fleet.context import Context

pytestmark = [pytest.mark.services, pytest.mark.images]
__all__ = ["advisories", "image"]

ROUNDS = 400


class Outcome:
    """A fleet in a local cloud, with a control plane and a worker in this process."""

    def __init__(self, cloud: LocalCloud, settings: Settings) -> None:
        self.cloud = cloud
        self.begun = cloud.clock.now()
        self.ahead = timedelta()
        store = Store(settings.store.url, clock=lambda: datetime.now(UTC) + self.ahead)
        store.migrate()
        self.control = in_process(settings, store=store)
        self.context: Context = make_context(self.control.settings, store=store)
        self.before_stage: dict[State, Callable[[], object]] = {}
        self.waited = 0

    def advance(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)
        self.cloud.clock.advance(seconds)

    def passed(self) -> float:
        """Seconds by the cloud's own clock: those that were moved by hand, and those that went."""
        return self.cloud.clock.now() - self.begun

    def settle(self) -> None:
        """Let that be seen which the cloud is late with, before a test's own next call."""
        self.advance(3.0)

    def scan(self, *, leaves: bool = False) -> dict[str, Scan]:
        """Scan the fleet to its end; the scans by instance. `leaves`: a snapshot may be left."""
        (place,) = self.control.places((), ())
        scans = self.control.scans.start_scans(place, Configuration(), on_demand=True)
        for _ in range(ROUNDS):
            if not messages_of(self.control):
                break
            scan_id, following = messages_of(self.control).popleft()
            self.waited += following.delay > 0
            self.advance(following.delay)
            self.before_stage.pop(following.state, lambda: None)()
            upcoming = STEPS[following.state](self.context, scan_id)
            if upcoming is not None:
                messages_of(self.control).append((scan_id, upcoming))
        ended = self.control.store.scans.select([scan.id for scan in scans])
        assert {scan.state for scan in ended} <= TERMINAL, "stuck"
        if not leaves:
            assert self.cloud.snapshots() == []
            assert not self.control.sweeper.sweep(place).orphans
        return {scan.instance: scan for scan in ended}

    def covered(self, instance: str) -> Coverage:
        return next(c for c in self.control.store.instances.coverage() if c.instance == instance)

    def said(self, instance: str) -> tuple[str, str]:
        row = self.covered(instance)
        return row.status_code, row.reason

    def ec2(self) -> Any:
        return client(self.cloud, "ec2")


@pytest.fixture
def make_outcome(
    tmp_path: Path, advisories: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Outcome]]:
    made: list[Outcome] = []

    def make(settings: Settings | None = None, **options: Any) -> Outcome:
        cloud = LocalCloud(tmp_path / "cloud", **options).start()
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        given = settings or Settings.of(
            store_url=f"sqlite:///{tmp_path}/store.db",
            advisories=str(advisories),
        )
        made.append(Outcome(cloud, given))
        return made[-1]

    yield make
    for one in made:
        one.control.close()
        one.cloud.stop()


def test_snapshots_in_progress_are_waited_for(
    make_outcome: Callable[..., Outcome], image: Path
) -> None:
    world = make_outcome(snapshot_seconds=300)
    web = world.cloud.add_instance("web", [image])
    assert world.scan()[web].state is State.DONE
    assert world.waited > 10  # the longer it has taken, the rarer the looks
    assert world.said(web) == ("ACTIVE", "SUCCESSFUL")


@pytest.mark.parametrize(("kind", "limit"), [("gp3", 5), ("st1", 1)])
def test_a_volume_with_all_its_snapshots_under_way_is_waited_for(
    make_outcome: Callable[..., Outcome], image: Path, kind: str, limit: int
) -> None:
    """Those of somebody else; deleted while in progress, they count until they would be done."""
    world = make_outcome(snapshot_seconds=600)
    web = world.cloud.add_instance("web", [image], volume_type=kind)
    volume = world.cloud.volumes(web)["/dev/sda1"]
    for _ in range(limit):
        made = world.ec2().create_snapshot(VolumeId=volume)
        world.settle()
        world.ec2().delete_snapshot(SnapshotId=made["SnapshotId"])
    scan = world.scan()[web]
    assert scan.state is State.DONE
    assert world.passed() >= 1200, "their time, and then our own"
    assert world.said(web) == ("ACTIVE", "SUCCESSFUL")


def test_a_volume_that_stays_busy_fails_the_scan_with_ec2s_words(
    make_outcome: Callable[..., Outcome], image: Path
) -> None:
    world = make_outcome(Settings.of(busy_seconds=1200))
    web = world.cloud.add_instance("web", [image])
    world.cloud.plan = FaultPlan(
        [Rule(FaultKind.ERROR, "ec2:CreateSnapshots", code="ConcurrentSnapshotLimitExceeded")]
    )
    assert world.scan()[web].state is State.FAILED
    assert world.said(web) == ("INACTIVE", "INTERNAL_ERROR")
    assert "ConcurrentSnapshotLimitExceeded" in world.covered(web).detail


def test_a_limit_on_pending_snapshots_makes_scans_take_turns(
    make_outcome: Callable[..., Outcome], image: Path
) -> None:
    world = make_outcome(snapshot_seconds=120, snapshot_limit=2)
    for name in ("a", "b", "c"):
        world.cloud.add_instance(name, [image, image])
    assert {scan.state for scan in world.scan().values()} == {State.DONE}
    assert world.passed() >= 360


@pytest.mark.parametrize(
    "code", ["SnapshotLimitExceeded", "ResourceLimitExceeded", "RequestLimitExceeded"]
)
def test_an_accounts_limits_are_waited_for(
    make_outcome: Callable[..., Outcome], image: Path, code: str
) -> None:
    world = make_outcome()
    web = world.cloud.add_instance("web", [image])
    rule = Rule(FaultKind.ERROR, "ec2:CreateSnapshots", code=code, status=503, times=8)
    world.cloud.plan = FaultPlan([rule])
    assert world.scan()[web].state is State.DONE
    assert world.waited >= 8


def test_our_own_cap_on_snapshots_makes_scans_take_turns(
    make_outcome: Callable[..., Outcome], image: Path
) -> None:
    world = make_outcome(Settings.of(snapshots_in_flight=3), snapshot_seconds=60)
    for name in ("a", "b", "c"):
        world.cloud.add_instance(name, [image, image])
    most = [0]
    scans: Any = world.control.store.scans
    create = scans.intend

    def watched(*given: Any) -> Any:
        most[0] = max(most[0], len(world.cloud.snapshots()))
        return create(*given)

    scans.intend = watched
    assert {scan.state for scan in world.scan().values()} == {State.DONE}
    assert most[0] <= 3


def test_a_volume_that_two_instances_share_is_snapshotted_for_each_within_its_limit(
    make_outcome: Callable[..., Outcome], image: Path
) -> None:
    world = make_outcome(Settings.of(snapshots_per_volume=1), snapshot_seconds=60)
    one = world.cloud.add_instance("one", {"/dev/sda1": image, "/dev/sdf": image})
    two = world.cloud.add_instance("two", {"/dev/sda1": image})
    world.cloud.share_volume(world.cloud.volumes(one)["/dev/sdf"], two, "/dev/sdf")
    scans = world.scan()
    assert {scan.state for scan in scans.values()} == {State.DONE}
    store = world.control.store
    volumes = {
        instance: {snapshot.volume for snapshot in store.scans.snapshots(scan.id)}
        for instance, scan in scans.items()
    }
    shared = world.cloud.volumes(one)["/dev/sdf"]
    assert shared in volumes[one]
    assert shared in volumes[two]
    assert len(volumes[two]) == 2


@pytest.mark.parametrize("when", [State.NEW, State.SNAPSHOTS_PENDING, State.READING])
def test_an_instance_that_is_terminated_on_the_way(
    make_outcome: Callable[..., Outcome], image: Path, when: State
) -> None:
    """Before its snapshots: said so. After: read to the end; the next discovery says so."""
    world = make_outcome(snapshot_seconds=30)
    web = world.cloud.add_instance("web", [image])
    world.before_stage[when] = lambda: world.ec2().terminate_instances(InstanceIds=[web])
    scan = world.scan()[web]
    if when is State.NEW:
        assert scan.state is State.FAILED
        assert world.said(web) == ("INACTIVE", "RESOURCE_TERMINATED")
        return
    assert scan.state is State.DONE
    assert list(world.control.store.findings.rows(instance=web))
    world.scan()
    assert world.said(web) == ("INACTIVE", "RESOURCE_TERMINATED")
    assert not list(world.control.store.findings.rows(instance=web))


def test_an_instance_that_ended_an_hour_ago_and_is_listed_no_more_is_gone(
    make_outcome: Callable[..., Outcome], image: Path
) -> None:
    world = make_outcome()
    web = world.cloud.add_instance("web", [image])

    def end() -> None:
        world.ec2().terminate_instances(InstanceIds=[web])
        world.advance(world.cloud.conditions.ended_seconds + 1)

    world.before_stage[State.NEW] = end
    assert world.scan()[web].state is State.FAILED
    assert world.said(web) == ("INACTIVE", "RESOURCE_TERMINATED")
    assert "InvalidInstanceID.NotFound" in world.covered(web).detail


def test_a_wrong_clock_costs_time_and_no_attempt_and_the_status_names_it(
    make_outcome: Callable[..., Outcome], image: Path
) -> None:
    """AWS refuses what this machine signs, until its clock is right again."""
    world = make_outcome()
    web = world.cloud.add_instance("web", [image])
    reasons: list[str] = []

    def correct() -> None:
        world.cloud.set_clocks_apart(0)
        (scan,) = world.control.store.scans.select()
        reasons.append(scan.last_error)

    def spoil() -> None:
        world.cloud.set_clocks_apart(1200)
        world.before_stage[State.READING] = correct

    world.before_stage[State.READING] = spoil
    scan = world.scan()[web]
    assert (scan.state, scan.last_error) == (State.DONE, "")
    # A Date has whole seconds, and an answer takes its time.
    skew = re.search(r"this machine's clock is wrong \((\d+) s slow\)", reasons[0])
    assert skew is not None, reasons
    assert int(skew[1]) == pytest.approx(1200, abs=30)


def test_a_locked_snapshot_is_left_to_the_sweep_and_the_findings_stay(
    make_outcome: Callable[..., Outcome], image: Path
) -> None:
    world = make_outcome()
    web = world.cloud.add_instance("web", [image])

    def lock() -> None:
        for snapshot in world.cloud.snapshots():
            world.ec2().lock_snapshot(SnapshotId=snapshot, LockMode="governance", LockDuration=1)

    world.before_stage[State.DELETING] = lock
    scan = world.scan(leaves=True)[web]
    assert scan.state is State.FAILED
    assert "left to the sweep" in world.covered(web).detail
    assert "is locked" in world.covered(web).detail
    assert list(world.control.store.findings.rows(instance=web))
    (place,) = world.control.places((), ())
    world.control.sweeper.sweep(place)
    assert len(world.cloud.snapshots()) == 1
    world.advance(86400)
    world.control.sweeper.sweep(place)
    assert world.cloud.snapshots() == []


def test_a_key_of_awss_own_that_shows_nobody_its_tags_excludes_no_instance(
    make_outcome: Callable[..., Outcome], image: Path
) -> None:
    world = make_outcome()
    key = client(world.cloud, "kms").describe_key(KeyId="alias/aws/acm")["KeyMetadata"]["Arn"]
    web = world.cloud.add_instance("web", [image], encrypted=True, kms_key_id=key)
    assert world.scan()[web].state is State.DONE
    assert world.said(web) == ("ACTIVE", "SUCCESSFUL")
    assert world.cloud.calls("ListResourceTags") > 0


def test_calls_that_are_accepted_and_never_answered_are_cut_and_made_again(
    make_outcome: Callable[..., Outcome], image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert session.EBS_READ_SECONDS == 12
    monkeypatch.setattr(session, "EBS_READ_SECONDS", 0.5)
    world = make_outcome()
    web = world.cloud.add_instance("web", [image])
    world.cloud.plan = FaultPlan(
        [
            Rule(FaultKind.HANG, "ebs:ListSnapshotBlocks", times=1),
            Rule(FaultKind.HANG, "ebs:GetSnapshotBlock", times=2),
        ]
    )
    scan = world.scan()[web]
    assert (scan.state, scan.attempts) == (State.DONE, 0)
    assert world.cloud.plan.injected == {
        ("hang", "ebs:ListSnapshotBlocks"): 1, ("hang", "ebs:GetSnapshotBlock"): 2,
    }  # fmt: skip


@pytest.mark.parametrize("when", [State.READING, State.EVALUATING, State.DELETING])
def test_an_instance_whose_end_is_seen_while_it_is_scanned_keeps_no_finding_open(
    make_outcome: Callable[..., Outcome], image: Path, when: State
) -> None:
    world = make_outcome(snapshot_seconds=30)
    web = world.cloud.add_instance("web", [image])
    (place,) = world.control.places((), ())

    def rediscover() -> None:
        world.ec2().terminate_instances(InstanceIds=[web])
        world.control.scans.start_scans(place, Configuration(), on_demand=False)

    world.before_stage[when] = rediscover
    assert world.scan()[web].state is State.DONE
    assert world.said(web) == ("INACTIVE", "RESOURCE_TERMINATED")
    assert not list(world.control.store.findings.rows(instance=web))


def test_a_volume_detached_before_its_snapshot_is_left_out_and_after_it_is_read(
    make_outcome: Callable[..., Outcome], image: Path
) -> None:
    world = make_outcome(snapshot_seconds=30)
    web = world.cloud.add_instance("web", [image, image])
    data = world.cloud.volumes(web)["/dev/sdb"]

    def detach() -> None:
        world.ec2().detach_volume(VolumeId=data, InstanceId=web, Device="/dev/sdb")

    world.before_stage[State.SNAPSHOTS_PENDING] = detach
    first = world.scan()[web]
    assert len(world.control.store.scans.snapshots(first.id)) == 2
    second = world.scan()[web]
    assert {first.state, second.state} == {State.DONE}
    assert [s.volume for s in world.control.store.scans.snapshots(second.id)] == [
        world.cloud.volumes(web)["/dev/sda1"]
    ]


def test_a_snapshot_in_error_fails_the_scan_with_its_message(
    make_outcome: Callable[..., Outcome], image: Path
) -> None:
    world = make_outcome(snapshot_seconds=30)
    web = world.cloud.add_instance("web", [image, image])
    world.cloud.break_volume(world.cloud.volumes(web)["/dev/sdb"], "An internal error occurred")
    assert world.scan()[web].state is State.FAILED
    assert world.said(web) == ("INACTIVE", "INTERNAL_ERROR")
    assert "is in state error: An internal error occurred" in world.covered(web).detail


@pytest.mark.parametrize("when", [State.NEW, State.READING])
def test_a_key_that_is_disabled_is_the_reason_before_and_after_the_snapshot(
    make_outcome: Callable[..., Outcome], image: Path, when: State
) -> None:
    world = make_outcome(snapshot_seconds=30)
    kms = client(world.cloud, "kms")
    made = kms.create_key()["KeyMetadata"]
    key, key_id = made["Arn"], made["KeyId"]
    web = world.cloud.add_instance("web", [image], encrypted=True, kms_key_id=key)
    world.before_stage[when] = lambda: kms.disable_key(KeyId=key_id)
    assert world.scan()[web].state is State.FAILED
    assert world.said(web) == ("INACTIVE", "ACCESS_DENIED_TO_ENCRYPTION_KEY")
    kms.enable_key(KeyId=key_id)
    assert world.scan()[web].state is State.DONE
    assert world.said(web) == ("ACTIVE", "SUCCESSFUL")


@pytest.mark.parametrize(
    ("operation", "reason", "coverage"),
    [
        ("ebs:ListSnapshotBlocks", "UNAUTHORIZED_ACCOUNT", "ACCESS_DENIED"),
        ("ebs:GetSnapshotBlock", "DEPENDENCY_ACCESS_DENIED", "ACCESS_DENIED_TO_ENCRYPTION_KEY"),
        ("ec2:CreateSnapshots", "", "ACCESS_DENIED"),
    ],
)
def test_what_is_denied_is_the_reason(
    make_outcome: Callable[..., Outcome], image: Path, operation: str, reason: str, coverage: str
) -> None:
    world = make_outcome()
    web = world.cloud.add_instance("web", [image])
    world.cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, operation, reason=reason)])
    assert world.scan()[web].state is State.FAILED
    assert world.said(web) == ("INACTIVE", coverage)


LATE = [
    ("ebs:ListSnapshotBlocks", "ResourceNotFoundException", 404, "SNAPSHOT_NOT_FOUND"),
    ("ebs:ListSnapshotBlocks", "AccessDeniedException", 403, "UNAUTHORIZED_ACCOUNT"),
    ("ebs:ListSnapshotBlocks", "ValidationException", 400, "ANY_REASON"),
    ("ebs:GetSnapshotBlock", "AccessDeniedException", 403, "DEPENDENCY_ACCESS_DENIED"),
    ("ec2:CreateSnapshots", "IncorrectState", 400, ""),
    ("ec2:CreateSnapshots", "InvalidInstanceID.NotFound", 400, ""),
]


@pytest.mark.parametrize("late", LATE, ids=lambda late: f"{late[0]}-{late[1]}")
def test_what_aws_learns_late_costs_time_and_no_scan(
    make_outcome: Callable[..., Outcome], image: Path, late: tuple[str, str, int, str]
) -> None:
    """More often than a stage has attempts."""
    operation, code, status, reason = late
    world = make_outcome()
    web = world.cloud.add_instance("web", [image])
    rule = Rule(FaultKind.ERROR, operation, code=code, status=status, reason=reason, times=8)
    world.cloud.plan = FaultPlan([rule])
    assert world.scan()[web].state is State.DONE
    assert world.said(web) == ("ACTIVE", "SUCCESSFUL")
    assert world.ahead.total_seconds() < 300


def test_a_snapshot_that_somebody_deletes_fails_the_scan(
    make_outcome: Callable[..., Outcome], image: Path
) -> None:
    world = make_outcome()
    web = world.cloud.add_instance("web", [image])

    def delete() -> None:
        for snapshot in world.cloud.snapshots():
            world.ec2().delete_snapshot(SnapshotId=snapshot)

    world.before_stage[State.READING] = delete
    assert world.scan()[web].state is State.FAILED
    assert world.said(web) == ("INACTIVE", "INTERNAL_ERROR")
    assert "does not exist" in world.covered(web).detail


@pytest.mark.parametrize(
    "kind", [FaultKind.CORRUPT, FaultKind.SHORT, FaultKind.TRUNCATE, FaultKind.THROTTLE]
)
def test_bad_blocks_and_storms_cost_time_and_no_finding(
    make_outcome: Callable[..., Outcome],
    image: Path,
    kind: FaultKind,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sidelight.aws.ebs.FIRST_WAIT", 0.0)
    monkeypatch.setattr("sidelight.aws.ec2.FIRST_WAIT", 0.0)
    world = make_outcome()
    web = world.cloud.add_instance("web", [image])
    world.scan()
    expected = {row.finding.vulnerability for row in world.control.store.findings.rows()}
    operation = "*" if kind is FaultKind.THROTTLE else "GetSnapshotBlock"
    world.cloud.plan = FaultPlan([Rule(kind, operation, probability=0.5)], seed=7)
    scan = world.scan()[web]
    world.cloud.plan = FaultPlan()
    assert scan.state is State.DONE
    assert {row.finding.vulnerability for row in world.control.store.findings.rows()} == expected
    assert world.said(web) == ("ACTIVE", "SUCCESSFUL")


def test_a_reader_that_dies_is_followed_by_one_that_pays_for_the_rest_alone(
    make_outcome: Callable[..., Outcome], image: Path, tmp_path: Path
) -> None:
    """With kept blocks; and when the scan has ended, nothing is kept."""
    # Kind: blocks are counted, and the plan's faults are to be the only ones.
    settings = Settings.of(block_cache=str(tmp_path / "kept"), in_flight=1)
    world = make_outcome(settings, conditions=KIND)
    web = world.cloud.add_instance("web", [image])
    world.scan()
    whole = world.cloud.calls("GetSnapshotBlock")
    lists = world.cloud.calls("ListSnapshotBlocks")
    # Refused at the second block, for a while: the scan's attempt ends there.
    rule = Rule(FaultKind.SERVER_ERROR, "GetSnapshotBlock", nth=tuple(range(2, 2 + 8)))
    world.cloud.plan = FaultPlan([rule])
    scan = world.scan()[web]
    assert scan.state is State.DONE
    injected = world.cloud.plan.injected[("server_error", "ebs:GetSnapshotBlock")]
    assert injected == 8
    assert world.cloud.calls("GetSnapshotBlock") - whole == whole + injected
    assert world.cloud.calls("ListSnapshotBlocks") == 2 * lists
    assert not list((tmp_path / "kept").glob("snap-*"))
