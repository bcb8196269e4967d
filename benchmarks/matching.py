"""Build the database from a complete corpus, open it, and match hosts of 2,000 packages.

    python benchmarks/matching.py [FEEDS…]

FEEDS default to the real-world data beside the checkout. Prints seconds, CPU, memory and bytes; all
figures of a run come from the same machine and minute, so that their ratios mean something.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

from sidelight.advisories import AdvisoryDatabase, build
from sidelight.matching import Matcher, match
from sidelight.model import Inventory, OperatingSystem, Package, Status
from sidelight.store.base import documents
from sidelight.versions import sort_key

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "advisories"
HOST = 2000  # packages
FLEET = 1000  # stored inventories
SEED = 11
RUNS = 5  # of each host
MATCH = "--match"
# What a host is: os-release, the ecosystem of its packages, their type.
HOSTS = (
    (OperatingSystem(id="debian", version_id="12"), "Debian:12", "deb"),
    (OperatingSystem(id="ubuntu", version_id="22.04"), "Ubuntu:22.04", "deb"),
    (OperatingSystem(id="almalinux", version_id="9.3"), "AlmaLinux:9", "rpm"),
    (OperatingSystem(id="rhel", version_id="8.9"), "Red Hat:8", "rpm"),
    (OperatingSystem(id="amzn", version_id="2"), "Amazon Linux:2", "rpm"),
    (OperatingSystem(id="sles", version_id="15.5"), "SUSE:15.5", "rpm"),
    (OperatingSystem(id="alpine", version_id="3.19.1"), "Alpine:v3.19", "apk"),
)


def sources() -> list[Path]:
    """The feeds to build from: the arguments, or all of the shared corpus."""
    if len(sys.argv) > 2:
        return [Path(item) for item in sys.argv[2:]]
    return [
        DATA / "osv",
        *sorted((DATA / "os-native").glob("*.jsonl.xz")),
        *sorted((DATA / "kev-epss").glob("*.csv")),
        *sorted((DATA / "kev-epss").glob("known*.json")),
    ]


def build_apart(out: Path) -> None:
    """Build in a process of its own, so that its peak memory is the build's."""
    begun = time.perf_counter()
    command = [sys.executable, __file__, "--build", str(out), *map(str, sources())]
    subprocess.run(command, check=True)
    print(f"build: {time.perf_counter() - begun:.1f} s, {out.stat().st_size / 1e6:.1f} MB on disk")


def host(
    database: AdvisoryDatabase, os: OperatingSystem, ecosystem: str, kind: str, lag: float
) -> Inventory:
    """A host whose packages each have a version that some advisory names.

    With `lag` 0 it is the latest such version, with 1 any of them.
    """
    chance = random.Random(SEED)  # noqa: S311  # seeded: two runs ask the same
    # A host has one kernel, of one source: not each of a distribution's forty.
    names = sorted(
        name for own, name in database.packages()
        if own == ecosystem and not (kind == "deb" and name.startswith("linux-"))
    )  # fmt: skip
    packages = []
    for name in chance.sample(names, min(HOST, len(names))):
        rows = database.lookup(ecosystem, name)
        ends = {span.end for row in rows for span in row.intervals if span.end}
        versions = sorted(ends, key=lambda end: sort_key(ecosystem, end))
        if not versions:
            continue
        version = chance.choice(versions) if chance.random() < lag else versions[-1]
        # Two binaries of each source, as most sources have more than one.
        source = "" if kind == "rpm" else name
        packages += [
            Package(kind, binary, version, "/var/lib", "", source_name=source)
            for binary in ((name, f"{name}-common") if source else (name,))
        ]
    return Inventory(Status.COMPLETE, os, tuple(packages[:HOST]))


