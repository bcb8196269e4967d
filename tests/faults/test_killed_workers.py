"""kill -9 of real workers, with a real broker, the local cloud and EBS direct."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from dispatcher.cli.local_stack.embedded_stack import Embedded
from sidelight.model import State
from tests.fixtures.worker_fleets import impatient, scan_all
from tests.worker_programs.dying_points import POINTS

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.localcloud.server import LocalCloud

pytestmark = [pytest.mark.services, pytest.mark.images]


# Killed at every run; before and after all other points in `make faults`.
ALWAYS = {"create_snapshots:after", "open_snapshot:after", "save_inventory:before"}


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(point, marks=[] if point in ALWAYS else [pytest.mark.long])
        for point in (f"{name}:{when}" for name in POINTS for when in ("before", "after"))
    ],
)
def test_a_killed_worker_costs_time_and_nothing_else(
    point: str, tmp_path: Path, cloud: LocalCloud, advisories: Path
) -> None:
    done = tmp_path / "killed"
    settings = impatient(tmp_path, advisories)
    environment = os.environ | {
        "SIDELIGHT_TEST_FAULT": point,
        "SIDELIGHT_TEST_FAULT_DONE": str(done),
    }
    with Embedded(
        settings,
        directory=tmp_path / "logs",
        environment=environment,
        application="tests.worker_programs.dying_worker",
    ) as own:
        control = scan_all(settings, own)
        assert done.exists(), "no worker was killed"
        assert {scan.state for scan in control.store.scans.select()} == {State.DONE}
        found = [
            (row.instance, row.package_finding.vulnerability)
            for row in control.store.findings.rows()
        ]
        assert len(found) == len(set(found)) == 2
        assert {vulnerability for _, vulnerability in found} == {"CVE-2022-0001"}
        assert cloud.snapshots() == []
        assert not control.sweeper.sweep(control.places((), ())[0]).orphans
        assert cloud.answers("CreateSnapshots") == 2
        control.close()


@pytest.mark.long
@pytest.mark.parametrize(
    ("way", "reason", "detail"),
    [
        ("python", "AGENTLESS_INSTANCE_COLLECTION_TIME_LIMIT_EXCEEDED", "SIDELIGHT_STAGE_SECONDS"),
        ("c", "INTERNAL_ERROR", "the workers died at it"),
        ("memory", "INTERNAL_ERROR", "SIDELIGHT_MEMORY_MIB"),
    ],
)
def test_a_machine_that_holds_its_reader_fails_alone_and_the_worker_goes_on(  # noqa: PLR0917
    tmp_path: Path, cloud: LocalCloud, advisories: Path, way: str, reason: str, detail: str
) -> None:
    stuck, other = sorted(cloud._volumes)
    settings = impatient(tmp_path, advisories).replaced(
        stage_seconds=8.0, attempts=2, memory_mib=1024
    )
    if way == "c":
        settings = settings.replaced(stage_seconds=600.0)
    environment = os.environ | {
        "SIDELIGHT_TEST_STUCK": way,
        "SIDELIGHT_TEST_STUCK_VOLUME": next(iter(cloud.volumes(stuck).values())),
    }
    with Embedded(
        settings,
        directory=tmp_path / "logs",
        environment=environment,
        application="tests.worker_programs.stuck_worker",
    ) as own:
        control = scan_all(settings, own)
        rows = {row.instance: row for row in control.store.instances.coverage()}
        assert (rows[stuck].status_code, rows[stuck].reason) == ("INACTIVE", reason)
        assert detail in rows[stuck].detail
        assert (rows[other].status_code, rows[other].reason) == ("ACTIVE", "SUCCESSFUL")
        assert cloud.snapshots() == []
        control.close()
