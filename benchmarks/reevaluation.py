"""From a new advisory database to new findings, for a fleet that is in the store already.

    python benchmarks/reevaluation.py [--instances N] [--images N] [--packages N] [--postgresql]

Machines of some images, each image a Debian with packages at versions that real advisories name.
Printed: all of it evaluated by one worker (a process); then one more advisory, on a package that
all of them have, and one on a package that one image has, with two workers; and for up to 1,000
instances everything closed and opened again by one. Seconds of the clock and of the CPU; those of
a PostgreSQL server, which this starts, are apart.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.postgresql import postgresql
from sidelight.advisories import Database, build
from sidelight.model import Inventory, OperatingSystem, Package, Status
from sidelight.store import LIVE, Cost, State, Store
from sidelight.versions import sort_key
from workers.advisories import Opened

if TYPE_CHECKING:
    from collections.abc import Sequence

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "advisories"
FEED = DATA / "osv" / "debian-11-12-13.osv.jsonl.xz"
ACCOUNT, REGION, SYSTEM = "123456789012", "eu-west-1", "Debian:12"
SEED, NAMES = 7, 1000
ONLY_HERE = "only-here"  # a package of the first image
EVERYTHING = 1000  # up to so many instances everything is closed and opened again


@dataclass(frozen=True, slots=True)
class Fleet:
    """What the machines are made of."""

    names: Sequence[str]
    feed: Path


def chosen(folder: Path) -> Fleet:
    """Some of the real packages, and what the real feed says of them."""
    with lzma.open(FEED, "rt") as lines:
        records = [json.loads(line) for line in lines]
    names = sorted({item["package"]["name"] for record in records for item in _of_system(record)})
    some = random.Random(SEED).sample(names, NAMES)  # noqa: S311 - seeded: two runs ask the same
    kept = set(some)
    feed = folder / "base.jsonl"
    with feed.open("w") as file:
        for record in records:
            record["affected"] = [i for i in _of_system(record) if i["package"]["name"] in kept]
            if record["affected"]:
                file.write(json.dumps(record) + "\n")
    return Fleet(some, feed)


def _of_system(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [i for i in record.get("affected", ()) if i["package"]["ecosystem"] == SYSTEM]


def images(database: Database, names: Sequence[str], count: int, packages: int) -> list[Inventory]:
    """Inventories: half of the packages are a base that all share, half are an image's own."""
    chance = random.Random(SEED)  # noqa: S311 - as above
    versions = {name: _newest(database, name) for name in names}
    made = []
    for number in range(count):
        half = packages // 2
        own = [*names[:half], *chance.sample(names[half:], packages - half)]
        found = [_package(name, versions[name]) for name in own]
        if number == 0:
            found.append(_package(ONLY_HERE, "1.0-1"))
        system = OperatingSystem("debian", "12", f"Debian 12, image {number}")
        made.append(Inventory(Status.COMPLETE, system, tuple(found)))
    return made


def _newest(database: Database, name: str) -> str:
    """The newest version that an advisory names."""
    rows = database.lookup(SYSTEM, name)
    ends = {span.end for row in rows for span in row.intervals if span.end}
    return max(ends, key=lambda end: sort_key(SYSTEM, end), default="1.0-1")


def _package(name: str, version: str) -> Package:
    purl = f"pkg:deb/debian/{name}@{version}"
    return Package("deb", name, version, "/var/lib/dpkg/status", purl, source_name=name)


def advisory(name: str, number: int) -> str:
    """An OSV record, as a line, about every version of a package."""
    record = {
        "id": f"CVE-2099-{number:04}",
        "modified": "2099-01-01T00:00:00Z",
        "affected": [
            {
                "package": {"ecosystem": SYSTEM, "name": name},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
            }
        ],
    }
    return json.dumps(record) + "\n"


