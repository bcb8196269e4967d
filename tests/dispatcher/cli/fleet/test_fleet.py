"""`sidelight fleet`, as a newcomer and as a script use it, with a real broker and real workers."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.cli.local_stack.embedded_stack import Embedded
from sidelight.fleet.settings import Settings
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.localcloud.server import LocalCloud
from sidelight.model import LIVE
from sidelight.store import Store
from tests.fixtures.document_schemas import conform
from tests.fixtures.processes import alive, descendants
from tests.fixtures.redis_servers import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


pytestmark = [pytest.mark.services, pytest.mark.images]


class Fleet:
    """The command line against a cloud of its own."""

    def __init__(self, cloud: LocalCloud, directory: Path, database: Path) -> None:
        self.cloud = cloud
        self.environment = (
            os.environ
            | cloud.environment()
            | {
                "SIDELIGHT_STORE_URL": f"sqlite:///{directory}/store.db",
                "SIDELIGHT_ADVISORIES": str(database),
                "SIDELIGHT_POLL_SECONDS": "0.5",
                "SIDELIGHT_BACKOFF_SECONDS": "0.2",
            }
        )

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dispatcher.cli", "fleet", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def json(self, *arguments: str) -> Any:
        done = self(*arguments, "--format", "json")
        assert done.returncode in (0, 3), done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def fleet(request: pytest.FixtureRequest, tmp_path: Path, advisories: Path) -> Iterator[Fleet]:
    """On a cloud whose snapshots take half a second, or the parameter's time."""
    seconds = getattr(request, "param", 0.5)
    with LocalCloud(tmp_path / "cloud", snapshot_seconds=seconds) as cloud:
        yield Fleet(cloud, tmp_path, advisories)


def test_a_fleet_is_scanned_to_its_end_and_says_what_it_saw(
    fleet: Fleet,
    image: Path,
    tmp_path: Path,
) -> None:
    good = fleet.cloud.add_instance("good", [image])
    noise = tmp_path / "noise.img"
    noise.write_bytes(bytes(range(256)) * 4096)
    bad = fleet.cloud.add_instance("noise", [noise])
    fleet.cloud.add_instance("private", [image], tags={"InspectorEc2Exclusion": ""})
    done = fleet("scan", "--embedded", "--format", "json")
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    document = json.loads(done.stdout)
    conform("fleet-scan", document)
    coverage = {row["name"]: row for row in document["coverage"]}
    assert {name: row["reason"] for name, row in coverage.items()} == {
        "good": "SUCCESSFUL",
        "noise": "UNSUPPORTED_OS",
        "private": "EXCLUDED_BY_TAG",
    }
    assert sum(coverage["good"]["findings"].values()) == 1
    scans = {row["instance"]: row for row in document["scans"]}
    assert (scans[good]["state"], scans[bad]["state"]) == ("DONE", "FAILED")
    assert scans[good]["cost"]["get_calls"] > 0
    assert document["sweep"][0]["orphans"] == []
    assert fleet.cloud.snapshots() == []
    assert [row["vulnerability"] for row in fleet.json("findings")] == ["CVE-2022-0001"]
    assert fleet.json("coverage") == document["coverage"]
    assert fleet.json("status", "--all") == document["scans"]
    assert fleet.json("status") == []
    for command in (["findings"], ["coverage"], ["status", "--all"], ["sweep"]):
        assert fleet(*command).returncode == 0


def test_without_a_snapshot_listing_coverage_is_still_printed(fleet: Fleet, image: Path) -> None:
    fleet.cloud.add_instance("private", [image], tags={"InspectorEc2Exclusion": ""})
    fleet.cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, "DescribeSnapshots")])
    done = fleet("scan", "--broker", "memory://", "--format", "json")
    assert done.returncode == 3
    assert "not swept" in done.stderr
    assert [row["name"] for row in json.loads(done.stdout)["coverage"]] == ["private"]


