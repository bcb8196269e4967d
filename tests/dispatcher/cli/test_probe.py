"""`sidelight probe` at the command line: what it asks, says, writes and ends with."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import boto3
import pytest

import sidelight.aws.probe
from dispatcher.cli import root
from sidelight.localcloud.conditions import Conditions
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.localcloud.server import LocalCloud

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.services

CREATING_CALLS = ("CreateVolume", "CreateSnapshot", "CreateSnapshots")


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCloud]:
    """A local cloud whose clock the command moves instead of waiting."""
    conditions = Conditions(snapshot_seconds=20, recycle_days=3)
    with LocalCloud(tmp_path / "cloud", conditions=conditions) as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        quick = functools.partial(
            sidelight.aws.probe.Probe, clock=cloud.clock.now, sleep=cloud.clock.advance
        )
        monkeypatch.setattr(sidelight.aws.probe, "Probe", quick)
        monkeypatch.chdir(tmp_path)
        yield cloud


def test_without_a_yes_nothing_is_made(cloud: LocalCloud, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dispatcher.cli", "probe", "--region", "us-east-1"],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    assert "needs --yes" in done.stderr
    assert "Cost: at most $0." in done.stdout
    assert sum(cloud.calls(operation) for operation in CREATING_CALLS) == 0
    assert not (tmp_path / "probe.jsonl").exists()


def test_the_cost_is_printed_first_and_the_end_says_that_nothing_is_left(
    cloud: LocalCloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert root.run(["probe", "--region", "us-east-1", "--yes"]) == 0
    out = capsys.readouterr().out
    assert "Account 123456789012, Region us-east-1: a volume of 1 GiB" in out.splitlines()[0]
    assert out.splitlines()[1].startswith("Cost: at most $0.")
    assert "Recycle Bin rule" in out.splitlines()[2]
    assert "Nothing that was made is left." in out
    assert "creation to completion: " in out
    assert "Recycle Bin keeps deleted snapshots for 3 days" in out
    lines = (tmp_path / "probe.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["format"] == "sidelight-probe"
    assert cloud.snapshots() == []
    make: Any = boto3.client
    assert make("ec2").describe_volumes()["Volumes"] == []


def test_what_is_left_is_listed_and_is_a_failure(
    cloud: LocalCloud, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, operation="DeleteSnapshot")])
    assert root.run(["probe", "--region", "us-east-1", "--yes"]) == 4
    captured = capsys.readouterr()
    assert "Not everything was deleted." in captured.out
    for snapshot in cloud.snapshots():
        assert f"left in account 123456789012, us-east-1: {snapshot}" in captured.err


def test_a_probe_that_may_cost_a_dollar_is_not_begun(
    cloud: LocalCloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "disk.img"
    image.touch()
    big = cloud.add_instance("big", [image], volume_sizes={"/dev/sda1": 16000})
    assert root.run(["probe", "--region", "us-east-1", "--yes", "--instance", big]) == 2
    assert "the most is $1.00" in capsys.readouterr().err
    assert sum(cloud.calls(operation) for operation in CREATING_CALLS) == 0


def test_a_file_that_cannot_be_written_is_an_error_before_anything_is_made(
    cloud: LocalCloud,
) -> None:
    assert root.run(["probe", "--region", "us-east-1", "--yes", "--output", "no/such/x"]) == 2
    assert cloud.calls() == 0
