"""What becomes of a scan when EC2, EBS and KMS say no: docs/outcomes.md, line by line.

The stages, EC2's and EBS direct's clients are the real ones, against the local cloud; only time is
moved by hand, the cloud's and the store's together. In the end no snapshot is left, ever.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from dispatcher.planning.eligibility import Configuration
from sidelight.aws import session
from sidelight.fleet.settings import Settings
from sidelight.localcloud.conditions import KIND
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.model import State
from tests.fixtures.local_clouds import client

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.fixtures.local_fleets import LocalFleet


pytestmark = [pytest.mark.services, pytest.mark.images]


@pytest.mark.parametrize("when", [State.NEW, State.SNAPSHOTS_PENDING, State.READING])
def test_an_instance_that_is_terminated_on_the_way(
    make_local_fleet: Callable[..., LocalFleet], image: Path, when: State
) -> None:
    """Before its snapshots: said so. After: read to the end; the next discovery says so."""
    fleet = make_local_fleet(snapshot_seconds=30)
    web = fleet.cloud.add_instance("web", [image])
    fleet.before_stage[when] = lambda: fleet.ec2().terminate_instances(InstanceIds=[web])
    scan = fleet.scan()[web]
    if when is State.NEW:
        assert scan.state is State.FAILED
        assert fleet.reported(web) == ("INACTIVE", "RESOURCE_TERMINATED")
        return
    assert scan.state is State.DONE
    assert list(fleet.control.store.findings.rows(instance=web))
    fleet.scan()
    assert fleet.reported(web) == ("INACTIVE", "RESOURCE_TERMINATED")
    assert not list(fleet.control.store.findings.rows(instance=web))


def test_an_instance_that_ended_an_hour_ago_and_is_listed_no_more_is_gone(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    fleet = make_local_fleet()
    web = fleet.cloud.add_instance("web", [image])

    def end() -> None:
        fleet.ec2().terminate_instances(InstanceIds=[web])
        fleet.advance(fleet.cloud.conditions.ended_seconds + 1)

    fleet.before_stage[State.NEW] = end
    assert fleet.scan()[web].state is State.FAILED
    assert fleet.reported(web) == ("INACTIVE", "RESOURCE_TERMINATED")
    assert "InvalidInstanceID.NotFound" in fleet.covered(web).detail


def test_a_wrong_clock_costs_time_and_no_attempt_and_the_status_names_it(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    """AWS refuses what this machine signs, until its clock is right again."""
    fleet = make_local_fleet()
    web = fleet.cloud.add_instance("web", [image])
    reasons: list[str] = []

    def correct() -> None:
        fleet.cloud.set_clocks_apart(0)
        (scan,) = fleet.control.store.scans.select()
        reasons.append(scan.last_error)

    def spoil() -> None:
        fleet.cloud.set_clocks_apart(1200)
        fleet.before_stage[State.READING] = correct

    fleet.before_stage[State.READING] = spoil
    scan = fleet.scan()[web]
    assert (scan.state, scan.last_error) == (State.DONE, "")
    # A Date has whole seconds, and an answer takes its time.
    skew = re.search(r"this machine's clock is wrong \((\d+) s slow\)", reasons[0])
    assert skew is not None, reasons
    assert int(skew[1]) == pytest.approx(1200, abs=30)


def test_a_locked_snapshot_is_left_to_the_sweep_and_the_findings_stay(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    fleet = make_local_fleet()
    web = fleet.cloud.add_instance("web", [image])

    def lock() -> None:
        for snapshot in fleet.cloud.snapshots():
            fleet.ec2().lock_snapshot(SnapshotId=snapshot, LockMode="governance", LockDuration=1)

    fleet.before_stage[State.DELETING] = lock
    scan = fleet.scan(leaves=True)[web]
    assert scan.state is State.FAILED
    assert "left to the sweep" in fleet.covered(web).detail
    assert "is locked" in fleet.covered(web).detail
    assert list(fleet.control.store.findings.rows(instance=web))
    (place,) = fleet.control.places((), ())
    fleet.control.sweeper.sweep(place)
    assert len(fleet.cloud.snapshots()) == 1
    fleet.advance(86400)
    fleet.control.sweeper.sweep(place)
    assert fleet.cloud.snapshots() == []


def test_a_failed_scan_says_why_and_that_its_snapshots_are_left_to_the_sweep(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    fleet = make_local_fleet()
    web = fleet.cloud.add_instance("web", [image])
    denied = Rule(FaultKind.ACCESS_DENIED, "ec2:DescribeSnapshots")
    fleet.cloud.plan = FaultPlan([denied])
    scan = fleet.scan(leaves=True)[web]
    assert scan.state is State.FAILED
    assert fleet.reported(web) == ("INACTIVE", "ACCESS_DENIED")
    first, _, second = fleet.covered(web).detail.partition(
        "; its snapshots are left to the sweep: "
    )
    assert "describe_snapshots: UnauthorizedOperation" in first
    assert "describe_snapshots: UnauthorizedOperation" in second
    assert len(fleet.cloud.snapshots()) == 1


def test_a_key_of_awss_own_that_shows_nobody_its_tags_excludes_no_instance(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    fleet = make_local_fleet()
    key = client(fleet.cloud, "kms").describe_key(KeyId="alias/aws/acm")["KeyMetadata"]["Arn"]
    web = fleet.cloud.add_instance("web", [image], encrypted=True, kms_key_id=key)
    assert fleet.scan()[web].state is State.DONE
    assert fleet.reported(web) == ("ACTIVE", "SUCCESSFUL")
    assert fleet.cloud.calls("ListResourceTags") > 0


def test_calls_that_are_accepted_and_never_answered_are_cut_and_made_again(
    make_local_fleet: Callable[..., LocalFleet], image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert session.EBS_READ_SECONDS == 12
    monkeypatch.setattr(session, "EBS_READ_SECONDS", 0.5)
    fleet = make_local_fleet()
    web = fleet.cloud.add_instance("web", [image])
    fleet.cloud.plan = FaultPlan(
        [
            Rule(FaultKind.HANG, "ebs:ListSnapshotBlocks", times=1),
            Rule(FaultKind.HANG, "ebs:GetSnapshotBlock", times=2),
        ]
    )
    scan = fleet.scan()[web]
    assert (scan.state, scan.attempts) == (State.DONE, 0)
    assert fleet.cloud.plan.injected == {
        ("hang", "ebs:ListSnapshotBlocks"): 1, ("hang", "ebs:GetSnapshotBlock"): 2,
    }  # fmt: skip


@pytest.mark.parametrize("when", [State.READING, State.EVALUATING, State.DELETING])
def test_an_instance_whose_end_is_seen_while_it_is_scanned_keeps_no_finding_open(
    make_local_fleet: Callable[..., LocalFleet], image: Path, when: State
) -> None:
    fleet = make_local_fleet(snapshot_seconds=30)
    web = fleet.cloud.add_instance("web", [image])
    (place,) = fleet.control.places((), ())

    def rediscover() -> None:
        fleet.ec2().terminate_instances(InstanceIds=[web])
        fleet.control.scans.start_scans(place, Configuration(), on_demand=False)

    fleet.before_stage[when] = rediscover
    assert fleet.scan()[web].state is State.DONE
    assert fleet.reported(web) == ("INACTIVE", "RESOURCE_TERMINATED")
    assert not list(fleet.control.store.findings.rows(instance=web))


def test_a_volume_detached_before_its_snapshot_is_left_out_and_after_it_is_read(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    fleet = make_local_fleet(snapshot_seconds=30)
    web = fleet.cloud.add_instance("web", [image, image])
    data = fleet.cloud.volumes(web)["/dev/sdb"]

    def detach() -> None:
        fleet.ec2().detach_volume(VolumeId=data, InstanceId=web, Device="/dev/sdb")

    fleet.before_stage[State.SNAPSHOTS_PENDING] = detach
    first = fleet.scan()[web]
    assert len(fleet.control.store.scans.snapshots(first.id)) == 2
    second = fleet.scan()[web]
    assert {first.state, second.state} == {State.DONE}
    assert [s.volume for s in fleet.control.store.scans.snapshots(second.id)] == [
        fleet.cloud.volumes(web)["/dev/sda1"]
    ]


def test_a_snapshot_in_error_fails_the_scan_with_its_message(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    fleet = make_local_fleet(snapshot_seconds=30)
    web = fleet.cloud.add_instance("web", [image, image])
    fleet.cloud.break_volume(fleet.cloud.volumes(web)["/dev/sdb"], "An internal error occurred")
    assert fleet.scan()[web].state is State.FAILED
    assert fleet.reported(web) == ("INACTIVE", "INTERNAL_ERROR")
    assert "is in state error: An internal error occurred" in fleet.covered(web).detail


@pytest.mark.parametrize("when", [State.NEW, State.READING])
def test_a_key_that_is_disabled_is_the_reason_before_and_after_the_snapshot(
    make_local_fleet: Callable[..., LocalFleet], image: Path, when: State
) -> None:
    fleet = make_local_fleet(snapshot_seconds=30)
    kms = client(fleet.cloud, "kms")
    metadata = kms.create_key()["KeyMetadata"]
    key, key_id = metadata["Arn"], metadata["KeyId"]
    web = fleet.cloud.add_instance("web", [image], encrypted=True, kms_key_id=key)
    fleet.before_stage[when] = lambda: kms.disable_key(KeyId=key_id)
    assert fleet.scan()[web].state is State.FAILED
    assert fleet.reported(web) == ("INACTIVE", "ACCESS_DENIED_TO_ENCRYPTION_KEY")
    kms.enable_key(KeyId=key_id)
    assert fleet.scan()[web].state is State.DONE
    assert fleet.reported(web) == ("ACTIVE", "SUCCESSFUL")


@pytest.mark.parametrize(
    ("operation", "reason", "coverage"),
    [
        ("ebs:ListSnapshotBlocks", "UNAUTHORIZED_ACCOUNT", "ACCESS_DENIED"),
        ("ebs:GetSnapshotBlock", "DEPENDENCY_ACCESS_DENIED", "ACCESS_DENIED_TO_ENCRYPTION_KEY"),
        ("ec2:CreateSnapshots", "", "ACCESS_DENIED"),
    ],
)
def test_what_is_denied_is_the_reason(
    make_local_fleet: Callable[..., LocalFleet],
    image: Path,
    operation: str,
    reason: str,
    coverage: str,
) -> None:
    fleet = make_local_fleet()
    web = fleet.cloud.add_instance("web", [image])
    fleet.cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, operation, reason=reason)])
    assert fleet.scan()[web].state is State.FAILED
    assert fleet.reported(web) == ("INACTIVE", coverage)


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
    make_local_fleet: Callable[..., LocalFleet], image: Path, late: tuple[str, str, int, str]
) -> None:
    """More often than a stage has attempts."""
    operation, code, status, reason = late
    fleet = make_local_fleet()
    web = fleet.cloud.add_instance("web", [image])
    rule = Rule(FaultKind.ERROR, operation, code=code, status=status, reason=reason, times=8)
    fleet.cloud.plan = FaultPlan([rule])
    assert fleet.scan()[web].state is State.DONE
    assert fleet.reported(web) == ("ACTIVE", "SUCCESSFUL")
    assert fleet.ahead.total_seconds() < 300


def test_a_snapshot_that_somebody_deletes_fails_the_scan(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    fleet = make_local_fleet()
    web = fleet.cloud.add_instance("web", [image])

    def delete() -> None:
        for snapshot in fleet.cloud.snapshots():
            fleet.ec2().delete_snapshot(SnapshotId=snapshot)

    fleet.before_stage[State.READING] = delete
    assert fleet.scan()[web].state is State.FAILED
    assert fleet.reported(web) == ("INACTIVE", "INTERNAL_ERROR")
    assert "does not exist" in fleet.covered(web).detail


@pytest.mark.parametrize(
    "kind", [FaultKind.CORRUPT, FaultKind.SHORT, FaultKind.TRUNCATE, FaultKind.THROTTLE]
)
def test_bad_blocks_and_storms_cost_time_and_no_finding(
    make_local_fleet: Callable[..., LocalFleet],
    image: Path,
    kind: FaultKind,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sidelight.aws.ebs.FIRST_WAIT", 0.0)
    monkeypatch.setattr("sidelight.aws.paced_calls.delay", lambda *_, **__: 0.0)
    fleet = make_local_fleet()
    web = fleet.cloud.add_instance("web", [image])
    fleet.scan()
    expected = {row.package_finding.vulnerability for row in fleet.control.store.findings.rows()}
    operation = "*" if kind is FaultKind.THROTTLE else "GetSnapshotBlock"
    fleet.cloud.plan = FaultPlan([Rule(kind, operation, probability=0.5)], seed=7)
    scan = fleet.scan()[web]
    fleet.cloud.plan = FaultPlan()
    assert scan.state is State.DONE
    assert {
        row.package_finding.vulnerability for row in fleet.control.store.findings.rows()
    } == expected
    assert fleet.reported(web) == ("ACTIVE", "SUCCESSFUL")


def test_a_reader_that_dies_is_followed_by_one_that_pays_for_the_rest_alone(
    make_local_fleet: Callable[..., LocalFleet], image: Path, tmp_path: Path
) -> None:
    """With kept blocks; and when the scan has ended, nothing is kept."""
    # Kind: blocks are counted, and the plan's faults are to be the only ones.
    settings = Settings.of(block_cache=str(tmp_path / "kept"), in_flight=1)
    fleet = make_local_fleet(settings, conditions=KIND)
    web = fleet.cloud.add_instance("web", [image])
    fleet.scan()
    whole = fleet.cloud.calls("GetSnapshotBlock")
    lists = fleet.cloud.calls("ListSnapshotBlocks")
    # Refused at the second block, for a while: the scan's attempt ends there.
    rule = Rule(FaultKind.SERVER_ERROR, "GetSnapshotBlock", nth=tuple(range(2, 2 + 8)))
    fleet.cloud.plan = FaultPlan([rule])
    scan = fleet.scan()[web]
    assert scan.state is State.DONE
    injected = fleet.cloud.plan.injected[("server_error", "ebs:GetSnapshotBlock")]
    assert injected == 8
    assert fleet.cloud.calls("GetSnapshotBlock") - whole == whole + injected
    assert fleet.cloud.calls("ListSnapshotBlocks") == 2 * lists
    assert not list((tmp_path / "kept").glob("snap-*"))