def test_a_second_run_finds_the_same(fleet: Fleet, image: Path) -> None:
    fleet.cloud.add_instance("one", [image])
    assert fleet("scan", "--embedded").returncode == 0
    first = fleet.json("findings")
    assert fleet("scan", "--embedded", "--due").returncode == 0, "nothing is due"
    assert fleet.cloud.answers("CreateSnapshots") == 1
    assert fleet("scan", "--embedded").returncode == 0
    assert fleet.cloud.answers("CreateSnapshots") == 2
    second = fleet.json("findings")
    for row in (*first, *second):
        del row["last_observed"]
    assert first == second


@pytest.mark.parametrize(
    ("change", "words", "status"),
    [
        ({"SIDELIGHT_ADVISORIES": "/nowhere/a.db"}, "there is no advisory database", 4),
        ({"SIDELIGHT_ADVISORIES": ""}, "no advisory database", 2),
        ({"SIDELIGHT_STORE_URL": "nonsense"}, "not a store's URL", 2),
        ({"SIDELIGHT_ATTEMPTS": "many"}, "SIDELIGHT_ATTEMPTS", 2),
    ],
)
def test_a_wrong_environment_is_one_line(
    fleet: Fleet, change: dict[str, str], words: str, status: int
) -> None:
    fleet.environment |= change
    done = fleet("scan", "--embedded")
    assert done.returncode == status
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_embedded_workers_end_with_their_command(tmp_path: Path) -> None:
    with Embedded(Settings.of(store_url=f"sqlite:///{tmp_path}/s.db"), directory=tmp_path) as own:
        pids = own.pids
        assert len(pids) == 2
        wait_for(lambda: descendants(pids[1]), "the pool of the worker that computes")
        pool = descendants(pids[1])
        os.kill(pids[1], signal.SIGKILL)
        wait_for(lambda: not alive(pool), f"the end of {pool}, whose worker was killed")
        while own.pids == pids:
            own.revive()
        assert own.pids[0] == pids[0]
        pids = own.pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.killpg(pid, 0)


