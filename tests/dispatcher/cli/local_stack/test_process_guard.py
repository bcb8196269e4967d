"""A command that is killed by -9 leaves no process: with real processes, brokers and workers."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from dispatcher.cli.local_stack.embedded_stack import Embedded
from dispatcher.services.fleet_service import FleetService
from sidelight.model import State
from sidelight.process_guard import tethered
from sidelight.store import Store
from tests.fixtures.processes import alive, descendants
from tests.fixtures.redis_servers import wait_for
from tests.fixtures.worker_fleets import STALLING, finish, handing_back, started

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.localcloud.server import LocalCloud


pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(sys.platform != "linux", reason="it is Linux that signals a parent's end"),
]

# Its first argument is the directory for what it starts, the next its first worker's application.
RUNNING = f"""
import sys
from pathlib import Path
from dispatcher.services.fleet_service import FleetService
from dispatcher.planning.eligibility import Configuration
from dispatcher.cli.local_stack.embedded_stack import Embedded
from sidelight.fleet.settings import Settings

with Embedded(
    Settings.from_environment(), directory=Path(sys.argv[1]), concurrency=1,
    application={STALLING!r},
) as own:
    control = FleetService(own.settings)
    scans = control.scans.start_scans(control.places((), ())[0], Configuration(), on_demand=True)
    for _ in control.wait([scan.id for scan in scans]):
        pass
"""


@pytest.mark.images
def test_broker_and_workers_of_a_killed_command_end_and_the_next_goes_on_with_its_snapshots(
    tmp_path: Path, cloud: LocalCloud, image: Path, advisories: Path
) -> None:
    cloud.add_instance("one", [image])
    stalled = tmp_path / "stalled"
    settings = handing_back(tmp_path, advisories)
    environment = os.environ | settings.as_environment() | {"SIDELIGHT_TEST_STALLED": str(stalled)}
    command = [sys.executable, "-c", RUNNING, str(tmp_path / "logs")]
    with subprocess.Popen(command, env=environment) as running:
        try:
            wait_for(stalled.exists, "an inspection")
            children = descendants(running.pid)
        finally:
            running.kill()
    # The broker and who ends it, two workers' main processes and at least one of a pool.
    assert sum("valkey-server" in command for command in children.values()) == 2
    assert sum(" worker " in command for command in children.values()) >= 3
    wait_for(lambda: not alive(children), f"the end of {children}")
    with Store(settings.store.url) as store:
        (scan,) = store.scans.select()
        assert (scan.state, scan.lease) == (State.READING, ""), "it was handed back"
    assert len(cloud.snapshots()) == 1
    with Embedded(settings, directory=tmp_path / "next", concurrency=1) as own:
        control = FleetService(own.settings)
        control.store.due_messages.expedite()
        finish(control, started(control))
        control.close()
    assert cloud.answers("CreateSnapshots") == 1
    assert cloud.snapshots() == []


def test_the_signal_is_the_one_that_was_asked_for() -> None:
    script = (
        "import signal, subprocess, sys\n"
        "from sidelight.process_guard import tethered\n"
        "child = subprocess.Popen(tethered(['sh', '-c', 'trap \"echo ended; exit\" INT; echo on;"
        " while :; do read line; done'], signal.SIGINT), stdin=sys.stdin)\n"
        "child.wait()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "on\n"
        parent.kill()
        assert parent.stdout.readline() == "ended\n"


def test_what_starts_after_its_parents_end_does_not_stay() -> None:
    command = tethered(["echo", "on"])
    place = command.index(str(os.getpid()))
    command[place] = str(os.getppid())  # as if the process that starts it had ended since
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    done = subprocess.run(tethered(["echo", "on"]), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "on\n")
