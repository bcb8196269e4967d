"""A snapshot that a command reads itself: EC2's description decides how long it is waited for."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from dispatcher.cli.targets import Targets
from sidelight.aws.ec2 import SnapshotInfo
from sidelight.aws.late_answers import ABSENT_SECONDS, LateAnswers
from sidelight.errors import (
    AccessDeniedError,
    CloudError,
    KeyDeniedError,
    SidelightError,
    SnapshotNotFoundError,
    SourceError,
)
from sidelight.localcloud.conditions import STRICT
from sidelight.localcloud.server import LocalCloud
from tests.fixtures.local_clouds import client

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SNAPSHOT = "snap-00000000000000001"
BEGIN = datetime(2026, 1, 1, 12, tzinfo=UTC)
ABSENT = SnapshotNotFoundError("The snapshot does not exist.", where=SNAPSHOT)
LACKS = AccessDeniedError(
    "AccessDeniedException: User: arn:aws:iam::1:role/r is not authorized to perform:"
    " ebs:ListSnapshotBlocks on resource: arn:aws:ec2:us-east-1::snapshot/snap-1",
    where=SNAPSHOT,
)


class World:
    """EC2 as `answers` has it, by the seconds since the first refusal, and a clock of its own."""

    def __init__(self, answer: Callable[[float], SnapshotInfo | SidelightError | None]) -> None:
        self.seconds = 0.0
        self.messages: list[str] = []
        self.waits: list[float] = []
        self._answer = answer
        self.late = LateAnswers(
            self, pending_seconds=3600.0, say=self.messages.append, sleep=self.sleep,
            monotonic=lambda: self.seconds, now=self.now,
        )  # fmt: skip

    def snapshot(self, snapshot_id: str) -> SnapshotInfo | None:
        answer = self._answer(self.seconds)
        if isinstance(answer, SidelightError):
            raise answer
        assert snapshot_id == SNAPSHOT
        return answer

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.seconds += seconds

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.seconds)

    def ends_after(self, refusal: SourceError) -> float:
        """Refused again and again: the seconds until that is the end, by the refusal's own type."""

        def ask() -> None:
            while True:
                self.seconds += 0.001
                self.late.wait(SNAPSHOT, refusal, self.seconds)

        with pytest.raises(type(refusal), match=refusal.what[:20]):
            ask()
        return self.seconds


def info(state: str, *, age: float = 0.0, message: str = "") -> SnapshotInfo:
    at = BEGIN - timedelta(seconds=age)
    return SnapshotInfo(SNAPSHOT, "vol-1", state, started_at=at, completed_at=at, message=message)


@pytest.mark.parametrize(
    ("refusal", "seconds"),
    [(ABSENT, 600), (LACKS, 120), (KeyDeniedError("DEPENDENCY_ACCESS_DENIED: no"), 600)],
)
def test_a_snapshot_that_was_completed_just_now_is_asked_for_again_for_minutes(
    refusal: SourceError, seconds: float
) -> None:
    world = World(lambda _: info("completed", age=20))
    assert seconds <= world.ends_after(refusal) < seconds + 1
    assert world.waits[0] == 5, "soon at first"
    assert len(world.waits) < 30, "and then more rarely"
    until = (BEGIN + timedelta(seconds=seconds)).strftime("%H:%M:%S UTC")
    assert all(f"asking again until {until}" in line for line in world.messages)


