"""What a new database changes: everything that a finding would show, and nothing else."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.cli.groups import advisories
from sidelight.advisories import AdvisoryDatabase, Changes, between, build
from sidelight.matching import match, questions
from sidelight.model import Inventory, OperatingSystem, Package, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sidelight.model import Finding

NOTHING = Changes(frozenset(), frozenset(), frozenset(), frozenset())
LOW = "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"
HIGH = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:N"


def osv(number: int, name: str, fixed: str = "2.0.0", **more: object) -> dict[str, Any]:
    row = {
        "package": {"ecosystem": "npm", "name": name},
        "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": fixed}]}],
    }
    cve = f"CVE-2024-{number:04d}"
    return {"id": f"GHSA-{number}", "modified": "1", "aliases": [cve], "affected": [row], **more}


def built(folder: Path, records: Sequence[Mapping[str, object]], *more: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "feed.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    for number, text in enumerate(more):
        ending = "csv" if text.startswith("cve,") else "json"
        (folder / f"{number}.{ending}").write_text(text)
    build([folder], folder / "db")
    return folder / "db"


def changed(older: Path, newer: Path) -> Changes:
    with AdvisoryDatabase.open(older) as one, AdvisoryDatabase.open(newer) as other:
        return between(one, other)


BEFORE = [osv(1, "a"), osv(2, "b"), osv(3, "c")]


@pytest.mark.parametrize(
    ("after", "packages", "vulnerabilities"),
    [
        ([*BEFORE, osv(4, "d")], {"d"}, {4}),
        ([*BEFORE, osv(0, "a")], {"a"}, {0}),  # and all the numbers move
        (BEFORE[:2], {"c"}, {3}),
        ([*BEFORE[:2], osv(3, "c", "2.0.1")], {"c"}, set()),
        ([*BEFORE[:2], osv(3, "d")], {"c", "d"}, set()),
        ([*BEFORE[:2], osv(3, "c", summary="Worse")], {"c"}, {3}),
        ([*BEFORE[:2], osv(3, "c", references=[{"url": "https://x.test/"}])], {"c"}, set()),
        ([*BEFORE[:2], osv(3, "c", severity=[{"type": "V3", "score": HIGH}])], {"c"}, {3}),
        ([*BEFORE[:2], osv(3, "c", withdrawn="2024-02-02")], {"c"}, {3}),
        ([*BEFORE[:2], osv(3, "c", modified="2")], set(), set()),
    ],
)
def test_a_change_is_listed_for_its_package_and_its_vulnerability(
    tmp_path: Path, after: list[dict[str, Any]], packages: set[str], vulnerabilities: set[int]
) -> None:
    older, newer = built(tmp_path / "1", BEFORE), built(tmp_path / "2", after)
    expected = NOTHING._replace(
        packages=frozenset(("npm", name) for name in packages),
        vulnerabilities=frozenset(f"CVE-2024-{number:04d}" for number in vulnerabilities),
    )
    assert changed(older, newer) == expected
    assert changed(newer, older) == expected
    assert bool(expected) is bool(packages or vulnerabilities)


def test_equal_databases_and_another_order_of_feeds_change_nothing(tmp_path: Path) -> None:
    older = built(tmp_path / "1", BEFORE)
    assert changed(older, built(tmp_path / "2", BEFORE)) == NOTHING
    assert changed(older, built(tmp_path / "3", list(reversed(BEFORE)))) == NOTHING


def test_a_change_of_epss_alone_differs_from_a_change_of_other_facts(tmp_path: Path) -> None:
    header = "cve,epss,percentile\n"
    older = built(tmp_path / "1", BEFORE, f"{header}CVE-2024-0001,0.1,0.5\nCVE-2024-0002,0.1,0.5\n")
    kev = {"cveID": "CVE-2024-0002", "dateAdded": "2024-03-01"}
    newer = built(
        tmp_path / "2",
        BEFORE,
        f"{header}CVE-2024-0001,0.2,0.6\nCVE-2024-0002,0.2,0.5\n",
        json.dumps({"catalogVersion": "1", "vulnerabilities": [kev]}),
    )
    assert changed(older, newer) == NOTHING._replace(
        vulnerabilities=frozenset({"CVE-2024-0002"}), scores=frozenset({"CVE-2024-0001"})
    )


def test_the_command_lists_what_changed(tmp_path: Path) -> None:
    older, newer = built(tmp_path / "1", BEFORE), built(tmp_path / "2", BEFORE[:2])
    done = CliRunner().invoke(advisories, ["changes", str(older), str(newer)])
    assert (done.exit_code, done.output) == (0, "package npm c\nvulnerability CVE-2024-0003\n")


def test_an_ecosystem_that_comes_or_goes_is_reported(tmp_path: Path) -> None:
    other = osv(9, "x")
    other["affected"][0]["package"]["ecosystem"] = "crates.io"
    reported = changed(built(tmp_path / "1", BEFORE), built(tmp_path / "2", [*BEFORE, other]))
    assert reported.ecosystems == {"crates.io"}
    assert reported.packages == {("crates.io", "x")}


_RECORDS = st.lists(
    st.builds(
        lambda number, name, fixed, vector: osv(
            number, name, f"{fixed}.0.0", severity=[{"type": "V3", "score": vector}]
        ),
        st.integers(1, 6),
        st.sampled_from("abc"),
        st.integers(1, 3),
        st.sampled_from([LOW, HIGH]),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda record: record["id"],
)
HOST = Inventory(
    Status.COMPLETE,
    OperatingSystem(id="debian", version_id="12"),
    tuple(
        Package("npm", name, version, f"/{name}/{version}", "")
        for name in "abc"
        for version in ("0.5.0", "1.5.0", "2.5.0")
    ),
)


@pytest.mark.slow
@settings(max_examples=40)
@given(before=_RECORDS, after=_RECORDS)
def test_findings_differ_only_where_a_change_is_listed(
    tmp_path_factory: pytest.TempPathFactory,
    before: list[dict[str, Any]],
    after: list[dict[str, Any]],
) -> None:
    folder = tmp_path_factory.mktemp("law")
    with ExitStack() as stack:
        older = stack.enter_context(AdvisoryDatabase.open(built(folder / "1", before)))
        newer = stack.enter_context(AdvisoryDatabase.open(built(folder / "2", after)))
        changes = between(older, newer)
        for finding in _differing(match(HOST, older), match(HOST, newer)):
            assert (
                ("npm", finding.package.name) in changes.packages
                or finding.vulnerability in changes.vulnerabilities
            )  # fmt: skip
    assert questions(HOST) == {("npm", name) for name in "abc"}


def _differing(one: list[Finding], other: list[Finding]) -> list[Finding]:
    return [item for item in one if item not in other] + [item for item in other if item not in one]
