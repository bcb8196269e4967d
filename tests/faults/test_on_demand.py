"""`sidelight scan i-…` beside a fleet: one store, a real broker, real workers, and kill -9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.cli.local_stack.embedded_stack import Embedded
from dispatcher.planning.eligibility import Configuration
from dispatcher.planning.selection import of_instances
from dispatcher.services.fleet_service import FleetService
from sidelight.model import LIVE, State
from sidelight.store import Store
from tests.fixtures.local_clouds import client
from tests.fixtures.redis_servers import wait_for
from tests.fixtures.worker_fleets import impatient, scan_all

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.fleet.settings import Settings
    from sidelight.localcloud.server import LocalCloud

pytestmark = [pytest.mark.services, pytest.mark.images]

COMMAND = "from dispatcher.cli.root import main; main()"
# The same, which ends itself by SIGKILL at a point.
DYING = f"import tests.worker_programs.dying_worker; {COMMAND}"


@pytest.fixture
def settings(tmp_path: Path, advisories: Path) -> Settings:
    return impatient(tmp_path, advisories)


def started(
    settings: Settings, instance: str, program: str = COMMAND, **more: str
) -> subprocess.Popen[str]:
    """`sidelight inventory i-… --format json`."""
    return subprocess.Popen(
        [sys.executable, "-c", program, "inventory", instance, "--format", "json"],
        env=os.environ | settings.as_environment() | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def document_of(command: subprocess.Popen[str]) -> Any:
    out, error = command.communicate(timeout=120)
    assert command.returncode == 0, error
    return json.loads(out)


def instances(cloud: LocalCloud) -> list[str]:
    answer = client(cloud, "ec2").describe_instances()
    return sorted(one["InstanceId"] for r in answer["Reservations"] for one in r["Instances"])


def killed(settings: Settings, instance: str, point: str, directory: Path) -> None:
    """The command, ended by SIGKILL at this point, with its scan under way."""
    command = started(
        settings, instance, DYING,
        SIDELIGHT_TEST_FAULT=point, SIDELIGHT_TEST_FAULT_DONE=str(directory / "killed"),
    )  # fmt: skip
    _, error = command.communicate(timeout=120)
    assert command.returncode == -signal.SIGKILL, error
    with Store(settings.store.url) as store:
        (scan,) = store.scans.select()
        assert scan.state in LIVE
        assert scan.kept


def check(cloud: LocalCloud, settings: Settings, scans: int) -> None:
    """What is true in the end: each done once, nothing found twice, nothing left."""
    with Store(settings.store.url) as store:
        ended = store.scans.select()
        assert [scan.state for scan in ended] == [State.DONE] * scans
        found = [(row.instance, row.package_finding.vulnerability) for row in store.findings.rows()]
        assert len(found) == len(set(found)) == len({scan.instance for scan in ended})
    assert cloud.answers("CreateSnapshots") == scans
    assert cloud.snapshots() == []


@pytest.mark.parametrize(
    "point",
    [
        "create_snapshots:after",
        pytest.param("intend:after", marks=pytest.mark.long),
        "open_snapshot:after",
        pytest.param("save_inventory:after", marks=pytest.mark.long),
        pytest.param("delete_snapshot:after", marks=pytest.mark.long),
    ],
)
def test_a_fleet_finishes_what_a_killed_command_began(
    point: str, tmp_path: Path, cloud: LocalCloud, settings: Settings
) -> None:
    first, _ = instances(cloud)
    killed(settings, first, point, tmp_path)
    with Embedded(settings, directory=tmp_path / "logs") as own:
        control = scan_all(settings, own)
        assert not control.sweeper.sweep(control.places((), ())[0]).orphans
        control.close()
    check(cloud, settings, 2)


@pytest.mark.parametrize("point", ["create_snapshots:after", "inspect:before"])
def test_without_a_fleet_the_same_command_goes_on(
    point: str, tmp_path: Path, cloud: LocalCloud, settings: Settings
) -> None:
    first, _ = instances(cloud)
    killed(settings, first, point, tmp_path)
    assert document_of(started(settings, first))["packages"]
    check(cloud, settings, 1)


def test_a_command_beside_a_fleet_at_work(
    tmp_path: Path, cloud: LocalCloud, settings: Settings
) -> None:
    """The fleet has to scan both machines: of the command's it waits for the outcome."""
    first, _ = instances(cloud)
    with Embedded(settings, directory=tmp_path / "logs") as own:
        # The command's budgets are the fleet's, in its broker.
        command = started(settings.replaced(broker_url=own.settings.broker.url), first)
        with Store(settings.store.url) as store:
            store.migrate()
            wait_for(store.scans.select, "the command's scan")
        scan_all(settings, own).close()
        assert document_of(command)["packages"]
    check(cloud, settings, 2)


def test_a_command_gets_the_outcome_of_the_scan_that_a_fleet_is_at(
    tmp_path: Path, cloud: LocalCloud, settings: Settings
) -> None:
    first, _ = instances(cloud)
    with Embedded(settings, directory=tmp_path / "logs", concurrency=1) as own:
        control = FleetService(own.settings.replaced(broker_url="memory://"))
        (place,) = control.places((), ())
        (scan,) = control.scans.start_scans(
            place, Configuration(), on_demand=True, only=of_instances([first])
        )
        held = control.store.scans.claim(scan.id, {State.NEW}, 60)
        assert held is not None
        command = started(settings, first)
        assert command.stderr is not None
        assert "under way" in command.stderr.readline()
        control.store.scans.postpone(held, 0)
        control.close()
        scan_all(settings, own).close()
        assert document_of(command)["packages"]
    check(cloud, settings, 2)
