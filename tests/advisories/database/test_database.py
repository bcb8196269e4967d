"""The database: what goes in comes out, the same bytes for the same feeds, or nothing at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.advisories import AdvisoryDatabase, build
from sidelight.advisories.database import external_sort, layout
from sidelight.errors import DamagedError, DatabaseError, FormatError, UsageError
from sidelight.model import Affected, Interval, Severity
from sidelight.versions import sort_key
from tests.fixtures.hypothesis_profiles import many

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ("a", "b", "c")


def record(name: str, package: str, *events: dict[str, str], **more: object) -> dict[str, object]:
    """An OSV record of one npm package."""
    row = {
        "package": {"ecosystem": "npm", "name": package},
        "ranges": [{"type": "SEMVER", "events": list(events)}],
    }
    return {"id": name, "modified": "2024-01-01T00:00:00Z", "affected": [row], **more}


def feed(folder: Path, *records: dict[str, object], name: str = "feed.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(item) + "\n" for item in records))
    return path


SIMPLE = record("GHSA-1", "a", {"introduced": "0"}, {"fixed": "1.2.0"}, aliases=["CVE-2024-0001"])


@pytest.fixture
def database(tmp_path: Path) -> Iterator[AdvisoryDatabase]:
    path = tmp_path / "db"
    build([feed(tmp_path, SIMPLE)], path)
    with AdvisoryDatabase.open(path) as opened:
        yield opened


def test_lookup_answers_by_ecosystem_and_name(database: AdvisoryDatabase) -> None:
    assert database.lookup("npm", "a") == [
        Affected("npm", "a", (Interval(end="1.2.0"),), advisory="GHSA-1")
    ]
    assert database.lookup("npm", "b") == ()
    assert database.lookup("PyPI", "a") == ()


def test_info_lists_what_the_database_holds(database: AdvisoryDatabase, tmp_path: Path) -> None:
    info = database.info()
    assert (info.advisories, info.vulnerabilities, info.packages, info.rows) == (1, 1, 1, 1)
    assert info.ecosystems == (("npm", 1),)
    assert [name for name, _digest in info.files] == ["feed.jsonl"]
    assert info.newest == "2024-01-01T00:00:00Z"
    assert info.size == (tmp_path / "db").stat().st_size
    assert list(database.packages()) == [("npm", "a")]
    database.verify()


def test_a_link_is_kept_and_the_file_behind_it_replaced(tmp_path: Path) -> None:
    volume, link = tmp_path / "volume", tmp_path / "db"
    volume.mkdir()
    (volume / "large.db").write_bytes(b"older")
    link.symlink_to("volume/large.db")
    build([feed(tmp_path, SIMPLE)], link)
    assert link.is_symlink()
    with AdvisoryDatabase.open(volume / "large.db") as opened:
        assert opened.info().advisories == 1
    assert [path.name for path in volume.iterdir()] == ["large.db"]
    link.unlink()
    link.symlink_to("unmounted/large.db")
    with pytest.raises(UsageError, match="is its volume mounted"):
        build([feed(tmp_path, SIMPLE)], link)


def test_the_same_feeds_in_any_order_make_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [
        record(f"GHSA-{number}", NAMES[number % 3], {"introduced": "0"}, {"fixed": f"{number}.0"})
        for number in range(40)
    ]
    one = feed(tmp_path, *records[:20], name="1.jsonl")
    two = feed(tmp_path, *records[20:], name="2.jsonl")
    build([one, two], tmp_path / "forth")
    build([two, one, one], tmp_path / "back")
    assert (tmp_path / "forth").read_bytes() == (tmp_path / "back").read_bytes()
    # Also where the sorting spills to disk after each few records.
    monkeypatch.setattr(external_sort.Spill.__init__, "__defaults__", (2000,))
    build([one, two], tmp_path / "spilled")
    assert (tmp_path / "forth").read_bytes() == (tmp_path / "spilled").read_bytes()


def test_progress_shows_files_and_steps(tmp_path: Path) -> None:
    steps: list[tuple[str, int]] = []
    build([feed(tmp_path, SIMPLE)], tmp_path / "db", lambda *args: steps.append(args))
    assert ("feed.jsonl", 1) in steps
    assert [step for step, _count in steps][-2:] == ["joining", "packages"]


@pytest.mark.parametrize(
    ("lines", "where"),
    [
        ([json.dumps(SIMPLE), '{"id": "GHSA-2"'], "record 2"),
        ([json.dumps(SIMPLE), '{"hello": 1}'], "record 2"),
        ([json.dumps(SIMPLE), json.dumps({**SIMPLE, "summary": "another"})], "record 2"),
        ([json.dumps({**SIMPLE, "affected": 1})], "record 1 (GHSA-1)"),
    ],
)
def test_a_bad_feed_names_its_record_and_keeps_the_old_database(
    tmp_path: Path, lines: list[str], where: str
) -> None:
    out = tmp_path / "db"
    build([feed(tmp_path, SIMPLE)], out)
    before = out.read_bytes()
    bad = tmp_path / "bad.jsonl"
    bad.write_text("\n".join(lines))
    with pytest.raises(FormatError) as caught:
        build([bad], out)
    assert caught.value.where == f"{bad}: {where}"
    assert out.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.jsonl", "db", "feed.jsonl"]


def test_a_repeated_record_that_says_the_same_is_one(tmp_path: Path) -> None:
    summary = build([feed(tmp_path, SIMPLE, SIMPLE)], tmp_path / "db")
    assert (summary.advisories, summary.rows) == (1, 1)


def test_an_absent_source_and_an_unwritable_output_are_reported(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        build([tmp_path / "none"], tmp_path / "db")
    with pytest.raises(DatabaseError):
        build([feed(tmp_path, SIMPLE)], tmp_path / "none" / "db")


def test_withdrawn_advisories_are_counted_and_not_kept(tmp_path: Path) -> None:
    summary = build([feed(tmp_path, {**SIMPLE, "withdrawn": "2024-02-02"})], tmp_path / "db")
    assert (summary.withdrawn, summary.advisories, summary.rows) == (1, 0, 0)


def test_rows_without_an_order_are_reported_with_their_place(tmp_path: Path) -> None:
    path = feed(tmp_path, record("GHSA-1", "a", {"introduced": "x"}))
    summary = build([path], tmp_path / "db")
    assert (summary.problem_count, summary.rows) == (1, 0)
    assert summary.problems[0].where.startswith(f"{path}: record 1")


def test_aliases_of_any_feed_join_under_the_cve(tmp_path: Path) -> None:
    events = ({"introduced": "0"},)
    records = [
        record("GHSA-1", "a", *events, aliases=["CVE-2024-0001"]),
        record("RUSTSEC-1", "b", *events, aliases=["GHSA-1"]),
        record("GHSA-2", "c", *events, aliases=["PYSEC-2"]),
        record("PYSEC-2", "d", *events, aliases=["GHSA-2"]),
    ]
    build([feed(tmp_path, *records)], tmp_path / "db")
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        about = {}
        for number in range(4):
            advisory = database.advisory(number)
            about[advisory.id] = [
                database.vulnerability(item).id for item in advisory.vulnerabilities
            ]
    assert about == {
        "GHSA-1": ["CVE-2024-0001"],
        "RUSTSEC-1": ["CVE-2024-0001"],
        "GHSA-2": ["GHSA-2"],
        "PYSEC-2": ["GHSA-2"],
    }


def test_facts_of_a_cve_join_its_record_and_others_are_left_out(tmp_path: Path) -> None:
    kev = tmp_path / "kev.json"
    entries = [
        {"cveID": name, "dateAdded": "2024-03-01"} for name in ("CVE-2024-0001", "CVE-2024-0009")
    ]
    kev.write_text(json.dumps({"catalogVersion": "1", "vulnerabilities": entries}))
    epss = tmp_path / "epss.csv"
    epss.write_text("cve,epss,percentile\nCVE-2024-0001,0.25,0.75\n")
    vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
    advisory = {**SIMPLE, "severity": [{"type": "CVSS_V3", "score": vector}], "summary": "Bad"}
    summary = build([feed(tmp_path, advisory), kev, epss], tmp_path / "db")
    assert summary.vulnerabilities == 1
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        found = database.vulnerability(0)
    assert (found.id, found.title, found.score) == ("CVE-2024-0001", "Bad", 9.8)
    assert (found.epss, found.epss_percentile, found.exploited_since) == (0.25, 0.75, "2024-03-01")
    assert found.vectors == (("GitHub", vector),)


@pytest.mark.parametrize("size", [0, 10, layout.HEADER_SIZE - 1, layout.HEADER_SIZE, -1, -100])
def test_a_truncated_database_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "db"
    build([feed(tmp_path, SIMPLE)], path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DatabaseError):
        AdvisoryDatabase.open(path)


def test_no_database_and_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError):
        AdvisoryDatabase.open(tmp_path / "none")
    (tmp_path / "other").write_bytes(b"SQLite format 3\0" + bytes(1000))
    with pytest.raises(DatabaseError):
        AdvisoryDatabase.open(tmp_path / "other")
    with pytest.raises(DatabaseError):
        AdvisoryDatabase.open(tmp_path)


def test_a_database_of_another_schema_is_refused_with_the_command_that_builds_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "db"
    build([feed(tmp_path, SIMPLE)], path)
    data = bytearray(path.read_bytes())
    data[len(layout.MAGIC)] += 1
    path.write_bytes(data)
    with pytest.raises(DatabaseError, match="build it again"):
        AdvisoryDatabase.open(path)


@pytest.mark.slow
def test_every_damaged_byte_is_noticed_on_open_or_by_verify(tmp_path: Path) -> None:
    path = tmp_path / "db"
    build([feed(tmp_path, SIMPLE)], path)
    data = path.read_bytes()
    written = layout.HEADER.size + 2 * layout.DIGEST_SIZE
    for place in [*range(written), *range(layout.HEADER_SIZE, len(data))]:
        damaged = bytearray(data)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        with pytest.raises(DatabaseError), AdvisoryDatabase.open(path) as database:
            database.verify()


def test_an_open_database_stays_what_it_was_when_another_takes_its_place(tmp_path: Path) -> None:
    path = tmp_path / "db"
    build([feed(tmp_path, SIMPLE)], path)
    with AdvisoryDatabase.open(path) as database:
        build([feed(tmp_path, record("GHSA-9", "z", {"introduced": "0"}))], path)
        database.verify()
        assert database.lookup("npm", "a")
    with AdvisoryDatabase.open(path) as renewed:
        assert renewed.lookup("npm", "z")


_versions = st.builds("{}.{}.0".format, st.integers(0, 3), st.integers(0, 9))
_rows = st.lists(
    st.tuples(st.sampled_from(NAMES), _versions, st.none() | _versions, st.booleans()),
    min_size=1,
    max_size=12,
)


@many(60)
@given(rows=_rows, version=_versions)
def test_hits_are_the_rows_whose_events_bound_the_version(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str, str | None, bool]],
    version: str,
) -> None:
    folder = tmp_path_factory.mktemp("law")
    records: list[dict[str, object]] = []
    expected: dict[str, dict[str, str]] = {}
    key = sort_key("npm", version)
    for number, (name, low, high, is_last) in enumerate(rows):
        start = "0" if number % 2 else low
        events = [{"introduced": start}]
        if high is not None and sort_key("npm", high) >= sort_key("npm", start):
            events.append({"last_affected" if is_last else "fixed": high})
        records.append(record(f"GHSA-{number}", name, *events))
        end = events[1] if len(events) > 1 else {}
        affected = start == "0" or key >= sort_key("npm", start)
        if "fixed" in end:
            affected = affected and key < sort_key("npm", end["fixed"])
        elif "last_affected" in end:
            affected = affected and key <= sort_key("npm", end["last_affected"])
        if affected:
            expected.setdefault(name, {})[f"GHSA-{number}"] = end.get("fixed", "")
    build([feed(folder, *records)], folder / "db")
    with AdvisoryDatabase.open(folder / "db") as database:
        for name in NAMES:
            group = database.group("npm", name)
            hits = group.hits(key) if group else []
            found = {database.advisory(hit.advisory).id: hit.fixed for hit in hits}
            assert found == expected.get(name, {})


def test_single_versions_count_beside_intervals(tmp_path: Path) -> None:
    row = {
        "package": {"ecosystem": "npm", "name": "a"},
        "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.0.0"}]}],
        "versions": ["0.5.0", "1.5.0", "not a version"],
    }
    advisory: dict[str, object] = {"id": "GHSA-1", "modified": "", "affected": [row]}
    summary = build([feed(tmp_path, advisory)], tmp_path / "db")
    assert summary.problem_count == 1
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        group = database.group("npm", "a")
        assert group is not None
        versions = ("0.5.0", "0.9.0", "1.0.0", "1.5.0", "1.5.1")
        found = [[hit.fixed for hit in group.hits(sort_key("npm", item))] for item in versions]
    assert found == [["1.0.0"], ["1.0.0"], [], [""], []]


def test_intervals_come_back_as_the_feed_wrote_them(tmp_path: Path) -> None:
    events = [
        {"introduced": "1.0.0"},
        {"fixed": "1.4.0"},
        {"introduced": "2.0.0"},
        {"last_affected": "2.2.0"},
        {"introduced": "3.0.0"},
    ]
    build([feed(tmp_path, record("GHSA-1", "a", *events))], tmp_path / "db")
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        (row,) = database.lookup("npm", "a")
    assert row.intervals == (
        Interval("1.0.0", "1.4.0"),
        Interval("2.0.0", "2.2.0", end_included=True),
        Interval("3.0.0"),
    )


def test_severities_and_states_of_rows_come_back(tmp_path: Path) -> None:
    row = {
        "package": {"ecosystem": "Debian:12", "name": "x"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
        "ecosystem_specific": {"urgency": "unimportant"},
    }
    advisory: dict[str, object] = {"id": "CVE-2024-0001", "modified": "", "affected": [row]}
    build([feed(tmp_path, advisory)], tmp_path / "db")
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        (found,) = database.lookup("Debian:12", "x")
    assert found.severity is Severity.INFORMATIONAL
    assert found.intervals == (Interval(),)


def test_spilled_pairs_come_back_sorted_and_once() -> None:
    pairs = [(bytes([number % 7]), bytes([number % 5])) for number in range(200)]
    with external_sort.Spill(budget=1000) as sorter:
        for key, value in pairs:
            sorter.put(key, value)
        assert list(sorter) == sorted(set(pairs))


def test_a_contradiction_within_a_file_is_damage(tmp_path: Path) -> None:
    other = record("GHSA-1", "b", {"introduced": "0"})
    with pytest.raises(DamagedError, match="other contents"):
        build([feed(tmp_path, SIMPLE, other)], tmp_path / "db")


def test_a_rejected_cve_is_no_finding_in_any_feed(tmp_path: Path) -> None:
    tracker = {**SIMPLE, "id": "DEBIAN-CVE-2024-0001", "upstream": ["CVE-2024-0001"]}
    erratum = {**SIMPLE, "id": "DSA-1-1", "related": ["CVE-2024-0001", "CVE-2024-0002"]}
    ghsa = {**SIMPLE, "id": "GHSA-aaaa-bbbb-cccc", "aliases": ["CVE-2024-0001"]}
    rejected = {
        "id": "CVE-2024-0001",
        "modified": "2024-01-01T00:00:00Z",
        "details": "Rejected reason: not a vulnerability",
    }
    lines = map(json.dumps, (tracker, erratum, ghsa, rejected))
    (tmp_path / "all.jsonl").write_text("\n".join(lines) + "\n")
    build([tmp_path / "all.jsonl"], tmp_path / "db")
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        info = database.info()
        vulnerabilities = {
            database.vulnerability(number).id for number in range(info.vulnerabilities)
        }
    # GitHub judges by itself: its own advisory stays, under its own name.
    assert vulnerabilities == {"CVE-2024-0002", "GHSA-aaaa-bbbb-cccc"}


def test_an_older_copy_of_a_withdrawn_advisory_does_not_count(tmp_path: Path) -> None:
    for name, record in (("a", SIMPLE), ("b", {**SIMPLE, "withdrawn": "2024-02-02"})):
        (tmp_path / f"{name}.json").write_text(json.dumps(record))
    summary = build([tmp_path / "a.json", tmp_path / "b.json"], tmp_path / "db")
    assert (summary.advisories, summary.rows, summary.packages) == (0, 0, 0)