@pytest.mark.parametrize("fleet", [60.0], indirect=True)
def test_an_interrupted_run_is_resumed_by_the_next_with_the_same_snapshots(
    fleet: Fleet,
    image: Path,
) -> None:
    fleet.cloud.add_instance("one", [image])
    fleet.environment["SIDELIGHT_POLL_SECONDS"] = "3600"
    command = [sys.executable, "-m", "dispatcher.cli", "fleet", "scan", "--embedded"]
    with subprocess.Popen(
        command, env=fleet.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        assert any("SNAPSHOTS_PENDING" in line for line in running.stderr)
        running.send_signal(signal.SIGINT)
        rest = running.stderr.read()
        assert running.wait() == 130
    assert "Traceback" not in rest
    (left,) = fleet.cloud.snapshots()
    assert f"is in SNAPSHOTS_PENDING: snapshots {left}\n" in rest
    assert "`sidelight fleet scan --embedded` on the same store" in rest
    # Its snapshot belongs to a live scan: no sweep takes it.
    assert fleet.json("sweep")[0]["orphans"] == []
    with Store(fleet.environment["SIDELIGHT_STORE_URL"], clock=much_later) as store:
        held = store.scans.claim(store.scans.select()[0].id, LIVE, 0.0)
        assert held is not None
    with Store(fleet.environment["SIDELIGHT_STORE_URL"]) as store:
        store.scans.postpone(held, 0.0)
    fleet.cloud.clock.advance(60.0)
    assert fleet("scan", "--embedded").returncode == 0
    assert fleet.cloud.answers("CreateSnapshots") == 1
    assert fleet.cloud.snapshots() == []


@pytest.fixture
def _heard() -> Iterator[None]:
    """Under `nohup` SIGHUP is ignored, and children inherit that."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("_heard")
@pytest.mark.parametrize("fleet", [60.0], indirect=True)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_scan_that_is_ended_by_a_signal_stops_its_workers_in_order(
    fleet: Fleet, image: Path, number: signal.Signals, status: int
) -> None:
    fleet.cloud.add_instance("one", [image])
    command = [sys.executable, "-m", "dispatcher.cli", "fleet", "scan", "--embedded"]
    with subprocess.Popen(
        command, env=fleet.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        assert any("SNAPSHOTS_PENDING" in line for line in running.stderr)
        workers = descendants(running.pid)
        running.send_signal(number)
        assert any("stopping the workers" in line for line in running.stderr)
        assert running.wait() == status
    wait_for(lambda: not alive(workers), f"the end of {workers}")


@pytest.mark.parametrize("fleet", [60.0], indirect=True)
def test_a_second_interrupt_ends_the_command_and_its_workers_at_once(
    fleet: Fleet, image: Path
) -> None:
    fleet.cloud.add_instance("one", [image])
    command = [sys.executable, "-m", "dispatcher.cli", "fleet", "scan", "--embedded"]
    with subprocess.Popen(
        command, env=fleet.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        assert any("SNAPSHOTS_PENDING" in line for line in running.stderr)
        workers = descendants(running.pid)
        assert workers
        running.send_signal(signal.SIGINT)
        assert any("stopping the workers" in line for line in running.stderr)
        running.send_signal(signal.SIGINT)
        assert running.wait() == 130
    wait_for(lambda: not alive(workers), f"the end of {workers}")


def test_a_broker_that_is_away_ends_the_scan_before_it_makes_anything(
    fleet: Fleet, image: Path, tmp_path: Path
) -> None:
    fleet.cloud.add_instance("one", [image])
    fleet.environment |= {
        "SIDELIGHT_BROKER_URL": "redis://127.0.0.1:1/0", "SIDELIGHT_BROKER_SECONDS": "1",
    }  # fmt: skip
    done = fleet("scan")
    assert done.returncode == 4
    assert "--embedded" in done.stderr
    assert fleet.cloud.calls("CreateSnapshots") == 0
    assert not (tmp_path / "store.db").exists()


@pytest.mark.parametrize("fleet", [0.0], indirect=True)
def test_a_scan_that_waits_for_money_says_so_in_status_and_coverage(
    fleet: Fleet, image: Path
) -> None:
    fleet.cloud.add_instance("one", [image])
    assert fleet("scan", "--embedded").returncode == 0
    fleet.environment["SIDELIGHT_USD_PER_DAY"] = "0.000001"  # less than that has cost
    command = [sys.executable, "-m", "dispatcher.cli", "fleet", "scan", "--embedded"]
    with subprocess.Popen(
        command, env=fleet.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as running:

        def waits() -> bool:
            reasons = [row["last_error"] for row in fleet.json("status")]
            return any(reason.startswith("waiting for money") for reason in reasons)

        wait_for(waits, "a scan that waits")
        details = [row["detail"] for row in fleet.json("coverage")]
        assert any("SIDELIGHT_USD_PER_DAY" in detail for detail in details)
        running.send_signal(signal.SIGINT)
        running.communicate()


@pytest.mark.parametrize("fleet", [0.0], indirect=True)
def test_reading_stops_at_the_cap_and_a_machine_that_needs_more_fails_with_the_settings_name(
    fleet: Fleet, image: Path
) -> None:
    fleet.cloud.add_instance("one", [image])
    fleet.environment["SIDELIGHT_USD_PER_DAY"] = "0.000002"  # one list, and less than a block
    done = fleet("scan", "--embedded", "--format", "json")
    assert done.returncode == 4
    (scan,) = json.loads(done.stdout)["scans"]
    assert "SIDELIGHT_USD_PER_DAY" in scan["failure"]
    assert fleet.cloud.calls("GetSnapshotBlock") <= 1
    assert fleet.cloud.snapshots() == []


def test_a_dry_run_lists_what_would_be_scanned_and_creates_nothing(
    fleet: Fleet, image: Path, tmp_path: Path
) -> None:
    one = fleet.cloud.add_instance("one", [image])
    fleet.cloud.add_instance("private", [image], tags={"InspectorEc2Exclusion": ""})
    document = fleet.json("scan", "--dry-run")
    assert [(row["instance"], row["snapshots"]) for row in document["scans"]] == [(one, 1)]
    assert [row["reason"] for row in document["skipped"]] == ["EXCLUDED_BY_TAG"]
    assert document["usd"] > 0
    assert fleet.cloud.calls("CreateSnapshots") == 0
    assert not (tmp_path / "store.db").exists()
    assert fleet("scan", "--embedded").returncode == 0
    assert [row["instance"] for row in fleet.json("scan", "--dry-run")["scans"]] == [one]
    assert fleet.json("scan", "--dry-run", "--due")["scans"] == []


def test_a_dry_run_counts_snapshots_calls_and_dollars_of_the_selected_instances(
    fleet: Fleet, image: Path
) -> None:
    web = fleet.cloud.add_instance("web", [image], tags={"team": "web"})
    fleet.cloud.add_instance("db", [image], tags={"team": "db"})
    document = fleet.json("scan", "--dry-run", "--tag", "team=web")
    assert [row["instance"] for row in document["scans"]] == [web]
    assert document["skipped"] == [], "what is not selected is not excluded"
    assert (document["snapshots"], document["calls"]["CreateSnapshots"]) == (1, 1)
    assert document["calls"]["GetSnapshotBlock"] > 200
    assert document["gib"] == document["scans"][0]["gib"]
    assert document["storage_usd"] == pytest.approx(document["gib"] * 0.05 / 4380)
    assert (
        len(fleet.json("scan", "--dry-run", "--tag", "team=web", "--tag", "team=db")["scans"]) == 2
    )
    assert fleet.json("scan", "--dry-run", "--vpc", "vpc-0")["scans"] == []
    assert fleet("scan", "--dry-run", "--tag", "team").returncode == 2


def test_a_selection_scans_its_instances_and_leaves_the_coverage_of_others(
    fleet: Fleet, image: Path
) -> None:
    web = fleet.cloud.add_instance("web", [image], tags={"team": "web"})
    fleet.cloud.add_instance("db", [image], tags={"team": "db"})
    assert fleet("scan", "--embedded", "--tag", "team=web").returncode == 0
    assert [row["instance"] for row in fleet.json("status", "--all")] == [web]
    assert [row["instance"] for row in fleet.json("coverage")] == [web]
    assert fleet.cloud.answers("CreateSnapshots") == 1


@pytest.mark.parametrize(("answer", "snapshots", "status"), [("n", 0, 130), ("y", 1, 0)])
def test_on_a_terminal_the_first_snapshots_are_confirmed(
    fleet: Fleet, image: Path, answer: str, snapshots: int, status: int
) -> None:
    fleet.cloud.add_instance("one", [image])
    command = [sys.executable, "-m", "dispatcher.cli", "fleet", "scan", "--embedded"]
    terminal, side = pty.openpty()
    os.write(terminal, f"{answer}\n".encode())
    with subprocess.Popen(
        command, env=fleet.environment, stdin=side, stderr=side, stdout=subprocess.DEVNULL
    ) as running:
        os.close(side)
        shown = b""
        with suppress(OSError):  # Linux's answer where the other side is closed
            while part := os.read(terminal, 4096):
                shown += part
    os.close(terminal)
    assert running.returncode == status, shown
    assert b"1 snapshot of" in shown
    assert b"Spend cap: 25 dollars a day" in shown
    assert fleet.cloud.answers("CreateSnapshots") == snapshots


def test_a_dry_run_says_where_the_recycle_bin_keeps_what_a_scan_deletes(
    fleet: Fleet, image: Path
) -> None:
    fleet.cloud.add_instance("one", [image])
    where = {"account": "123456789012", "region": "us-east-1"}
    document = fleet.json("scan", "--dry-run")
    assert document["recycle_bin"] == [{**where, "days": 7, "detail": ""}]
    plan = fleet("scan", "--dry-run").stdout
    assert "123456789012/us-east-1: a rule keeps each deleted snapshot for 7 days" in plan
    # Where the role may not see the rules, nobody knows.
    fleet.cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, "rbin:ListRules")])
    (kept,) = fleet.json("scan", "--dry-run")["recycle_bin"]
    assert kept["days"] is None
    assert "AccessDenied" in kept["detail"]
    assert "not known whether it keeps" in fleet("scan", "--dry-run").stdout


def much_later() -> datetime:
    """When the scan is due again."""
    return datetime.now(UTC) + timedelta(hours=2)
