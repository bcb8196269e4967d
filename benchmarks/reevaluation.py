"""From a new advisory database to new findings, for a fleet that is in the store already.

    python -m benchmarks.reevaluation [--instances N] [--images N] [--packages N] [--postgresql]

Machines of some images, each image a Debian with packages, the kernel among them, at versions that
real advisories name. One machine of each image is stored and evaluated as in production; the rest
are its copies, made by SQL, inventory and findings. Then, each with two workers (processes):
one more advisory, on the kernel, which all have; one on a package of one image; a day's changes
(--changed): half of them new, the others with another fix or severity or withdrawn; and every EPSS
score another one. For up to 1,000 instances everything is closed and opened again by one. With
--corpus the database holds all of the shared OSV data, not Debian's alone.

Printed: seconds of the clock and of the CPU; those of a PostgreSQL server, which this starts, are
apart.
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
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, MetaData, String, Table, create_engine, event, insert, select, text

from benchmarks.postgresql import postgresql
from sidelight.advisories import AdvisoryDatabase, build
from sidelight.fleet import evaluation
from sidelight.fleet.advisory_file import Opened
from sidelight.model import LIVE, Cost, Inventory, OperatingSystem, Package, State, Status
from sidelight.store import Store
from sidelight.store.base.schema import findings, inventories
from sidelight.versions import sort_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "advisories"
FEED = DATA / "osv" / "debian-11-12-13.osv.jsonl.xz"
ACCOUNT, REGION, SYSTEM = "123456789012", "eu-west-1", "Debian:12"
SEED, NAMES, KERNEL, BEHIND = 7, 1000, "linux", 3
BY_INSTANCE = "ix_findings_of_instance"
ONLY_HERE = "only-here"  # a package of the first image
EVERYTHING = 1000  # up to so many instances everything is closed and opened again


@dataclass(frozen=True, slots=True)
class Fleet:
    """What the machines are made of: packages, and what the real feed says, today and tomorrow."""

    names: Sequence[str]
    today: Path
    tomorrow: Path
    others: Sequence[Path]


def chosen(folder: Path, changed: int, *, corpus: bool) -> Fleet:
    """Some of the real packages, and what the real feed says of them."""
    with lzma.open(FEED, "rt") as lines:
        records = [json.loads(line) for line in lines]
    names = sorted({item["package"]["name"] for record in records for item in _of_system(record)})
    some = [KERNEL, *random.Random(SEED).sample(names, NAMES)]  # noqa: S311 - seeded
    some = list(dict.fromkeys(some))
    today, tomorrow = a_day(records, frozenset(some), changed)
    others = sorted(FEED.parent.glob("*.jsonl.xz")) if corpus else []
    fleet = Fleet(
        some, folder / "today.jsonl", folder / "tomorrow.jsonl",
        [path for path in others if path != FEED],
    )  # fmt: skip
    for path, records in ((fleet.today, today), (fleet.tomorrow, tomorrow)):
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return fleet


def a_day(
    records: list[dict[str, Any]], names: frozenset[str], changed: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A feed, and the next day's: some of what speaks of these packages is new or other there."""
    own = [r for r in records if any(i["package"]["name"] in names for i in _of_system(r))]
    some = random.Random(SEED).sample(own, changed)  # noqa: S311 - seeded
    new = {record["id"] for record in some[: changed // 2]}
    other = {record["id"] for record in some[changed // 2 :]}
    today = [record for record in records if record["id"] not in new]
    tomorrow = []
    for number, record in enumerate(records):
        if record["id"] in other:
            record = _otherwise(record, number % 3)  # noqa: PLW2901 - it replaces the record
        tomorrow.append(record)
    return today, tomorrow


def _otherwise(record: dict[str, Any], how: int) -> dict[str, Any]:
    if how == 0:
        return record | {"withdrawn": "2025-03-01T00:00:00Z"}
    if how == 1:
        vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
        return record | {"severity": [{"type": "CVSS_V3", "score": vector}]}
    # The next version is the one that fixes it.
    fixed = [{"introduced": "0"}, {"fixed": "9999:1-1"}]
    ranges = [{"type": "ECOSYSTEM", "events": fixed}]
    return record | {"affected": [item | {"ranges": ranges} for item in record["affected"]]}


def _of_system(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [i for i in record.get("affected", ()) if i["package"]["ecosystem"] == SYSTEM]


def images(
    database: AdvisoryDatabase, names: Sequence[str], count: int, packages: int
) -> list[Inventory]:
    """Inventories: half of the packages are a base that all share, half are an image's own.

    An image is so many updates behind as it is old: its versions are among the last that
    advisories name.
    """
    chance = random.Random(SEED)  # noqa: S311 - seeded: two runs ask the same
    versions = {name: _last_versions(database, name) for name in names}
    inventories = []
    for number in range(count):
        half = packages // 2
        own = [*names[:half], *chance.sample(names[half:], packages - half)]
        behind = min(int(chance.expovariate(1)), BEHIND)
        found = [
            _package(name, versions[name][min(chance.randint(0, behind), len(versions[name]) - 1)])
            for name in own
        ]
        if number == 0:
            found.append(_package(ONLY_HERE, "1.0-1"))
        system = OperatingSystem("debian", "12", f"Debian 12, image {number}")
        inventories.append(Inventory(Status.COMPLETE, system, tuple(found)))
    return inventories


def _last_versions(database: AdvisoryDatabase, name: str) -> list[str]:
    """The versions that advisories name, the newest first."""
    rows = database.lookup(SYSTEM, name)
    ends = {span.end for row in rows for span in row.intervals if span.end}
    return sorted(ends, key=lambda end: sort_key(SYSTEM, end), reverse=True) or ["1.0-1"]


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
    names = [(ACCOUNT, REGION, _name(number)) for number in range(instances)]
    for number, scan in enumerate(store.scans.create(names, "bench")):
        for to in (State.SNAPSHOTTING, State.SNAPSHOTS_PENDING, State.READING):
            held = store.scans.claim(scan.id, LIVE, 3600)
            assert held is not None
            store.scans.advance(held, to)
        held = store.scans.claim(scan.id, LIVE, 3600)
        assert held is not None
        store.findings.save_inventory(held, inventories[number % len(inventories)], Cost(scan.id))


def grow(url: str, images: int, instances: int) -> None:
    """Copy the machines of the store, one of each image, until there are so many."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    copies = Table(
        "copies", MetaData(), Column("source", String(64)), Column("target", String(64)),
        prefixes=["TEMPORARY"],
    )  # fmt: skip
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _in_haste)
    with engine.begin() as connection:
        copies.create(connection)
        rows = [
            {"source": _name(number % images), "target": _name(number)}
            for number in range(images, instances)
        ]
        if rows:
            connection.execute(copies.insert(), rows)
        _copy(connection, inventories, copies)
        # To sort millions of rows into an index once is far faster than to put each in its place;
        # and a source's rows are looked up by the one that is left.
        others = [index for index in findings.indexes if index.name != BY_INSTANCE]
        for index in others:
            index.drop(connection)
        _copy(connection, findings, copies)
        for index in others:
            index.create(connection)
        connection.execute(text("DROP TABLE copies"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))  # as PostgreSQL's autovacuum does in a store that lives
    engine.dispose()


def _copy(connection: Connection, table: Table, copies: Table) -> None:
    """What the table has of each source once more for its targets."""
    columns = [column for column in table.c if column.name != "id"]
    copied = [copies.c.target if c.name == "instance" else c for c in columns]
    query = select(*copied).join_from(copies, table, table.c.instance == copies.c.source)
    connection.execute(insert(table).from_select([c.name for c in columns], query))


def _in_haste(connection: Any, _: object) -> None:
    """The store is made for this run: no journal, and its indexes in memory."""
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-2000000"):
        connection.execute(f"PRAGMA {pragma}").fetchall()


def _name(number: int) -> str:
    return f"i-{number:017x}"


def work(url: str, path: Path) -> None:
    """What one worker does."""
    with AdvisoryDatabase.open(path) as database, Store(url) as store:
        opened = Opened(database)
        while True:
            part = evaluation.reevaluate(store, opened)
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
    with AdvisoryDatabase.open(path) as database, Store(url) as store:
        before = store.outbox.last()
        store.reevaluation.register(Opened(database))
        registered = time.perf_counter() - begun - built
        command = [sys.executable, "-m", "benchmarks.reevaluation", "--work", url, str(path)]
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
    parser.add_argument("--changed", type=int, default=200, help="advisories in a day")
    parser.add_argument("--corpus", action="store_true", help="build from all of the shared data")
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--work", nargs=2, metavar=("URL", "DATABASE"), help="be a worker")
    options = parser.parse_args()
    if options.work:
        work(options.work[0], Path(options.work[1]))
        return
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sqlite = f"sqlite:///{place}/store.db"
        url = stack.enter_context(postgresql()) if options.postgresql else sqlite
        run(place, url, options)


def run(place: Path, url: str, options: argparse.Namespace) -> None:
    """Fill a store and measure."""
    fleet = chosen(place, options.changed, corpus=options.corpus)
    common, count = fleet.others, min(options.images, options.instances)
    build([fleet.today], place / "base.db")
    with AdvisoryDatabase.open(place / "base.db") as database, Store(url) as store:
        store.migrate()
        fill(store, images(database, fleet.names, count, options.packages), count)
    measure("a machine of each image, for the first time", url, [fleet.today, *common], 1)
    begun = time.perf_counter()
    grow(url, count, options.instances)
    with Store(url) as store:
        total = sum(sum(one.values()) for one in store.findings.severities().values())
    print(
        f"{url.partition(':')[0]}: {options.instances} instances of {count} images,"
        f" {options.packages} packages each, {total} findings, copied in"
        f" {time.perf_counter() - begun:.0f} s",
        flush=True,
    )
    scenarios(place, url, fleet, small=options.instances <= EVERYTHING)


def scenarios(place: Path, url: str, fleet: Fleet, *, small: bool) -> None:
    """Measure what may come with a new feed."""
    extra, scores, common = place / "extra.jsonl", place / "epss.csv", fleet.others
    extra.write_text(advisory(KERNEL, 1))
    measure("an advisory on every machine", url, [fleet.today, extra, *common], 2)
    extra.write_text(advisory(KERNEL, 1) + advisory(ONLY_HERE, 2))
    measure("an advisory on one image", url, [fleet.today, extra, *common], 2)
    measure("a day's changes", url, [fleet.tomorrow, extra, *common], 2)
    ids = {json.loads(line)["id"] for line in chain(*map(_lines, (fleet.tomorrow, extra)))}
    scores.write_text("cve,epss\n" + "".join(f"{one},0.5\n" for one in sorted(ids)))
    measure("every EPSS score another", url, [fleet.tomorrow, extra, scores, *common], 2)
    if small:
        extra.write_text(advisory("nowhere", 3))
        measure("everything closed", url, [extra], 1)
        measure("everything opened again", url, [fleet.today], 1)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


if __name__ == "__main__":
    main()
