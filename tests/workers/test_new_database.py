"""A new advisory database is put in place while real workers run, on a real broker."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from dispatcher.cli.local_stack.embedded_stack import Embedded
from dispatcher.discovery.accounts import ScanScope
from dispatcher.loop import DispatcherLoop
from dispatcher.planning.eligibility import Configuration
from dispatcher.services.fleet_service import FleetService
from sidelight.advisories import AdvisoryDatabase, build
from sidelight.fleet.advisory_file import Opened
from sidelight.fleet.settings import Settings
from sidelight.model import State
from sidelight.store import Store
from tests.fixtures.redis_servers import wait_for
from tests.fixtures.stored_findings import inventory, kinds, package, scanned

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.services

MACHINES = [f"i-{number}" for number in range(12)]


def built(path: Path, name: str, vulnerability: str, day: int) -> Path:
    """A database of one advisory, of that day, about every version of a package."""
    row = {
        "package": {"ecosystem": "Debian:12", "name": name},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
    }
    record = {"id": vulnerability, "modified": f"2026-01-0{day}T00:00:00Z", "affected": [row]}
    feed = path.with_suffix(".jsonl")
    feed.write_text(json.dumps(record) + "\n")
    build([feed], path)
    return path


def fill(store: Store, path: Path) -> None:
    """Machines with `a` and `b`, by the database of today."""
    store.migrate()
    with AdvisoryDatabase.open(path) as database:
        for machine in MACHINES:
            scanned(store, Opened(database), inventory(package("a"), package("b")), machine)


@pytest.mark.parametrize(
    ("kind", "killed"),
    [
        ("sqlite", "process"),
        ("postgresql", "worker"),
        pytest.param("sqlite", "worker", marks=pytest.mark.long),
        pytest.param("postgresql", "process", marks=pytest.mark.long),
    ],
)
def test_it_opens_and_closes_each_finding_once_though_a_worker_is_killed(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, killed: str
) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    if kind == "postgresql":
        url = request.getfixturevalue("make_postgresql")()
    present = built(tmp_path / "advisories.db", "a", "CVE-2026-1", 1)
    coming = built(tmp_path / "coming.db", "b", "CVE-2026-2", 2)
    mark = tmp_path / "killed"
    environment = os.environ | {"SIDELIGHT_TEST_KILLED": str(mark), "SIDELIGHT_TEST_KILL": killed}
    with Store(url) as store:
        fill(store, present)
        before = store.outbox.last()
        assert before == len(MACHINES)
        settings = Settings.of(store_url=url, advisories=str(present))
        with Embedded(
            settings, directory=tmp_path / "logs", environment=environment, concurrency=1,
            application="tests.worker_programs.dying_reevaluation",
        ) as own:  # fmt: skip
            control = FleetService(own.settings)
            schedule = DispatcherLoop(control, ScanScope(), Configuration())
            schedule._reevaluate()
            assert store.reevaluation.pending() == 0, "the present one is the newest"
            coming.replace(present)
            schedule._reevaluate()
            wait_for(mark.exists, "a worker within the work")
            if killed == "worker":
                wait_for(own.ended, "its end")
                assert store.reevaluation.pending() > 0, "the rest is still to do"
                own.revive()
                control.reevaluator.ask()  # as the dispatcher does each minute
            # A process of a pool is missed at once: its message comes again by itself.
            wait_for(lambda: not store.reevaluation.pending(), "the findings by the new database")
            control.close()
        sequences = [event.sequence for event in store.outbox.finding_events(before)]
        assert sequences == list(range(before + 1, before + 1 + 2 * len(MACHINES)))
        assert sorted(kinds(store, before)) == sorted(
            [("CLOSED", machine, "CVE-2026-1") for machine in MACHINES]
            + [("OPENED", machine, "CVE-2026-2") for machine in MACHINES]
        )
        rows = [(row.instance, row.package_finding.vulnerability) for row in store.findings.rows()]
        assert sorted(rows) == [(machine, "CVE-2026-2") for machine in sorted(MACHINES)]
        # No scan was made for it: those there are are the first ones, and have no snapshot.
        scans = store.scans.select()
        assert {scan.state for scan in scans} == {State.DONE}
        assert len(scans) == len(MACHINES)
        assert not [one for scan in scans for one in store.scans.snapshots(scan.id)]
