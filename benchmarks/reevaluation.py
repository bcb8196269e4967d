"""From a new advisory database to new findings, for a fleet that is in the store already.

    python benchmarks/reevaluation.py [--instances 10000] [--images 50] [--url URL]

Machines of some images, each image a Debian with packages at versions that real advisories name.
Then the same feeds with one more advisory, on a package that all of them have, and one on a package
that one image has. Prints inventories touched and seconds, with two workers (processes) for the
first and one for a full evaluation of 1,000. Without --url the store is SQLite.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sidelight.advisories import Database, build
from sidelight.model import Inventory, OperatingSystem, Package, Status
from sidelight.store import LIVE, Cost, FindingStatus, State, Store
from sidelight.versions import sort_key
from workers.advisories import Opened

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "advisories"
FEEDS = [DATA / "osv" / "debian-11-12-13.osv.jsonl.xz", DATA / "osv" / "npm.ghsa-osv.jsonl.xz"]
ACCOUNT, REGION = "123456789012", "eu-west-1"
SEED, PACKAGES = 7, 400


def images(database: Database, count: int) -> list[Inventory]:
    """Inventories: a base that all share, and what each image has of its own."""
    chance = random.Random(SEED)  # noqa: S311 - seeded: two runs ask the same
    names = sorted(name for own, name in database.packages() if own == "Debian:12")
    base, rest = names[: PACKAGES // 2], names[PACKAGES // 2 :]
    latest: dict[str, str] = {}
    for name in names:
        rows = database.lookup("Debian:12", name)
        ends = sorted(
            {span.end for row in rows for span in row.intervals if span.end},
            key=lambda end: sort_key("Debian:12", end),
        )
        latest[name] = ends[-1] if ends else "1.0-1"
    made = []
    for number in range(count):
        own = chance.sample(rest, PACKAGES // 2)
        packages = [
            Package("deb", name, latest[name], "/var/lib/dpkg/status",
                    f"pkg:deb/debian/{name}@{latest[name]}", source_name=name)
            for name in ["only-here", *base, *own][number != 0 :]
            if name in latest or not latest.update({name: "1.0-1"})  # type: ignore[func-returns-value]
        ]  # fmt: skip
        system = OperatingSystem("debian", "12", f"Debian 12, image {number}")
        made.append(Inventory(Status.COMPLETE, system, tuple(packages)))
    return made


def advisory(name: str, number: int) -> dict[str, object]:
    """An OSV record about every version of a package."""
    return {
        "id": f"CVE-2099-{number:04}",
        "modified": "2099-01-01T00:00:00Z",
        "affected": [
            {
                "package": {"ecosystem": "Debian:12", "name": name},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
            }
        ],
    }


def fill(store: Store, inventories: list[Inventory], instances: int, opened: Opened) -> None:
    """Scan every machine."""
    store.reevaluation.register(opened)
    names = [f"i-{number:017x}" for number in range(instances)]
    scans = store.scans.create([(ACCOUNT, REGION, name) for name in names], "bench")
    for number, scan in enumerate(scans):
        held = store.scans.claim(scan.id, LIVE, 3600)
        assert held is not None
        store.scans.advance(held, State.READING)
        held = store.scans.claim(scan.id, LIVE, 3600)
        assert held is not None
        store.findings.save_inventory(held, inventories[number % len(inventories)], Cost(scan.id))
        held = store.scans.claim(scan.id, LIVE, 3600)
        assert held is not None
        store.findings.evaluate(held, opened)


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


def measure(name: str, url: str, path: Path, workers: int) -> None:
    """Register a database and let workers bring the findings to it."""
    with Database.open(path) as database, Store(url) as store:
        before = store.outbox.last()
        begun = time.perf_counter()
        store.reevaluation.register(Opened(database))
        registered = time.perf_counter() - begun
        command = [sys.executable, __file__, "--work", str(path), "--url", url]
        processes = [subprocess.Popen(command) for _ in range(workers)]
        assert [process.wait() for process in processes] == [0] * workers
        seconds = time.perf_counter() - begun
        events = store.outbox.last() - before
        print(
            f"{name}: {events} findings opened or closed, {seconds:.1f} s with {workers} workers"
            f" ({registered:.2f} s of it to register the database), pending:"
            f" {store.reevaluation.pending()}"
        )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--instances", type=int, default=10_000)
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--url")
    parser.add_argument("--work", type=Path)
    given = parser.parse_args()
    if given.work:
        work(given.url, given.work)
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        url = given.url or f"sqlite:///{place}/store.db"
        old, new = place / "old.db", place / "new.db"
        build(FEEDS, old)
        with Database.open(old) as database, Store(url) as store:
            store.migrate()
            opened = Opened(database)
            inventories = images(database, given.images)
            begun = time.perf_counter()
            fill(store, inventories, given.instances, opened)
            seconds = time.perf_counter() - begun
            count = sum(sum(of.values()) for of in store.findings.severities().values())
            print(
                f"{url.partition(':')[0]}: {given.instances} instances of {given.images} images,"
                f" {count} findings, filled in {seconds:.0f} s"
            )
            common = inventories[0].packages[1].name
        extra = place / "extra.jsonl"
        begun = time.perf_counter()
        extra.write_text(json.dumps(advisory(common, 1)) + "\n")
        build([*FEEDS, extra], new)
        print(f"building the new database: {time.perf_counter() - begun:.1f} s")
        measure("an advisory on every machine", url, new, 2)
        extra.write_text("".join(json.dumps(advisory(n, k)) + "\n"
                                 for k, n in enumerate((common, "only-here"), 1)))  # fmt: skip
        build([*FEEDS, extra], new)
        measure("an advisory on one image", url, new, 2)
        build(FEEDS[1:], new)
        with Store(url) as store:
            store.findings.close_instances(
                ACCOUNT, [f"i-{n:017x}" for n in range(1000, given.instances)]
            )
        measure("everything of 1,000 instances closed", url, new, 1)
        measure("everything of 1,000 instances opened again", url, old, 1)
        with Store(url) as store:
            assert next(store.findings.rows(status=FindingStatus.ACTIVE), None) is not None


if __name__ == "__main__":
    main()