def test_a_snapshot_that_was_completed_long_ago_is_refused_for_good(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(lambda _: info("completed", age=3600))
    assert world.ends_after(ABSENT) < 1
    assert (world.waits, world.messages, caplog.messages) == ([], [], [])


def test_ec2_is_asked_once_about_a_snapshot_whose_every_block_is_refused() -> None:
    request_times: list[float] = []

    def answer(seconds: float) -> SnapshotInfo:
        request_times.append(seconds)
        return info("completed", age=3600)

    world = World(answer)
    for number in range(50):
        with pytest.raises(KeyDeniedError):
            world.late.wait(SNAPSHOT, KeyDeniedError("no"), float(number))
    assert len(request_times) == 1


def test_one_that_took_hours_is_young_when_it_is_completed() -> None:
    started = BEGIN - timedelta(hours=3)
    young = SnapshotInfo(SNAPSHOT, "vol-1", "completed", started_at=started, completed_at=BEGIN)
    assert World(lambda _: young).ends_after(ABSENT) >= 600


def test_a_pending_snapshot_is_waited_for_and_then_read(caplog: pytest.LogCaptureFixture) -> None:
    world = World(lambda seconds: info("pending" if seconds < 900 else "completed", age=-900))
    while world.seconds < 1000:
        world.seconds += 0.001
        world.late.wait(SNAPSHOT, ABSENT, world.seconds)
    assert world.messages[0] == f"{SNAPSHOT} is pending; asking again until 13:00:00 UTC"
    assert len(caplog.messages) == 2, "once for a log, and once when it is completed"
    assert 3600 < World(lambda _: info("pending")).ends_after(ABSENT) < 3602


def test_one_that_ec2_does_not_list_is_looked_for_a_moment() -> None:
    assert World(lambda _: None).ends_after(ABSENT) == pytest.approx(ABSENT_SECONDS, abs=1)
    found = World(lambda seconds: info("completed") if seconds > 4 else None)
    assert found.ends_after(ABSENT) >= 600


def test_one_in_state_error_is_said_to_be_with_ec2s_message() -> None:
    world = World(lambda _: info("error", message="Given key ID is not accessible"))
    with pytest.raises(CloudError, match="in state error: Given key ID is not accessible"):
        world.late.wait(SNAPSHOT, ABSENT, 0.0)


def test_where_ec2_cannot_be_asked_the_refusal_says_so_at_once() -> None:
    denied = AccessDeniedError("UnauthorizedOperation: You are not authorized")
    with pytest.raises(SnapshotNotFoundError, match="ec2:DescribeSnapshots is denied"):
        World(lambda _: denied).late.wait(SNAPSHOT, ABSENT, 0.0)
    missing = AccessDeniedError("no AWS credentials")
    with pytest.raises(AccessDeniedError) as raised:
        World(lambda _: missing).late.wait(SNAPSHOT, missing, 0.0)
    assert raised.value is missing


def test_threads_that_were_refused_together_wait_once() -> None:
    world = World(lambda _: info("completed"))
    world.seconds = 1.0
    threads = [
        threading.Thread(target=world.late.wait, args=(SNAPSHOT, ABSENT, 0.5)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert world.waits == [5.0]


@pytest.mark.services
@pytest.mark.parametrize("seed", range(3))
def test_a_target_is_read_from_the_moment_of_its_creation_in_a_cloud_with_awss_own_lags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(range(256)) * 4096)
    messages: list[str] = []
    with LocalCloud(tmp_path / "cloud", conditions=STRICT, seed=seed) as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        instance = cloud.add_instance("web", [image])
        cloud.clock.advance(6)  # the instance itself is known
        snapshot = client(cloud, "ec2").create_snapshots(
            InstanceSpecification={"InstanceId": instance},
            TagSpecifications=[{"ResourceType": "snapshot", "Tags": [{"Key": "a", "Value": "b"}]}],
        )["Snapshots"][0]["SnapshotId"]
        # Time is the cloud's: a wait moves it on.
        waiting = {
            "say": messages.append,
            "sleep": cloud.clock.advance,
            "monotonic": cloud.clock.now,
            "now": lambda: datetime.fromtimestamp(cloud.clock.now(), UTC),
        }
        with Targets([f"ebs:{snapshot}"], in_flight=4, budget=1 << 20, waiting=waiting) as targets:
            (source,) = targets.sources
            assert source.read_at(0, 1024) == image.read_bytes()[:1024]
    assert any("is pending" in line for line in messages)
