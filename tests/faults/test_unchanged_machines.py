"""Machines whose volumes were not written are matched again and not read, end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.fleet.settings import Settings
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.model import FindingStatus, State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sidelight.model import Scan
    from tests.fixtures.local_fleets import LocalFleet

pytestmark = [pytest.mark.services, pytest.mark.images]
WEEK = Settings.of(unchanged_days=7.0)
DAY = 86400.0
READS = ("CreateSnapshots", "ListSnapshotBlocks", "GetSnapshotBlock", "DeleteSnapshot")


class Machine:
    """One machine, read an hour after its launch."""

    def __init__(self, fleet: LocalFleet, image: Path, *, idle: bool = True) -> None:
        self.fleet = fleet
        self.id = fleet.cloud.add_instance("web", [image])
        (self.volume,) = fleet.cloud.volumes(self.id).values()
        if idle:
            fleet.cloud.set_idle(self.volume)
        fleet.advance(3600.0)
        assert self.scan().source == ""

    def scan(self, after: float = 0.0, *, on_demand: bool = False) -> Scan:
        self.fleet.advance(after)
        self.fleet.cloud.counters.reset()
        return self.fleet.scan(on_demand=on_demand)[self.id]

    def reads(self) -> int:
        return sum(self.fleet.cloud.calls(name) for name in READS)

    def open_findings(self) -> list[str]:
        rows = self.fleet.control.store.findings.rows()
        return sorted(row.arn for row in rows if row.status is FindingStatus.ACTIVE)


def test_a_machine_without_a_write_is_matched_and_not_read(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    machine = Machine(make_local_fleet(WEEK), image)
    first = machine.open_findings()
    scan = machine.scan(DAY)
    assert (scan.state, scan.source) == (State.DONE, "UNCHANGED")
    assert machine.reads() == 0
    assert machine.fleet.cloud.answers("GetMetricData") == 1
    assert machine.fleet.cloud.answers("DescribeSnapshots") == 1, "the sweep's"
    covered = machine.fleet.covered(machine.id)
    assert (covered.status_code, covered.reason) == ("ACTIVE", "SUCCESSFUL")
    assert covered.data_source == "UNCHANGED"
    assert covered.scanned_at == covered.data_at is not None
    age = machine.fleet.control.store.clock() - covered.data_at
    assert age.total_seconds() < 1800
    assert machine.open_findings() == first
    assert first


def test_each_skip_proves_its_own_time_until_the_disks_are_read_again(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    machine = Machine(make_local_fleet(WEEK), image)
    sources = [machine.scan(DAY).source for _ in range(8)]
    assert sources == ["UNCHANGED"] * 6 + ["", "UNCHANGED"]


def test_a_write_is_read(make_local_fleet: Callable[..., LocalFleet], image: Path) -> None:
    machine = Machine(make_local_fleet(WEEK), image)
    machine.fleet.advance(3600.0)
    machine.fleet.cloud.write(machine.volume)
    assert machine.scan(DAY).source == ""
    assert machine.reads() > 0
    assert machine.fleet.covered(machine.id).data_source == ""


def test_a_gap_in_the_metrics_is_read(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    machine = Machine(make_local_fleet(WEEK), image)
    machine.fleet.advance(7200.0)
    machine.fleet.cloud.lose_metrics(machine.volume, 600.0)
    assert machine.scan(DAY).source == ""


def test_metrics_that_are_refused_stop_no_scan(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    machine = Machine(make_local_fleet(WEEK), image)
    rule = Rule(FaultKind.ACCESS_DENIED, operation="GetMetricData")
    machine.fleet.cloud.plan = FaultPlan([rule])
    scan = machine.scan(DAY)
    assert (scan.state, scan.source) == (State.DONE, "")


def test_a_person_gets_a_read(make_local_fleet: Callable[..., LocalFleet], image: Path) -> None:
    machine = Machine(make_local_fleet(WEEK), image)
    assert machine.scan(DAY, on_demand=True).source == ""
    assert machine.fleet.cloud.calls("GetMetricData") == 0


def test_without_the_setting_nothing_is_asked_and_all_is_read(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    machine = Machine(make_local_fleet(), image)
    assert machine.scan(DAY).source == ""
    assert machine.fleet.cloud.calls("GetMetricData") == 0


def test_a_stopped_machine_is_read_once_and_costs_no_call_then(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    machine = Machine(make_local_fleet(WEEK), image, idle=False)
    machine.fleet.ec2().stop_instances(InstanceIds=[machine.id])
    assert machine.scan(DAY).source == "", "it ran until then"
    scan = machine.scan(DAY)
    assert (scan.state, scan.source) == (State.DONE, "UNCHANGED")
    assert machine.reads() == machine.fleet.cloud.calls("GetMetricData") == 0
    machine.fleet.ec2().start_instances(InstanceIds=[machine.id])
    assert machine.scan(DAY).source == ""


def test_another_volume_is_read(make_local_fleet: Callable[..., LocalFleet], image: Path) -> None:
    machine = Machine(make_local_fleet(WEEK), image)
    ec2 = machine.fleet.ec2()
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    ec2.attach_volume(VolumeId=volume, InstanceId=machine.id, Device="/dev/sdf")
    machine.fleet.cloud.set_idle(volume)
    assert machine.scan(DAY).source == ""


def test_another_version_or_option_reads_again(
    make_local_fleet: Callable[..., LocalFleet], image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(make_local_fleet(WEEK), image)
    monkeypatch.setattr("sidelight.fleet.disk_reading.__version__", "99")
    scan = machine.scan(DAY)
    assert (scan.state, scan.source) == (State.DONE, "")
    assert "another version" in str(machine.fleet.control.store.scans.events(scan.id))
    assert machine.scan(DAY).source == "UNCHANGED"
