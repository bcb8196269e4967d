"""The load proof: a fleet of thousands through real workers on this machine.

    python -m benchmarks.load --instances 10000      (`make load INSTANCES=10000`)

Disks, readers, advisories, broker, workers, boto3 and store are real; the cloud is the local one,
in a process whose CPU is counted apart. Ends with status 1 where a scan failed or was done twice,
a snapshot is left, or an account was called more often in some second than its budget allows.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis

from benchmarks.load.cloud import accounts
from benchmarks.load.figures import Figures, report
from benchmarks.load.processes import Sampler, cpu_seconds, family, memory
from benchmarks.load.rig import Options, Rig, rig
from dispatcher.discovery.accounts import AccountRegion
from dispatcher.planning.eligibility import Configuration
from dispatcher.services.fleet_service import FleetService

if TYPE_CHECKING:
    from sidelight.model import Scan
    from sidelight.store import Store

READY = " ready."
# What a scan leaves in the store, its log and the workers' logs, with room (measured: 0.1 MB).
BYTES_AT_LEAST, BYTES_OF_A_SCAN = 1 << 30, 300_000
REGION = "us-east-1"


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=200)
    parser.add_argument("--accounts", type=int, default=4)
    parser.add_argument("--concurrency", type=int, default=2, help="processes that read")
    parser.add_argument("--machines", default="edge-1,web-1,batch-1,edge-1")
    parser.add_argument("--get-per-second", type=float, default=900.0, help="an account's budget")
    parser.add_argument("--list-per-second", type=float, default=40.0)
    parser.add_argument("--snapshot-seconds", type=float, default=2.0)
    parser.add_argument("--postgres", action="store_true", help="instead of SQLite")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    parser.add_argument("--logs", type=Path, help="keep the run's files there")
    values = vars(parser.parse_args())
    json_path, logs = values.pop("json"), values.pop("logs")
    options = Options(**{**values, "machines": values["machines"].split(",")})
    # A run that is asked to end still reports its results.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="load-") as name:
        figures = measure(options, (logs or Path(name)).absolute())
    print(report(figures))
    if json_path is not None:
        json_path.write_text(figures.as_json())
    sys.exit(bool(figures.faults))


def measure(options: Options, home: Path) -> Figures:
    """One run from discovery to the sweep."""
    started = time.perf_counter()
    home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(home).free
    if free < BYTES_AT_LEAST + options.instances * BYTES_OF_A_SCAN:
        sys.exit(f"{home}: {free >> 20} MiB are free, too few for {options.instances} instances")
    with rig(options, home) as running:
        os.environ.update(running.environment)
        until_ready(running, home / "logs")
        say(
            f"{options.instances} machines in the cloud after {time.perf_counter() - started:.0f} s"
        )
        return scan(options, running)


def scan(options: Options, running: Rig) -> Figures:
    """Discover, plan, enqueue, wait, sweep; what it took."""
    mains = running.workers.pids
    control = FleetService(running.settings)
    sampler = Sampler([*mains, running.cloud_pid], seconds=5.0)
    before = Usage.now(running)
    begin = time.perf_counter()
    places = [AccountRegion(account, REGION) for account in accounts(options.accounts)]
    started = control.scans.start_everywhere(places, Configuration(), on_demand=False).scans
    dispatched = Usage.now(running)
    say(f"{len(started)} scans enqueued after {time.perf_counter() - begin:.1f} s")
    sampler.start()
    ended = follow(control, [scan.id for scan in started], running, begin)
    wall = time.perf_counter() - begin
    after = Usage.now(running)
    sampler.stop()
    swept = [control.sweeper.sweep(place) for place in places]
    calls = cloud_says(running.endpoint, "calls")["calls"]
    left = cloud_says(running.endpoint, "snapshots")["snapshots"]
    figures = Figures(
        instances=options.instances,
        scans=len(started),
        states=counts(control.store),
        scans_of_an_instance=max(Counter(scan.instance for scan in all_scans(control)).values()),
        wall=wall,
        dispatcher_cpu=dispatched.own - before.own,
        waiting_cpu=after.own - dispatched.own,
        workers_cpu=after.workers - before.workers,
        cloud_cpu=after.cloud - dispatched.cloud,
        log=running.log,
        calls=calls,
        budget={"ebs:GetSnapshotBlock": options.get_per_second,
                "ebs:ListSnapshotBlocks": options.list_per_second,
                "ec2:CreateSnapshots": running.settings.rates.create_per_second,
                "ec2:DescribeSnapshots": running.settings.rates.describe_per_second,
                "ec2:DeleteSnapshot": running.settings.rates.delete_per_second},
        snapshots_left=len(left),
        findings=sum(sum(found.values()) for found in control.store.findings.severities().values()),
        orphans=sum(len(one.orphans) for one in swept),
        samples=sampler.samples,
        cloud_pid=running.cloud_pid,
        broker_cpu=after.broker - before.broker,
        processes=tuple(a - b for a, b in zip(after.parts, before.parts, strict=True)),
        recorded=control.store.stage_times.times(started[0].created_at) if started else [],
        interrupted=not ended,
    )  # fmt: skip
    control.close()
    return figures


def follow(control: FleetService, ids: list[str], running: Rig, begin: float) -> bool:
    """Wait for the end of all, with a line now and then; False where Ctrl-C came first."""
    reported_at, every = 0.0, 10.0 if len(ids) < 2000 else 60.0
    try:
        for scans in control.wait(ids):
            running.workers.revive()
            passed = time.perf_counter() - begin
            if passed - reported_at >= every:
                reported_at = passed
                counts = Counter(str(scan.state) for scan in scans)
                mib = [sum(map(memory, family(pid))) >> 20
                       for pid in (*running.workers.pids, running.cloud_pid)]  # fmt: skip
                disk = shutil.disk_usage(running.log.parent).free >> 20
                say(f"{passed:6.0f} s  {dict(counts)}, MiB: workers {mib[0]} and {mib[1]}, "
                    f"cloud {mib[2]}, disk free {disk}")  # fmt: skip
    except KeyboardInterrupt:
        say("interrupted: this is what it came to")
        return False
    return True


@dataclass(frozen=True)
class Usage:
    """CPU seconds so far."""

    own: float
    workers: float
    cloud: float
    broker: float
    parts: tuple[float, float, float]  # the waiting worker; the computing one, its children

    @classmethod
    def now(cls, running: Rig) -> Usage:
        """Of all processes."""
        waiting, computing = running.workers.pids
        _, *children = family(computing)
        return cls(
            parts=(
                cpu_seconds([waiting]),
                cpu_seconds([computing]),
                cpu_seconds(children),
            ),
            own=cpu_seconds([os.getpid()]),
            workers=cpu_seconds(pid for main in running.workers.pids for pid in family(main)),
            cloud=cpu_seconds([running.cloud_pid]),
            broker=broker_seconds(running.settings.broker.url),
        )


def broker_seconds(url: str) -> float:
    """What the broker says that it has used."""
    with redis.Redis.from_url(url) as server:
        usage: Any = server.info("cpu")
    return float(usage["used_cpu_user"] + usage["used_cpu_sys"])


def counts(store: Store) -> Counter[str]:
    """Scans by state."""
    return Counter({str(state): count for state, count in store.scans.counts().items()})


def all_scans(control: FleetService) -> list[Scan]:
    """Every row there is."""
    return control.store.scans.select()


def until_ready(running: Rig, logs: Path) -> None:
    """Until every worker listens: their start is not what is measured."""
    while not all(READY in path.read_text(errors="replace") for path in logs.glob("worker-*.log")):
        running.workers.revive()
        time.sleep(0.1)


def cloud_says(endpoint: str, what: str) -> Any:
    """One look at the cloud's own books."""
    with urllib.request.urlopen(f"{endpoint}/_sidelight/{what}", timeout=60) as answer:
        return json.load(answer)


def say(line: str) -> None:
    """Progress."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
