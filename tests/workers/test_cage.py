"""What a worker does on a kernel that cannot seal its readers: it says so, or it does not start."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dispatcher.cli.local_stack.embedded_stack import Embedded
from dispatcher.services.fleet_service import FleetService
from sidelight.fleet.settings import Settings
from sidelight.store import Store
from tests.fixtures.worker_fleets import finish, started
from workers.worker_command import ENVIRONMENT, worker_command

if TYPE_CHECKING:
    from sidelight.localcloud.server import LocalCloud

pytestmark = [pytest.mark.services, pytest.mark.images]

BARE = "tests.worker_programs.bare_worker"
ROOT = Path(__file__).resolve().parents[2]


def test_the_log_of_a_worker_has_once_what_its_kernel_lacks(
    tmp_path: Path, cloud: LocalCloud, image: Path, advisories: Path
) -> None:
    for name in ("one", "two"):
        cloud.add_instance(name, [image])
    settings = Settings.of(
        store_url=f"sqlite:///{tmp_path}/store.db", advisories=str(advisories), poll_seconds=0.5
    )
    with Embedded(settings, directory=tmp_path / "logs", application=BARE) as own:
        control = FleetService(own.settings)
        finish(control, started(control))
        control.close()
    logs = [path.read_text("utf-8") for path in (tmp_path / "logs").glob("worker-*.log")]
    # The computing worker's, of which two processes read disks; the waiting one reads none.
    assert sorted(log.count("run without Landlock") for log in logs) == [0, 1]
    with Store(settings.store.url) as store:
        assert {row.status_code for row in store.instances.coverage()} == {"ACTIVE"}


@pytest.mark.parametrize("kind", ["waiting", "computing"])
def test_a_worker_that_must_seal_and_cannot_does_not_start(tmp_path: Path, kind: str) -> None:
    settings = Settings.of(store_url=f"sqlite:///{tmp_path}/store.db", cage_required=True)
    done = subprocess.run(
        worker_command(kind, settings, size=1, application=BARE),
        env={**os.environ, **ENVIRONMENT, **settings.as_environment()},
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0
    assert "SIDELIGHT_CAGE_REQUIRED" in done.stderr + done.stdout
    assert "Landlock: Function not implemented" in done.stderr + done.stdout
    assert not (tmp_path / "store.db").exists()
