"""Workers of older code end where a newer version takes away what they use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from dispatcher.cli.local_stack.embedded_stack import Embedded
from dispatcher.services.fleet_service import FleetService
from sidelight.model import State
from sidelight.store import Store
from tests.fixtures.newer_stores import migrated_by_newer
from tests.fixtures.redis_servers import wait_for
from tests.fixtures.worker_fleets import handing_back, started

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.localcloud.server import LocalCloud

pytestmark = [pytest.mark.services, pytest.mark.images]

PROGRAM = "tests.worker_programs.attentive_worker"


def test_workers_that_run_end_with_a_reason_and_leave_their_scans_as_they_are(
    tmp_path: Path,
    cloud: LocalCloud,
    image: Path,
    advisories: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cloud.add_instance("one", [image])
    stalled = tmp_path / "stalled"
    settings = handing_back(tmp_path, advisories)
    environment = os.environ | {"SIDELIGHT_TEST_STALLED": str(stalled)}
    with Embedded(
        settings, directory=tmp_path, concurrency=1, environment=environment, application=PROGRAM
    ) as own:
        control = FleetService(own.settings)
        (scan,) = started(control)
        wait_for(stalled.exists, "an inspection")
        control.close()
        following, present = migrated_by_newer(
            settings.store.url, tmp_path / "newer", monkeypatch, takes=True
        )
        wait_for(lambda: len(own.ended()) == 2, "the end of both workers")
        statuses = {worker.process.returncode for worker in own._workers}
    assert statuses == {4}
    text = f"(revision {following}; this version's: {present})"
    for kind in ("waiting", "computing"):
        log = (tmp_path / f"worker-{kind}.log").read_text()
        assert log.count("this worker ends: ") == 1, log
        assert text in log
        assert "Unrecoverable error" not in log
    with Store(settings.store.url) as store:
        assert store.scans.get(scan.id).state is State.READING, "as it was: another continues it"


def test_workers_go_on_where_a_newer_version_adds(
    tmp_path: Path,
    cloud: LocalCloud,
    image: Path,
    advisories: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cloud.add_instance("one", [image])
    stalled = tmp_path / "stalled"
    stalled.touch()
    settings = handing_back(tmp_path, advisories)
    environment = os.environ | {"SIDELIGHT_TEST_STALLED": str(stalled)}
    with Embedded(
        settings, directory=tmp_path, concurrency=1, environment=environment, application=PROGRAM
    ) as own:
        control = FleetService(own.settings)
        migrated_by_newer(settings.store.url, tmp_path / "newer", monkeypatch)
        (scan,) = started(control)
        wait_for(lambda: control.store.scans.get(scan.id).state is State.DONE, "a scan")
        assert own.ended() == []
        control.close()