def main() -> None:
    """Print the figures."""
    if sys.argv[1:2] == ["--build"]:
        summary = build([Path(item) for item in sys.argv[3:]], Path(sys.argv[2]))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"build: {summary.advisories} advisories, {summary.rows} pairs, {summary.packages}"
            f" packages, {summary.problem_count} problems, peak {peak:.0f} MB"
        )
        return
    if sys.argv[1:2] == [MATCH]:
        match_once(Path(sys.argv[2]), Path(sys.argv[3]))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "advisories.db"
        build_apart(path)
        begun = time.perf_counter()
        database = AdvisoryDatabase.open(path)
        print(f"open: {(time.perf_counter() - begun) * 1000:.2f} ms")
        begun = time.perf_counter()
        database.verify()
        print(f"verify: {(time.perf_counter() - begun) * 1000:.0f} ms")
        for os, ecosystem, kind in HOSTS:
            for lag in (0.0, 0.3, 1.0):
                inventory = host(database, os, ecosystem, kind, lag)
                measure(path, inventory, f"{ecosystem}, {lag:.0%} outdated")
        fleet(path, database)


def fleet(path: Path, database: AdvisoryDatabase) -> None:
    """A thousand stored inventories, matched again on one core: unpacked, matched, and counted."""
    chance = random.Random(SEED)  # noqa: S311  # seeded: two runs ask the same
    whole = [host(database, os, ecosystem, kind, 0.1) for os, ecosystem, kind in HOSTS]
    distinct = []
    for number in range(70):
        base = whole[number % len(whole)]
        packages = chance.sample(base.packages, int(len(base.packages) * 0.9))
        distinct.append(documents.pack(replace(base, packages=tuple(packages))))
    stored = [distinct[number % len(distinct)] for number in range(FLEET)]
    with AdvisoryDatabase.open(path) as opened:
        matcher = Matcher(opened)
        packages_seen = findings = 0
        begun = time.process_time()
        for document in stored:
            inventory = documents.unpack(Inventory, document)
            packages_seen += len(inventory.packages)
            findings += len(matcher.match(inventory))
        cpu = time.process_time() - begun
        begun = time.process_time()
        for document in distinct:
            documents.unpack(Inventory, document)
        unpacking = (time.process_time() - begun) * FLEET / len(distinct)
    print(
        f"{FLEET} stored inventories, {packages_seen} packages, {findings} findings: {cpu:.1f} s"
        f" CPU, of which {unpacking:.1f} s to unpack them"
    )


def measure(path: Path, inventory: Inventory, name: str) -> None:
    """One host by a database that nobody has asked yet, and once more with a warm Matcher.

    Each run is a process of its own, in which no version has a key yet; the least of them is what
    the work takes where nobody else is on the core.
    """
    stored = path.with_name("host")
    stored.write_bytes(documents.pack(inventory))
    command = [sys.executable, __file__, MATCH, str(path), str(stored)]
    runs = [
        json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        for _ in range(RUNS)
    ]
    cold, warm, read = (min(run[part] for run in runs) for part in ("cold", "warm", "read"))
    print(
        f"{name}: {len(inventory.packages)} packages, {runs[0]['findings']} findings,"
        f" {cold:.1f} ms CPU cold, {warm:.1f} ms warm; to read all of them {read:.1f} ms more",
        flush=True,
    )


def match_once(path: Path, stored: Path) -> None:
    """Print milliseconds of CPU as JSON: cold, to read all that the findings say, and warm.

    What a finding says besides package and vulnerability is put together when it is first read.
    """
    inventory = documents.unpack(Inventory, stored.read_bytes())
    spent = {}
    with AdvisoryDatabase.open(path) as database:
        begun = time.process_time()
        findings = match(inventory, database, today=date(2025, 3, 1))
        spent["cold"] = time.process_time() - begun
        begun = time.process_time()
        for finding in findings:
            assert finding.title is not None
        spent["read"] = time.process_time() - begun
        matcher = Matcher(database)
        matcher.match(inventory)
        begun = time.process_time()
        matcher.match(inventory)
        spent["warm"] = time.process_time() - begun
    milliseconds = {name: seconds * 1000 for name, seconds in spent.items()}
    print(json.dumps(milliseconds | {"findings": len(findings)}))


if __name__ == "__main__":
    main()
