"""The logs of real workers as JSON: every line is an object, and each of a scan says which."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.cli.local_stack.embedded_stack import Embedded
from dispatcher.services.fleet_service import FleetService
from tests.fixtures.worker_fleets import finish, impatient, started

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.localcloud.server import LocalCloud

pytestmark = [pytest.mark.services, pytest.mark.images, pytest.mark.slow]


def test_every_line_of_a_scan_has_its_fields(
    tmp_path: Path, cloud: LocalCloud, image: Path, advisories: Path
) -> None:
    for name in ("one", "two"):
        cloud.add_instance(name, [image])
    settings = impatient(tmp_path, advisories).replaced(log_format="json")
    with Embedded(settings, directory=tmp_path / "logs", concurrency=1) as own:
        control = FleetService(own.settings)
        finish(control, started(control))
        scans = {scan.id: scan for scan in control.store.scans.select()}
        control.close()
    lines: list[dict[str, Any]] = [
        json.loads(line)
        for path in (tmp_path / "logs").glob("worker-*.log")
        for line in path.read_text("utf-8").splitlines()
        if line.startswith("{")
    ]
    stages: dict[str, set[str]] = {}
    for document in lines:
        named = [name for name in scans if name in document["message"]]
        if named and document["logger"].startswith("sidelight"):
            (scan,) = named
            assert document["scan"] == scan
            assert document["account"] == scans[scan].account
            assert document["instance"] == scans[scan].instance
            assert document["region"] == scans[scan].region
            stages.setdefault(scan, set()).add(document["stage"])
    assert set(stages) == set(scans)
    for passed in stages.values():
        assert {"take", "inspect", "evaluate", "delete"} <= passed
    assert any(document.get("task") == "sidelight.inspect" for document in lines)
