"""The stream of an erratum whose feed names none, by what other errata say of streams."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sidelight.advisories import AdvisoryDatabase, between, build
from sidelight.advisories.build_marks import UNKNOWN
from sidelight.advisories.database.modules import Modules
from sidelight.advisories.feeds import read
from sidelight.matching import match
from sidelight.model import Advisory, Finding, Inventory, OperatingSystem, Package, Status

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.model import Affected

ALMA = OperatingSystem(id="almalinux", version_id="8.10")
FOLDS = 10


def erratum(name: str, title: str, **builds: str) -> dict[str, object]:
    """An erratum of AlmaLinux's, about a CVE of its own, with its builds by package."""
    rows = [
        {
            "package": {"ecosystem": "AlmaLinux:8", "name": package.replace("_", "-")},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": version}]}],
        }
        for package, version in builds.items()
    ]
    cve = name.replace("ALSA-", "CVE-").replace(":", "-")
    summary = f"Important: {title} security update"
    return {"id": name, "modified": "2024", "summary": summary, "related": [cve], "affected": rows}


OLD = erratum(
    "ALSA-2023:1001", "ruby:2.5", ruby="2.5.9-1.module_el8.5+1+a", gem="2.7.6-1.module_el8.5+1+a"
)
NEW = erratum(
    "ALSA-2023:1002", "ruby:3.1", ruby="3.1.4-1.module_el8.9+2+b", gem="3.3.26-1.module_el8.9+2+b"
)
UNNAMED = erratum(
    "ALSA-2024:1003", "ruby", ruby="2.5.9-9.module_el8.10+3+c", gem="2.7.6-9.module_el8.10+3+c"
)


def findings(folder: Path, version: str, stream: str, *records: dict[str, object]) -> list[Finding]:
    feed = folder / "feed.jsonl"
    feed.write_text("".join(json.dumps(record) + "\n" for record in records))
    build([feed], folder / "db")
    package = Package("rpm", "ruby", version, "/", "", modularity=f"{stream}:8100:x")
    with AdvisoryDatabase.open(folder / "db") as database:
        return match(Inventory(Status.COMPLETE, ALMA, (package,)), database)


def test_a_stream_is_derived_from_its_builds(tmp_path: Path) -> None:
    old = findings(tmp_path, "2.5.9-2.module_el8.9+5+d", "ruby:2.5", OLD, NEW, UNNAMED)
    assert [(item.vulnerability, item.state) for item in old] == [("CVE-2024-1003", "")]
    other = findings(tmp_path, "2.4.0-2.module_el8.9+5+d", "ruby:3.1", OLD, NEW, UNNAMED)
    assert [item.vulnerability for item in other] == ["CVE-2023-1002"]


@pytest.mark.parametrize(
    "errata",
    [
        pytest.param((), id="no other erratum"),
        pytest.param((NEW,), id="only another stream's versions"),
        pytest.param(
            (OLD, erratum("ALSA-2023:1004", "ruby:2.6", ruby="2.5.9-3.module_el8+6+e",
                          gem="2.7.6-3.module_el8+6+e")),
            id="two streams with the same versions",
        ),
        pytest.param(
            (erratum("ALSA-2023:1005", "ruby:2.5", ruby="2.5.9-1.module_el8.5+1+a"),),
            id="a package that the stream is not known to have",
        ),
    ],
)  # fmt: skip
def test_an_unknown_module_stream_is_asked_and_its_state_says_so(
    tmp_path: Path, errata: tuple[dict[str, object], ...]
) -> None:
    found = findings(tmp_path, "2.5.9-2.module_el8.9+5+d", "ruby:9", *errata, UNNAMED)
    assert [item.vulnerability for item in found] == ["CVE-2024-1003"]
    assert found[0].state == "module-stream-unknown"


def test_a_build_of_no_module_is_never_asked(tmp_path: Path) -> None:
    feed = tmp_path / "feed.jsonl"
    feed.write_text(json.dumps(UNNAMED) + "\n")
    build([feed], tmp_path / "db")
    package = Package("rpm", "ruby", "2.5.1-1.el8", "/", "")
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        assert match(Inventory(Status.COMPLETE, ALMA, (package,)), database) == []


def test_an_erratum_with_a_stream_changes_the_packages_of_one_without(
    tmp_path: Path,
) -> None:
    known = erratum(
        "ALSA-2023:1006", "ruby:2.5", ruby="2.5.1-1.module_el8+1+a", gem="1-1.module_el8+1+a"
    )
    telling = erratum("ALSA-2023:1007", "ruby:2.5", gem="2.7.6-1.module_el8+2+b")
    findings(tmp_path, "1-1", "x:1", known, UNNAMED)
    (tmp_path / "db").rename(tmp_path / "older")
    findings(tmp_path, "1-1", "x:1", known, UNNAMED, telling)
    with (
        AdvisoryDatabase.open(tmp_path / "older") as older,
        AdvisoryDatabase.open(tmp_path / "db") as newer,
    ):
        changed = between(older, newer).packages
    # Of ruby no new erratum speaks; what the old one means for it is known only now.
    assert changed == {("AlmaLinux:8", "ruby"), ("AlmaLinux:8", "gem")}


@pytest.mark.conformance
@pytest.mark.parametrize(
    ("feed", "decided", "wrong"),
    [
        # Each that is wrong was looked at: an erratum of container-tools from when rhel8 had just
        # left a numbered stream, and one that Rocky calls go-toolset:Rocky.
        ("osv/almalinux-8-9-10.osv.jsonl.xz", 0.6, 0.0),
        ("osv/redhat-rhel-7-8-9.osv.jsonl.xz", 0.6, 0.01),
        ("os-native/rocky-errata.jsonl.xz", 0.6, 0.01),
    ],
)
def test_of_errata_that_do_name_it_the_stream_is_found_without(
    shared_data: Path, feed: str, decided: float, wrong: float
) -> None:
    errata: dict[tuple[str, str], list[Affected]] = defaultdict(list)
    for item in read.read(shared_data / "advisories" / feed):
        if isinstance(item.parsed, Advisory):
            for row in item.parsed.affected:
                if row.module not in {"", UNKNOWN}:
                    errata[item.parsed.id, row.ecosystem].append(row)
    counts: Counter[str] = Counter()
    for fold in range(FOLDS):
        modules = Modules()
        hidden = set(list(errata)[fold::FOLDS])
        for place, rows in errata.items():
            for row in rows:
                known = replace(row, module=UNKNOWN) if place in hidden else row
                modules.add(place[0].encode(), known)
        for name, ecosystem in hidden:
            named = {row.module for row in errata[name, ecosystem]}
            found = modules.of(name.encode(), ecosystem)
            counts["undecided" if found == UNKNOWN else "right" if found in named else "wrong"] += 1
    assert counts["right"] > decided * counts.total()
    assert counts["wrong"] <= wrong * counts.total()
