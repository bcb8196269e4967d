"""Cells that share nothing but the advisory file; one is lost: `python -m benchmarks.cells`.

Each cell is a process with its own account, store, broker and workers (`fleet scan --embedded`).
All scan; then one is killed while its snapshots exist, and its directory is deleted: its store, its
broker and its logs. The others keep their findings and scan on. The lost one is rebuilt from
nothing: its snapshots are adopted and deleted, its machines are scanned, and the findings are those
of before. boto3 shows which snapshots are left. docs/scale.md explains cells.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from sidelight.advisories import build
from tests.fixtures.debian_machine import ADVISORY, RELEASE, STATUS

if TYPE_CHECKING:
    from collections.abc import Iterator

SIDELIGHT = (sys.executable, "-m", "dispatcher.cli")
ROOT = Path(__file__).resolve().parents[1]
MACHINES = 2  # of a cell
REGION = "us-east-1"
LONGEST = 300.0  # seconds that a command may take


@dataclass(frozen=True, slots=True)
class CellsOutcome:
    """What happened. Snapshots are counted by boto3; times are seconds."""

    cells: int
    scans: int  # DONE, of the first round
    left_by_the_lost: int  # snapshots after the kill
    adopted: int
    others_unchanged: bool
    rebuilt_alike: bool
    left_at_the_end: int
    first_round: float
    rebuilding: float
    cpu: float  # of all cells' processes


class FleetCell:
    """An account with its own store, broker and workers."""

    def __init__(self, number: int, home: Path, cloud: dict[str, str], advisories: Path) -> None:
        self.account = f"{200_000_000_000 + number}"
        self.directory = home / f"cell-{number}"
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
            **cloud,
            "AWS_ACCESS_KEY_ID": self.account,
            "SIDELIGHT_STORE_URL": f"sqlite:///{self.directory}/store.db",
            # A lost store generates another name, and would not know its snapshots.
            "SIDELIGHT_DEPLOYMENT": f"cell-{number}",
            "SIDELIGHT_ADVISORIES": str(advisories),
            "SIDELIGHT_NETWORK_HOURS": "0",
        }
        self.create()

    def create(self) -> None:
        """Create the directory of a cell that has nothing yet."""
        self.directory.mkdir()

    def begin_scan(self) -> subprocess.Popen[str]:
        """Start a scan of its machines."""
        command = [*SIDELIGHT, "fleet", "scan", "--embedded", "--concurrency", "1", "--yes"]
        command += ["--format", "json", "--logs", str(self.directory / "logs")]
        return subprocess.Popen(
            command, cwd=ROOT, env=self.environment, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def scan(self) -> int:
        """Scan its machines; return how many scans are DONE."""
        process = self.begin_scan()
        output, errors = process.communicate(timeout=LONGEST)
        if process.returncode:
            raise RuntimeError(f"{self.directory.name}: {errors[-2000:]}")
        return sum(scan["state"] == "DONE" for scan in json.loads(output)["scans"])

    def run(self, *arguments: str) -> Any:
        """Run a command with a JSON output."""
        done = subprocess.run(
            [*SIDELIGHT, *arguments, "--format", "json"], cwd=ROOT, env=self.environment,
            text=True, capture_output=True, check=False, timeout=LONGEST,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{self.directory.name}: {done.stderr[-2000:]}")
        return json.loads(done.stdout)

    def findings(self) -> set[tuple[str, str]]:
        """Return the instance and the vulnerability of each finding."""
        rows = self.run("fleet", "findings")
        return {(row["instance"], row["vulnerability"]) for row in rows}

    def snapshots(self) -> list[str]:
        """Return the account's snapshots, by boto3."""
        ec2 = boto3.client(
            "ec2", endpoint_url=self.environment["AWS_ENDPOINT_URL"], region_name=REGION,
            aws_access_key_id=self.account, aws_secret_access_key="local",  # noqa: S106 - any
        )  # fmt: skip
        found = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
        return [one["SnapshotId"] for one in found]

    def lose(self) -> int:
        """Kill its scan while snapshots exist, delete all that it has; return the snapshots."""
        process = self.begin_scan()
        until = time.monotonic() + LONGEST
        while not self.snapshots():
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{self.directory.name}: its scan created no snapshot")
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        shutil.rmtree(self.directory)
        return len(self.snapshots())

    def rebuild(self) -> int:
        """Begin again with nothing: adopt the lost store's snapshots, and scan; how many."""
        self.create()
        count = self.adopt()
        self.scan()
        # EC2 may have listed one too late for the first time.
        return count + self.adopt()

    def adopt(self) -> int:
        """Delete the snapshots that no scan of the store has; return how many."""
        offered = self.run("fleet", "sweep", "--adopt", "--dry-run")
        ids = [one["id"] for place in offered for one in place["adoptable"]]
        if ids:
            named = [part for name in ids for part in ("--snapshot", name)]
            self.run("fleet", "sweep", "--adopt", "--yes", *named)
        return len(ids)


