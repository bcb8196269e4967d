"""What becomes of a scan when EC2, EBS and KMS say no: docs/outcomes.md, line by line.

The stages, EC2's and EBS direct's clients are the real ones, against the local cloud; only time is
moved by hand, the cloud's and the store's together. In the end no snapshot is left, ever.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.eligibility import Configuration
from dispatcher.on_demand import InProcess
from sidelight.localcloud.faults import FaultPlan, Kind, Rule
from sidelight.localcloud.server import LocalCloud
from sidelight.store import TERMINAL, Coverage, Scan, State, Store
from tests.aws.test_ebs import client
from tests.faults.test_killed_workers import advisories, image
from workers.settings import Settings
from workers.steps import STEPS
from workers.wiring import make_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from workers.context import Context

pytestmark = [pytest.mark.services, pytest.mark.images]
__all__ = ["advisories", "image"]

ROUNDS = 400


class Outcome:
    """A fleet in a local cloud, with a control plane and a worker in this process."""

    def __init__(self, cloud: LocalCloud, settings: Settings) -> None:
        self.cloud = cloud
        self.ahead = timedelta()
        store = Store(settings.store_url, clock=lambda: datetime.now(UTC) + self.ahead)
        store.migrate()
        self.control = InProcess(settings)
        self.control.store.close()
        self.control.store = store
        self.context: Context = make_context(self.control.settings, store=store)
        self.before_stage: dict[State, Callable[[], object]] = {}
        self.waited = 0

    def advance(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)
        self.cloud.clock.advance(seconds)

    def scan(self) -> dict[str, Scan]:
        """Scan the fleet to its end; the scans by instance."""
        (place,) = self.control.places((), ())
        scans = self.control.start_scans(place, Configuration(), on_demand=True)
        for _ in range(ROUNDS):
            if not self.control.messages:
                break
            scan_id, following = self.control.messages.popleft()
            self.waited += following.delay > 0
            self.advance(following.delay)
            self.before_stage.pop(following.state, lambda: None)()
            upcoming = STEPS[following.state](self.context, scan_id)
            if upcoming is not None:
                self.control.messages.append((scan_id, upcoming))
        ended = self.control.store.scans.select([scan.id for scan in scans])
        assert {scan.state for scan in ended} <= TERMINAL, "stuck"
        assert self.cloud.snapshots() == []
        assert not self.control.sweep(place).orphans
        return {scan.instance: scan for scan in ended}

    def covered(self, instance: str) -> Coverage:
        return next(c for c in self.control.store.fleet.coverage() if c.instance == instance)

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
        given = replace(
            settings or Settings(),
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
        world.ec2().delete_snapshot(SnapshotId=made["SnapshotId"])
    scan = world.scan()[web]
    assert scan.state is State.DONE
    assert world.ahead.total_seconds() >= 1200, "their time, and then our own"
    assert world.said(web) == ("ACTIVE", "SUCCESSFUL")


def test_a_volume_that_stays_busy_fails_the_scan_with_ec2s_words(
    make_outcome: Callable[..., Outcome], image: Path
) -> None:
    world = make_outcome(Settings(busy_seconds=1200))
    web = world.cloud.add_instance("web", [image])
    world.cloud.plan = FaultPlan(
        [Rule(Kind.ERROR, "ec2:CreateSnapshots", code="ConcurrentSnapshotLimitExceeded")]
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
    assert world.ahead.total_seconds() >= 360


@pytest.mark.parametrize(
    "code", ["SnapshotLimitExceeded", "ResourceLimitExceeded", "RequestLimitExceeded"]
)
def test_an_accounts_limits_are_waited_for(
    make_outcome: Callable[..., Outcome], image: Path, code: str
) -> None:
    world = make_outcome()
    web = world.cloud.add_instance("web", [image])
    rule = Rule(Kind.ERROR, "ec2:CreateSnapshots", code=code, status=503, times=8)
    world.cloud.plan = FaultPlan([rule])
    assert world.scan()[web].state is State.DONE
    assert world.waited >= 8


def test_our_own_cap_on_snapshots_makes_scans_take_turns(
    make_outcome: Callable[..., Outcome], image: Path
) -> None:
    world = make_outcome(Settings(snapshots_in_flight=3), snapshot_seconds=60)
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
    world = make_outcome(Settings(snapshots_per_volume=1), snapshot_seconds=60)
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


@pytest.mark.parametrize("when", [State.READING, State.EVALUATING, State.DELETING])
def test_an_instance_whose_end_is_seen_while_it_is_scanned_keeps_no_finding_open(
    make_outcome: Callable[..., Outcome], image: Path, when: State
) -> None:
    world = make_outcome(snapshot_seconds=30)
    web = world.cloud.add_instance("web", [image])
    (place,) = world.control.places((), ())

    def rediscover() -> None:
        world.ec2().terminate_instances(InstanceIds=[web])
        world.control.start_scans(place, Configuration(), on_demand=False)

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
    world.cloud.plan = FaultPlan([Rule(Kind.ACCESS_DENIED, operation, reason=reason)])
    assert world.scan()[web].state is State.FAILED
    assert world.said(web) == ("INACTIVE", coverage)


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


@pytest.mark.parametrize("kind", [Kind.CORRUPT, Kind.SHORT, Kind.TRUNCATE, Kind.THROTTLE])
def test_bad_blocks_and_storms_cost_time_and_no_finding(
    make_outcome: Callable[..., Outcome],
    image: Path,
    kind: Kind,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sidelight.aws.ebs.FIRST_WAIT", 0.0)
    monkeypatch.setattr("sidelight.aws.ec2.FIRST_WAIT", 0.0)
    world = make_outcome()
    web = world.cloud.add_instance("web", [image])
    world.scan()
    expected = {row.finding.vulnerability for row in world.control.store.findings.rows()}
    operation = "*" if kind is Kind.THROTTLE else "GetSnapshotBlock"
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
    world = make_outcome(Settings(block_cache=str(tmp_path / "kept"), in_flight=1))
    web = world.cloud.add_instance("web", [image])
    world.scan()
    whole = world.cloud.calls("GetSnapshotBlock")
    lists = world.cloud.calls("ListSnapshotBlocks")
    # Refused at the second block, for a while: the scan's attempt ends there.
    rule = Rule(Kind.SERVER_ERROR, "GetSnapshotBlock", nth=tuple(range(2, 2 + 8)))
    world.cloud.plan = FaultPlan([rule])
    scan = world.scan()[web]
    assert scan.state is State.DONE
    injected = world.cloud.plan.injected[("server_error", "ebs:GetSnapshotBlock")]
    assert injected == 8
    assert world.cloud.calls("GetSnapshotBlock") - whole == whole + injected
    assert world.cloud.calls("ListSnapshotBlocks") == 2 * lists
    assert not list((tmp_path / "kept").glob("snap-*"))