def fill(store: Store, inventories: list[Inventory], instances: int) -> None:
    """Store an inventory of every machine; none has been evaluated."""
    names = [(ACCOUNT, REGION, f"i-{number:017x}") for number in range(instances)]
    for number, scan in enumerate(store.scans.create(names, "bench")):
        held = store.scans.claim(scan.id, LIVE, 3600)
        assert held is not None
        store.scans.advance(held, State.READING)
        held = store.scans.claim(scan.id, LIVE, 3600)
        assert held is not None
        store.findings.save_inventory(held, inventories[number % len(inventories)], Cost(scan.id))


def work(url: str, path: Path) -> None:
    """What one worker does."""
    with Database.open(path) as database, Store(url) as store:
        opened = Opened(database)
        while True:
            part = store.reevaluation.step(opened)
            if not part.left:
                return
            if not part.packages and not part.instances:
                time.sleep(0.02)


def _cpu() -> float:
    """CPU seconds of this process and of the workers that have ended."""
    used = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _server_cpu(url: str) -> float:
    """CPU seconds of a PostgreSQL server and of its connections that have ended."""
    if url.startswith("sqlite"):
        return 0.0
    directory = url.partition("?host=")[2]
    process = (Path(directory) / "data" / "postmaster.pid").read_text().split()[0]
    words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, words[11:15])) / os.sysconf("SC_CLK_TCK")


def measure(name: str, url: str, feeds: Sequence[Path], workers: int) -> None:
    """From feeds to findings: build the database, register it, and let workers settle."""
    begun, cpu, server = time.perf_counter(), _cpu(), _server_cpu(url)
    path = feeds[0].with_name("advisories.db")
    build(feeds, path)
    built = time.perf_counter() - begun
    with Database.open(path) as database, Store(url) as store:
        before = store.outbox.last()
        store.reevaluation.register(Opened(database))
        registered = time.perf_counter() - begun - built
        command = [sys.executable, __file__, "--work", url, str(path)]
        processes = [subprocess.Popen(command) for _ in range(workers)]
        assert [process.wait() for process in processes] == [0] * workers
        seconds = time.perf_counter() - begun
        pending = store.reevaluation.pending()
        assert pending == 0, f"{pending} instances are not done"
        count = store.outbox.last() - before
    print(
        f"{name}: {count} findings opened or closed in {seconds:.1f} s by {workers} workers;"
        f" CPU {_cpu() - cpu:.1f} s and the server's {_server_cpu(url) - server:.1f} s"
        f" (feed to database {built:.1f} s, registered in {registered:.1f} s)",
        flush=True,
    )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--instances", type=int, default=1000)
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--packages", type=int, default=400, help="of each machine")
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--work", nargs=2, metavar=("URL", "DATABASE"), help="be a worker")
    given = parser.parse_args()
    if given.work:
        work(given.work[0], Path(given.work[1]))
        return
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sqlite = f"sqlite:///{place}/store.db"
        url = stack.enter_context(postgresql()) if given.postgresql else sqlite
        run(place, url, given.instances, (given.images, given.packages))


def run(place: Path, url: str, instances: int, kinds: tuple[int, int]) -> None:
    """Fill a store and measure."""
    fleet = chosen(place)
    build([fleet.feed], place / "base.db")
    with Database.open(place / "base.db") as database, Store(url) as store:
        store.migrate()
        begun = time.perf_counter()
        fill(store, images(database, fleet.names, *kinds), instances)
        print(
            f"{url.partition(':')[0]}: {instances} instances of {kinds[0]} images,"
            f" {kinds[1]} packages each, stored in {time.perf_counter() - begun:.0f} s",
            flush=True,
        )
    extra = place / "extra.jsonl"
    measure("all of it, for the first time", url, [fleet.feed], 1)
    extra.write_text(advisory(fleet.names[0], 1))
    measure("an advisory on every machine", url, [fleet.feed, extra], 2)
    extra.write_text(advisory(fleet.names[0], 1) + advisory(ONLY_HERE, 2))
    measure("an advisory on one image", url, [fleet.feed, extra], 2)
    if instances <= EVERYTHING:
        extra.write_text(advisory("nowhere", 3))
        measure("everything closed", url, [extra], 1)
        measure("everything opened again", url, [fleet.feed], 1)


if __name__ == "__main__":
    main()
