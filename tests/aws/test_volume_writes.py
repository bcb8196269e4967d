"""Volumes that were not written, by GetMetricData of a local cloud over boto3's own protocol."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from sidelight.aws.session import Session
from sidelight.aws.volume_writes import PERIOD, VolumeWrites, whole_periods
from sidelight.errors import AccessDeniedError
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.localcloud.server import LocalCloud

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.services
ACCOUNT = "123456789012"


class Measured:
    """A machine of some volumes a day after its launch."""

    def __init__(self, cloud: LocalCloud, directory: Path, count: int) -> None:
        image = directory / "disk.img"
        image.write_bytes(b"\0" * (1 << 20))
        self.cloud = cloud
        self.volumes: list[str] = []
        for begin in range(0, count, 20):
            images = [image] * min(20, count - begin)
            self.volumes += cloud.volumes(cloud.add_instance("web", images)).values()
        self.calls = VolumeWrites(Session(), ACCOUNT, "us-east-1", sleep=lambda _: None)

    def pass_time(self, hours: float) -> None:
        self.cloud.clock.advance(hours * 3600)

    def unwritten(self, hours: float = 6.0) -> frozenset[str]:
        now = datetime.fromtimestamp(self.cloud.clock.now(), UTC)
        begin, end = whole_periods(now - timedelta(hours=hours), now)
        return self.calls.unwritten(self.volumes, begin, end)


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path / "cloud") as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        yield cloud


@pytest.fixture
def measured(cloud: LocalCloud, tmp_path: Path) -> Measured:
    return Measured(cloud, tmp_path, 3)


def test_a_volume_with_zeros_alone_was_not_written(measured: Measured) -> None:
    idle, written, late = measured.volumes
    measured.cloud.set_idle(idle)
    measured.pass_time(1)
    measured.cloud.set_idle(late)
    measured.pass_time(6)
    assert measured.unwritten(6.5) == {idle}
    assert measured.unwritten(5.0) == {idle, late}
    assert written not in measured.unwritten()
    assert measured.cloud.calls("GetMetricData") == 3


def test_a_missing_data_point_is_no_zero(measured: Measured) -> None:
    for volume in measured.volumes:
        measured.cloud.set_idle(volume)
    measured.pass_time(3)
    measured.cloud.lose_metrics(measured.volumes[0], 300.0)
    measured.pass_time(5)
    assert measured.unwritten(7.0) == set(measured.volumes[1:])
    assert measured.unwritten(4.0) == set(measured.volumes)


def test_a_volume_that_nothing_uses_proves_nothing(measured: Measured) -> None:
    measured.pass_time(8)
    measured.volumes = ["vol-00000000000000001"]
    assert measured.unwritten() == frozenset()


def test_500_volumes_are_asked_for_in_a_call_and_all_pages_are_read(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    many = Measured(cloud, tmp_path, 520)
    for volume in many.volumes:
        cloud.set_idle(volume)
    many.pass_time(24)
    cloud.write(many.volumes[-1])
    many.pass_time(1)
    assert many.unwritten(24.0) == set(many.volumes[:-1])
    # 289 periods of 500 volumes are more than the 100,800 data points of a page.
    assert cloud.calls("GetMetricData") == 3


def test_a_refused_call_is_an_error(measured: Measured) -> None:
    rule = Rule(FaultKind.ACCESS_DENIED, operation="GetMetricData")
    measured.cloud.plan = FaultPlan([rule])
    with pytest.raises(AccessDeniedError, match="get_metric_data"):
        measured.unwritten()


@pytest.mark.parametrize("seconds", [0, 1, 299, 300, 86400, 86401])
def test_periods_are_whole_and_begin_before(seconds: int) -> None:
    since = datetime(2026, 3, 1, 12, 3, 7, tzinfo=UTC)
    now = since + timedelta(seconds=seconds)
    begin, end = whole_periods(since, now)
    assert begin <= since - PERIOD
    assert end <= now - timedelta(minutes=15)
    assert (end - begin) % PERIOD == timedelta()