def machine(directory: Path) -> Path:
    """Make a Debian machine's disk with one vulnerable package. Needs mkfs.ext4."""
    mkfs = shutil.which("mkfs.ext4", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if mkfs is None:
        raise RuntimeError("mkfs.ext4 is absent (Debian package: e2fsprogs)")
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


def advisory_file(directory: Path) -> Path:
    """Build the one file that all cells read."""
    (directory / "osv").mkdir()
    (directory / "osv" / "one.json").write_text(json.dumps(ADVISORY))
    build([directory / "osv"], directory / "advisories.db")
    return directory / "advisories.db"


@contextmanager
def local_cloud(directory: Path) -> Iterator[dict[str, str]]:
    """Serve AWS for all cells, a minute of its lags as a second; yield its environment."""
    command = [*SIDELIGHT, "local", "up", "--port", "0", "--lag-scale", str(1 / 60)]
    command += ["--snapshot-seconds", "2", "--directory", str(directory)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        environment: dict[str, str] = {}
        for line in process.stdout or ():
            name, _, value = line.removeprefix("export ").partition("=")
            environment[name] = value.strip().strip("'\"")
            if len(environment) == 5:
                break
        yield environment
    finally:
        process.terminate()
        process.communicate()


def launch(environment: dict[str, str], cell: FleetCell, disk: Path) -> None:
    """Run a cell's machines in its account."""
    for number in range(MACHINES):
        body = {"name": f"web-{number}", "images": [str(disk)], "account": cell.account}
        request = urllib.request.Request(
            f"{environment['AWS_ENDPOINT_URL']}/_sidelight/instances", json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=30):
            pass


def run(count: int, at_once: int, home: Path) -> CellsOutcome:
    """Run the whole story in a directory."""
    disk, advisories = machine(home), advisory_file(home)
    with local_cloud(home / "cloud") as environment, ThreadPoolExecutor(at_once) as pool:
        cells = [FleetCell(number, home, environment, advisories) for number in range(count)]
        for cell in cells:
            launch(environment, cell, disk)
        begun = time.monotonic()
        scans = sum(pool.map(FleetCell.scan, cells))
        first_round = time.monotonic() - begun
        before = {cell.account: cell.findings() for cell in cells}
        lost, others = cells[0], cells[1:]
        left = lost.lose()
        # One of the others scans while the lost cell is gone.
        others[0].scan()
        unchanged = all(cell.findings() == before[cell.account] for cell in others)
        begun = time.monotonic()
        adopted = lost.rebuild()
        return CellsOutcome(
            cells=count,
            scans=scans,
            left_by_the_lost=left,
            adopted=adopted,
            others_unchanged=unchanged,
            rebuilt_alike=lost.findings() == before[lost.account] != set(),
            left_at_the_end=sum(len(cell.snapshots()) for cell in cells),
            first_round=first_round,
            rebuilding=time.monotonic() - begun,
            cpu=_children_cpu(),
        )


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(count: int, at_once: int) -> None:
    """Print the outcome."""
    with tempfile.TemporaryDirectory() as scratch:
        done = run(count, at_once, Path(scratch))
    others = "yes" if done.others_unchanged else "NO"
    alike = "yes" if done.rebuilt_alike else "NO"
    print(
        f"{done.cells} cells of {MACHINES} machines, {at_once} at once: {done.scans} scans DONE in"
        f" {done.first_round:.0f} s.\nOne cell lost while it scanned: the other {done.cells - 1}"
        f" unchanged: {others}.\nRebuilt in {done.rebuilding:.0f} s: {done.adopted} snapshots"
        f" adopted and deleted, findings as before: {alike}.\nSnapshots left:"
        f" {done.left_at_the_end}. CPU of ended processes: {done.cpu:.0f} s."
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=10)
    parser.add_argument("--at-once", type=int, default=2)
    options = parser.parse_args()
    main(options.cells, options.at_once)
