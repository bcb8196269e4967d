"""Real advisories: the corpus against a plain reading of OSV's specification, and awkward ones."""

from __future__ import annotations

import json
import lzma
import random
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sidelight.advisories import AdvisoryDatabase, build
from sidelight.advisories.ecosystems import canonical, normal_name
from sidelight.errors import FormatError
from sidelight.matching import match
from sidelight.model import Inventory, OperatingSystem, Package, Severity, Status
from sidelight.versions import sort_key
from sidelight.versions.pep440 import regular_beginning

if TYPE_CHECKING:
    from collections.abc import Iterator

DEMO = Path(__file__).resolve().parent.parent.parent / "demo" / "advisories"
pytestmark = pytest.mark.conformance


def _records(shared_data: Path, feed: str) -> Iterator[dict[str, Any]]:
    with lzma.open(shared_data / "advisories" / "osv" / f"{feed}.jsonl.xz", "rt") as stream:
        for line in stream:
            yield json.loads(line)


def _included(row: dict[str, Any], ecosystem: str, version: str) -> bool:
    """Whether the version is in the row's list or its ranges, as the specification defines it."""
    key = sort_key(ecosystem, version)
    for item in row.get("versions", ()):
        try:
            if sort_key(ecosystem, item) == key:
                return True
        except FormatError:
            continue
    for span in row.get("ranges", ()):
        if span["type"] == "GIT":
            continue
        events = [
            (b"" if value == "0" else sort_key(ecosystem, value), kind)
            for event in span["events"]
            for kind, value in event.items()
        ]
        vulnerable = False
        for at, kind in sorted(events, key=lambda item: item[0]):
            if kind == "introduced" and key >= at:
                vulnerable = True
            elif (kind == "fixed" and key >= at) or (kind == "last_affected" and key > at):
                vulnerable = False
        if vulnerable:
            return True
    return False


@pytest.mark.parametrize(
    ("feed", "prefix"),
    [
        ("debian-11-12-13.osv", "Debian"),
        ("alpine.osv", "Alpine"),
        ("almalinux-8-9-10.osv", "AlmaLinux"),
        ("npm.ghsa-osv", "npm"),
        ("pypi.pysec-osv", "PyPI"),
        ("go.vulndb-osv", "Go"),
        ("maven.ghsa-osv", "Maven"),
        ("rubygems.ghsa-osv", "RubyGems"),
        ("packagist.ghsa-osv", "Packagist"),
        ("nuget.ghsa-osv", "NuGet"),
        ("crates.rustsec-osv", "crates.io"),
    ],
)
def test_hits_are_those_of_the_specifications_algorithm(
    shared_data: Path, tmp_path: Path, feed: str, prefix: str
) -> None:
    chance = random.Random(5)
    records = [
        record
        for record in islice(_records(shared_data, feed), 1500)
        if not record.get("withdrawn")
        and "ithdrawn" not in json.dumps(record)
        and "uplicate" not in record.get("summary", "")
        and "Rejected reason" not in record.get("details", "")
        and not record["id"].startswith(("ALBA", "ALEA"))
        and not any(map(_goes_beyond, record["affected"]))
    ]
    path = tmp_path / "feed.jsonl"
    # Without their titles no erratum is a module's, so that all rows of a package are compared.
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    build([path], tmp_path / "db")
    rows: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]] = {}
    versions: dict[tuple[str, str], set[str]] = {}
    for record in records:
        for row in record["affected"]:
            named = row.get("package") or {}
            if not named.get("ecosystem", "").startswith(prefix):
                continue
            ecosystem = canonical(named["ecosystem"])[0]
            place = ecosystem, normal_name(ecosystem, named["name"])
            rows.setdefault(place, []).append((record["id"], row))
            known = versions.setdefault(place, set())
            known.update(row.get("versions", ())[:20])
            for span in row.get("ranges", ()):
                known.update(item for event in span["events"] for item in event.values())
    compared = 0
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        for place in chance.sample(sorted(rows), min(400, len(rows))):
            group = database.group(*place)
            for version in sorted(versions[place])[:15]:
                try:
                    key = sort_key(place[0], version)
                    expected = {
                        name for name, row in rows[place] if _included(row, place[0], version)
                    }
                except FormatError:
                    continue
                hits = group.hits(key) if group else []
                assert {database.advisory(hit.advisory).id for hit in hits} == expected, (
                    place,
                    version,
                )
                compared += 1
    assert compared > 200


def _goes_beyond(row: dict[str, Any]) -> bool:
    """Whether the specification's algorithm alone does not say what the row means.

    GitHub's upper bound is beside the events, and PyPI has ends that PEP 440 refuses: both have
    tests of their own.
    """
    events = [event for span in row.get("ranges", ()) for event in span["events"]]
    ends = [event.get("fixed") or event.get("last_affected", "") for event in events]
    is_python = row.get("package", {}).get("ecosystem") == "PyPI"
    return "last_known_affected_version_range" in row.get("database_specific", {}) or (
        is_python and any(map(regular_beginning, filter(None, ends)))
    )


