"""The load proof in its small form: a few dozen machines, everything counted and nothing timed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INSTANCES = 24

pytestmark = [pytest.mark.services, pytest.mark.images, pytest.mark.enable_socket]


def test_a_fleet_is_scanned_once_within_its_budget_and_nothing_is_left(tmp_path: Path) -> None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    if shutil.which("mkfs.ext4", path=path) is None:
        pytest.skip("mkfs.ext4 is absent (Debian package: e2fsprogs)")
    figures = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load", "--instances", str(INSTANCES), "--accounts", "2",
         "--machines", "edge-1,web-1,edge-1", "--snapshot-seconds", "0.5",
         "--get-per-second", "90", "--json", figures],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(figures.read_text())
    assert report["states"] == {"DONE": INSTANCES}
    assert not report["faults"]
    calls = report["calls_a_scan"]
    assert calls["ec2:CreateSnapshots"] == calls["ec2:DeleteSnapshot"] == 1
    assert calls["ebs:ListSnapshotBlocks"] == 1
    # A machine's scan is four tasks: what it finds is matched where it was read.
    assert {
        stage: report["runs"][stage] for stage in ("take", "inspect", "evaluate", "delete")
    } == {
        "take": INSTANCES,
        "inspect": INSTANCES,
        "evaluate": INSTANCES,
        "delete": INSTANCES,
    }
