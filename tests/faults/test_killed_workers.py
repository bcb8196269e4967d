"""kill -9 of real workers, with a real broker, the local cloud and EBS direct."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from dispatcher.control import Control
from dispatcher.eligibility import Configuration
from dispatcher.embedded import Embedded
from sidelight.advisories import build
from sidelight.localcloud.server import LocalCloud
from sidelight.store import State
from workers.settings import Settings

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


def scan_all(settings: Settings, own: Embedded, before: float = DEADLINE) -> Control:
    """Scan the fleet to its end, as the command does; the caller closes the control."""
    control = Control(own.settings)
    place = control.places((), ())[0]
    scans = control.start_scans(place, Configuration(), on_demand=True)
    assert len(scans) == 2
    until = time.monotonic() + before
    for _ in control.wait([scan.id for scan in scans]):
        own.revive()
        assert time.monotonic() < until, f"stuck: {control.store.scans.counts()} {settings}"
    return control


def impatient(tmp_path: Path, advisories: Path) -> Settings:
    """Another takes over soon after a worker's end."""
    return Settings(
        store_url=f"sqlite:///{tmp_path}/store.db",
        advisories=str(advisories),
        lease_seconds=2.0,
        backoff_seconds=0.5,
        poll_seconds=0.5,
    )


@pytest.mark.parametrize(
    "point",
    [
        "create_snapshots:after",
        pytest.param("intend:after", marks=pytest.mark.long),
        "open_snapshot:after",
        "save_inventory:before",
        pytest.param("create_snapshots:before", marks=pytest.mark.long),
        pytest.param("pend:before", marks=pytest.mark.long),
        pytest.param("pend:after", marks=pytest.mark.long),
        pytest.param("claim:after", marks=pytest.mark.long),
        pytest.param("claim_waiting:after", marks=pytest.mark.long),
        pytest.param("settle:before", marks=pytest.mark.long),
        pytest.param("settle:after", marks=pytest.mark.long),
        pytest.param("snapshots_by_id:after", marks=pytest.mark.long),
        pytest.param("inspect:before", marks=pytest.mark.long),
        pytest.param("save_inventory:after", marks=pytest.mark.long),
        pytest.param("match:after", marks=pytest.mark.long),
        pytest.param("evaluate:before", marks=pytest.mark.long),
        pytest.param("evaluate:after", marks=pytest.mark.long),
        pytest.param("delete_snapshot:before", marks=pytest.mark.long),
        pytest.param("delete_snapshot:after", marks=pytest.mark.long),
        pytest.param("receipted:after", marks=pytest.mark.long),
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
        assert not control.sweep(control.places((), ())[0]).orphans
        assert cloud.calls("CreateSnapshots") == 2
        control.close()