BOOKWORM = OperatingSystem(id="debian", version_id="12")
# (feed, id) of awkward records, then packages and whether the record finds them.
AWKWARD: list[tuple[str, str, OperatingSystem, list[tuple[str, str, str, bool]]]] = [
    (  # no fix in one release, an epoch's worth of history in the other
        "debian-11-12-13.osv",
        "CVE-2023-4911",
        BOOKWORM,
        [
            ("deb", "glibc", "2.36-9+deb12u1", True),
            ("deb", "glibc", "2.36-9+deb12u3", False),
            ("deb", "glibc", "2.37-12", False),
        ],
    ),
    (  # two intervals that end in pre-releases
        "pypi.pysec-osv",
        "PYSEC-2020-209",
        BOOKWORM,
        [
            ("pypi", "ansible", "2.7.9", False),
            ("pypi", "ansible", "2.8.15", True),
            ("pypi", "ansible", "2.8.16rc1", False),
            ("pypi", "Ansible", "2.9.13", True),
            ("pypi", "ansible", "2.10.0", False),
        ],
    ),
    (  # three rows for one package, each a branch; the fix of the branch is the fix
        "rubygems.ghsa-osv",
        "GHSA-pr3h-jjhj-573x",
        BOOKWORM,
        [
            ("gem", "sprockets", "2.12.4", True),
            ("gem", "sprockets", "2.12.5", False),
            ("gem", "sprockets", "3.7.1", True),
            ("gem", "sprockets", "4.0.0.beta7", True),
            ("gem", "sprockets", "4.0.0.beta8", False),
        ],
    ),
    (  # ends that PEP 440 refuses, one even below its beginning by that order
        "pypi.ghsa-osv",
        "GHSA-pj65-3pf6-c5q4",
        BOOKWORM,
        [
            ("pypi", "python-apt", "0.8.3", True),
            ("pypi", "python-apt", "0.9.4", False),
            ("pypi", "python-apt", "1.8.0", True),
            ("pypi", "python-apt", "1.9.4", True),
            ("pypi", "python-apt", "1.9.5", False),
        ],
    ),
    (  # nobody has fixed it; GitHub's upper bound is listed with the events
        "packagist.ghsa-osv",
        "GHSA-22cq-xxr9-jrrv",
        BOOKWORM,
        [
            ("composer", "tribalsystems/zenario", "8.2", True),
            ("composer", "tribalsystems/zenario", "8.3", False),
            ("composer", "tribalsystems/zenario", "8.8.53370", False),
        ],
    ),
    (  # single versions and no range
        "rubygems.ghsa-osv",
        "GHSA-229r-pqp6-8w6g",
        BOOKWORM,
        [("gem", "sprout", "0.7.246", True), ("gem", "sprout", "0.7.245", False)],
    ),
]


@pytest.mark.parametrize("case", AWKWARD, ids=lambda case: case[1])
def test_awkward_records_find_what_they_say(
    shared_data: Path,
    tmp_path: Path,
    case: tuple[str, str, OperatingSystem, list[tuple[str, str, str, bool]]],
) -> None:
    feed, name, os, packages = case
    record = next(item for item in _records(shared_data, feed) if item["id"] == name)
    path = tmp_path / "feed.json"
    path.write_text(json.dumps(record))
    build([path], tmp_path / "db")
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        for kind, package, version, expected in packages:
            inventory = Inventory(Status.COMPLETE, os, (Package(kind, package, version, "", ""),))
            findings = match(inventory, database)
            assert bool(findings) is expected, (package, version)


def test_the_branchs_own_fix_is_the_fix(shared_data: Path, tmp_path: Path) -> None:
    record = next(
        item
        for item in _records(shared_data, "rubygems.ghsa-osv")
        if item["id"] == "GHSA-pr3h-jjhj-573x"
    )
    path = tmp_path / "feed.json"
    path.write_text(json.dumps(record))
    build([path], tmp_path / "db")
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        for version, fixed in (
            ("2.1", "2.12.5"),
            ("3.5.0", "3.7.2"),
            ("4.0.0.beta2", "4.0.0.beta8"),
        ):
            package = Package("gem", "sprockets", version, "", "")
            (finding,) = match(Inventory(Status.COMPLETE, BOOKWORM, (package,)), database)
            assert finding.fixed_version == fixed
            assert finding.vulnerability == "CVE-2018-3760"
            assert finding.severity is Severity.HIGH


def test_the_demos_advisories_make_a_database(tmp_path: Path) -> None:
    summary = build([DEMO], tmp_path / "db")
    assert summary.problem_count == 0
    names = {name.partition(":")[0] for name, _rows in summary.ecosystems}
    assert {"Debian", "AlmaLinux", "SUSE", "npm", "PyPI"} <= names
