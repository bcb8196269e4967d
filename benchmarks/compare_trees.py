"""CPU seconds of matching, of this checkout against another one, in one run.

    python benchmarks/compare_trees.py TREE [RUNS]

TREE is a checkout of any commit (`git worktree add TREE COMMIT`). Both match the same 12 machines
of 1,500 packages with the same advisories, alternately and each time in a process of its own.
Prints the least CPU time of each, and their ratio: other load on the machine makes runs longer,
never shorter. `cold` is the first match of each package version, `warm` a repeated match.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
MACHINES = 12
PACKAGES = 1500  # of each machine; a third of them have advisories
RUNS = 9
# os-release's ID and VERSION_ID, the feed's ecosystem, the packages' type and vendor.
SYSTEMS = (
    ("debian", "12", "Debian:12", "deb", "Debian GCC Maintainers <debian-gcc@lists.debian.org>"),
    ("almalinux", "9.3", "AlmaLinux:9", "rpm", "AlmaLinux"),
    ("alpine", "3.19.1", "Alpine:v3.19", "apk", "Natanael Copa <ncopa@alpinelinux.org>"),
    ("ubuntu", "22.04", "PyPI", "pypi", ""),
)
# Runs in both trees: nothing that is newer than the oldest one may be used.
PROGRAM = """
import gc, json, sys, time
from pathlib import Path
import sidelight.advisories as advisories
from sidelight.matching import Matcher
from sidelight.model import Inventory, OperatingSystem, Package, Status
Database = getattr(advisories, "AdvisoryDatabase", None) or advisories.Database
folder = Path(sys.argv[1])
if not (folder / sys.argv[2]).exists():
    advisories.build([folder / "feed.jsonl"], folder / sys.argv[2])
machines = [
    Inventory(Status.COMPLETE, OperatingSystem(*system), tuple(Package(**p) for p in packages))
    for system, packages in json.loads((folder / "machines.json").read_text())
]
with Database.open(folder / sys.argv[2]) as database:
    matcher, spent = Matcher(database), []
    gc.collect()
    gc.disable()  # a full collection hits either tree by chance
    for _ in range(4):
        begun = time.process_time()
        findings = sum(len(matcher.match(machine)) for machine in machines)
        spent.append(time.process_time() - begun)
print(json.dumps([spent[0], min(spent[1:]), findings]))
"""


def write_samples(folder: Path, *, vendors: bool) -> None:
    """Write a feed and the machines: packages just below a fixed version, and unknown ones."""
    records, machines = [], []
    for number in range(MACHINES):
        identity, release, ecosystem, kind, vendor = SYSTEMS[number % len(SYSTEMS)]
        packages = []
        for index in range(PACKAGES):
            name, version = f"name{number}-{index}", f"1.{index}.{number}"
            packages.append(
                {
                    "type": kind,
                    "name": name,
                    "version": version,
                    "path": "/var/lib",
                    "purl": f"pkg:{kind}/{name}@{version}",
                    "vendor": vendor if vendors else "",
                    "source_name": name if kind in {"deb", "apk"} else "",
                }
            )
            if index % 3 == 0:
                events = [{"introduced": "0"}, {"fixed": f"1.{index + index % 2}.{number}"}]
                affected = {
                    "package": {"ecosystem": ecosystem, "name": name},
                    "ranges": [{"type": "ECOSYSTEM", "events": events}],
                }
                records.append({"id": f"CVE-2024-{number:02}{index:04}", "affected": [affected]})
        machines.append(((identity, release), packages))
    stamped = [{"modified": "2024-01-01T00:00:00Z", **record} for record in records]
    (folder / "feed.jsonl").write_text("".join(json.dumps(item) + "\n" for item in stamped))
    (folder / "machines.json").write_text(json.dumps(machines))


def run(tree: Path, folder: Path, name: str) -> tuple[float, float, int]:
    """Return the CPU seconds of a cold and of a warm pass, and the findings."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), name],
        cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}, check=True, capture_output=True,
    )  # fmt: skip
    cold, warm, findings = json.loads(done.stdout)
    return cold, warm, findings


def compare(tree: Path, runs: int, *, vendors: bool) -> None:
    """Print both trees' figures for machines whose packages have vendors, or have none."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_samples(folder, vendors=vendors)
        pairs = [(run(tree, folder, "other"), run(HERE, folder, "this")) for _ in range(runs)]
    assert len({figures[2] for pair in pairs for figures in pair}) == 1, "the findings differ"
    for part, title in enumerate(("cold", "warm")):
        other, this = (min(pair[side][part] for pair in pairs) for side in (0, 1))
        print(
            f"{MACHINES} machines of {PACKAGES} packages with{'' if vendors else 'out'} vendors,"
            f" {title}: {other:.3f} s CPU there, {this:.3f} s here, ratio {this / other:.2f}"
        )


def main() -> None:
    """Compare with the checkout that is the first argument."""
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else RUNS
    for vendors in (False, True):
        compare(Path(sys.argv[1]).resolve(), runs, vendors=vendors)


if __name__ == "__main__":
    main()
