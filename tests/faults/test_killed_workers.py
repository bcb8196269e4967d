"""kill -9 of real workers, with a real broker, the local cloud and EBS direct."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from dispatcher.cli.local_stack.embedded_stack import Embedded
from dispatcher.planning.eligibility import Configuration
from dispatcher.services.fleet_service import FleetService
from sidelight.advisories import build
from sidelight.fleet.settings import Settings
from sidelight.localcloud.server import LocalCloud
from sidelight.model import State
from tests.faults.dying_points import POINTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.services, pytest.mark.images]

STATUS = """Package: openssl
Status: install ok installed
Architecture: amd64
Version: 3.0.1-1

"""
RELEASE = 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n'
ADVISORY = {
    "id": "DEBIAN-CVE-2022-0001",
    "modified": "2022-01-01T00:00:00Z",
    "upstream": ["CVE-2022-0001"],
    "affected": [
        {
            "package": {"ecosystem": "Debian:12", "name": "openssl"},
            "ranges": [
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.0.2-1"}]}
            ],
        }
    ],
}
DEADLINE = 240.0


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Debian machine with one package, by mkfs.ext4 -d."""
    mkfs = shutil.which("mkfs.ext4") or shutil.which("mkfs.ext4", path="/sbin:/usr/sbin")
    if mkfs is None:
        pytest.skip("mkfs.ext4 is absent")
    directory = tmp_path_factory.mktemp("machine")
    tree = directory / "tree"
    (tree / "var/lib/dpkg").mkdir(parents=True)
    (tree / "etc").mkdir()
    (tree / "var/lib/dpkg/status").write_text(STATUS)
    (tree / "etc/os-release").write_text(RELEASE)
    disk = directory / "disk.img"
    with disk.open("wb") as file:
        file.truncate(32 << 20)
    subprocess.run([mkfs, "-q", "-d", str(tree), str(disk)], check=True)
    return disk


@pytest.fixture(scope="module")
def advisories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of one advisory."""
    directory = tmp_path_factory.mktemp("advisories")
    source = directory / "osv"
    source.mkdir()
    (source / "one.json").write_text(json.dumps(ADVISORY))
    build([source], directory / "advisories.db")
    return directory / "advisories.db"


@pytest.fixture
def cloud(tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCloud]:
    """Two machines."""
    with LocalCloud(tmp_path / "cloud") as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        for name in ("one", "two"):
            cloud.add_instance(name, [image])
        yield cloud


def scan_all(settings: Settings, own: Embedded, before: float = DEADLINE) -> FleetService:
    """Scan the fleet to its end, as the command does; the caller closes the control."""
    control = FleetService(own.settings)
    place = control.places((), ())[0]
    scans = control.scans.start_scans(place, Configuration(), on_demand=True)
    assert len(scans) == 2
    until = time.monotonic() + before
    for _ in control.wait([scan.id for scan in scans]):
        own.revive()
        assert time.monotonic() < until, f"stuck: {control.store.scans.counts()} {settings}"
    return control


def impatient(tmp_path: Path, advisories: Path) -> Settings:
    """Another takes over soon after a worker's end."""
    return Settings.of(
        store_url=f"sqlite:///{tmp_path}/store.db",
        advisories=str(advisories),
        lease_seconds=2.0,
        backoff_seconds=0.5,
        poll_seconds=0.5,
    )


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
        application="tests.faults.dying_worker",
    ) as own:
        control = scan_all(settings, own)
        assert done.exists(), "no worker was killed"
        assert {scan.state for scan in control.store.scans.select()} == {State.DONE}
        found = [(row.instance, row.finding.vulnerability) for row in control.store.findings.rows()]
        assert len(found) == len(set(found)) == 2
        assert {vulnerability for _, vulnerability in found} == {"CVE-2022-0001"}
        assert cloud.snapshots() == []
        assert not control.sweeper.sweep(control.places((), ())[0]).orphans
        assert cloud.calls("CreateSnapshots") == 2
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
        application="tests.faults.stuck_worker",
    ) as own:
        control = scan_all(settings, own)
        rows = {row.instance: row for row in control.store.instances.coverage()}
        assert (rows[stuck].status_code, rows[stuck].reason) == ("INACTIVE", reason)
        assert detail in rows[stuck].detail
        assert (rows[other].status_code, rows[other].reason) == ("ACTIVE", "SUCCESSFUL")
        assert cloud.snapshots() == []
        control.close()
