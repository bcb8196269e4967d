"""OSV's format, with what its publishers add: GitHub, Debian, SUSE, errata."""

from __future__ import annotations

import io

import pytest

from sidelight.advisories.feeds.formats import debian_tracker, osv, ubuntu_cves, ubuntu_oval
from sidelight.errors import DamagedError
from sidelight.model import Advisory, Affected, Interval, Problem, Severity
from tests.advisories.feeds.feed_documents import oval


def _osv(**fields: object) -> Advisory:
    record = {"id": "GHSA-xxxx", "modified": "2024-01-01T00:00:00Z", **fields}
    assert osv.recognises(record)
    (advisory,) = osv.parse(record)
    assert isinstance(advisory, Advisory)
    return advisory


def _row(ecosystem: str, name: str, *events: dict[str, str], **more: object) -> dict[str, object]:
    return {
        "package": {"ecosystem": ecosystem, "name": name},
        "ranges": [{"type": "ECOSYSTEM", "events": list(events)}],
        **more,
    }


def test_osv_events_become_intervals_in_the_ecosystems_order() -> None:
    events = [{"fixed": "1.10"}, {"introduced": "1.2"}, {"introduced": "2.0"}]
    advisory = _osv(affected=[_row("PyPI", "A_b.C", *events, {"last_affected": "2.5"})])
    (row,) = advisory.affected
    assert row.name == "a-b-c"
    assert row.intervals == (
        Interval("1.2", "1.10"),
        Interval("2.0", "2.5", end_included=True),
    )


def test_a_single_affected_version_ends_where_it_begins_in_any_order() -> None:
    """The schema leaves the order of events open."""
    events: list[dict[str, str]] = [{"last_affected": "1.5"}, {"introduced": "1.5"}]
    for sequence in (events, events[::-1]):
        advisory = _osv(affected=[_row("npm", "a", *sequence)])
        assert advisory.affected[0].intervals == (Interval("1.5", "1.5", end_included=True),)


def test_osv_a_range_that_ends_where_the_next_begins_stays_two() -> None:
    events = ({"introduced": "0"}, {"fixed": "1"}, {"introduced": "1"}, {"fixed": "2"})
    (row,) = _osv(affected=[_row("npm", "x", *events)]).affected
    assert row.intervals == (Interval("", "1"), Interval("1", "2"))


def test_osv_ranges_of_commits_are_no_versions() -> None:
    git = {"type": "GIT", "repo": "x", "events": [{"introduced": "0"}]}
    advisory = _osv(affected=[{"package": {"ecosystem": "npm", "name": "x"}, "ranges": [git]}])
    assert advisory.affected[0].intervals == ()


def test_osv_withdrawn_advisories_affect_nothing() -> None:
    row = _row("npm", "x", {"introduced": "0"})
    advisory = _osv(withdrawn="2024-02-01T00:00:00Z", affected=[row])
    assert advisory.withdrawn
    assert not advisory.affected


@pytest.mark.parametrize(
    "text",
    [
        {"summary": "Withdrawn: not a vulnerability in lodash"},
        {"summary": "Duplicate Advisory: ReDoS in x"},
        {"details": "## Duplicate Advisory\nThis advisory has been withdrawn because it is a"},
    ],
)
def test_osv_github_texts_that_say_withdrawn_count_without_the_field(text: dict[str, str]) -> None:
    assert _osv(affected=[_row("npm", "x", {"introduced": "0"})], **text).withdrawn


REJECTED = [
    "** REJECT ** DO NOT USE THIS CANDIDATE NUMBER.",
    "Rejected reason: This CVE ID has been rejected or withdrawn by its CVE Numbering Authority.",
]


@pytest.mark.parametrize("text", REJECTED)
def test_a_cve_that_its_authority_has_taken_back_affects_nothing(text: str) -> None:
    name = "CVE-2023-0001"
    (of_osv,) = osv.parse(
        {
            "id": name,
            "modified": "2024-01-01T00:00:00Z",
            "details": text,
            "affected": [_row("Debian:12", "x", {"introduced": "0"})],
        }
    )
    open_row = {"status": "open", "urgency": "not yet assigned"}
    (of_debian,) = debian_tracker.parse(
        {"x": {name: {"description": text, "releases": {"bookworm": open_row}}}}
    )
    needed = {"jammy": {"x": {"status": "needed"}}}
    (of_tracker,) = ubuntu_cves.parse(
        {"id": name, "priority": "low", "description": text, "packages": needed}
    )
    document = oval("oval:com.ubuntu.jammy:def:1").replace(b"Bad.", text.encode())
    (of_oval,) = ubuntu_oval.parse(io.BytesIO(document))
    for advisory in (of_osv, of_debian, of_tracker, of_oval):
        assert isinstance(advisory, Advisory)
        assert (advisory.id, advisory.withdrawn, advisory.affected) == (name, True, ())


def test_osv_an_erratum_is_about_its_related_cves_and_a_cve_is_not() -> None:
    row = _row("Debian:12", "x", {"introduced": "0"})
    erratum = _osv(id="DSA-1-1", related=["CVE-2024-0001", "CVE-2024-0002"], affected=[row])
    assert erratum.vulnerabilities == ("CVE-2024-0001", "CVE-2024-0002")
    cve = _osv(id="CVE-2024-0001", related=["CVE-2024-0009", "DSA-1-1"], affected=[row])
    assert cve.vulnerabilities == ("CVE-2024-0001",)
    assert _osv(id="UBUNTU-CVE-2024-0003", affected=[row]).vulnerabilities == ("CVE-2024-0003",)


def test_osv_errata_without_a_cve_that_fix_no_vulnerability_are_left_out() -> None:
    row = _row("AlmaLinux:9", "x", {"introduced": "0"}, {"fixed": "1-1"})
    record = {"id": "ALBA-2024:1", "modified": "", "affected": [row]}
    assert list(osv.parse(record)) == []
    assert list(osv.parse({**record, "id": "ALSA-2024:1"}))


def test_osv_the_module_stream_comes_from_the_erratums_title() -> None:
    row = _row("AlmaLinux:8", "nodejs", {"fixed": "1:16.1-1.module_el8.6"}, {"introduced": "0"})
    named = _osv(id="ALSA-1", summary="Important: nodejs:16 security update", affected=[row])
    assert (named.affected[0].module, named.severity) == ("nodejs:16", Severity.HIGH)
    unnamed = _osv(id="ALSA-2", summary="Important: nodejs security update", affected=[row])
    assert unnamed.affected[0].module == "?"


def test_osv_suse_lists_binaries_with_their_own_versions() -> None:
    row = _row(
        "SUSE:Linux Enterprise Module for Basesystem 15 SP5",
        "source",
        {"introduced": "0"},
        {"fixed": "1-1"},
        ecosystem_specific={"binaries": [{"one": "1-1", "two": "2-1"}]},
    )
    rows = _osv(id="SUSE-SU-2024:1-1", affected=[row]).affected
    assert [(row.ecosystem, row.name, row.intervals[0].end) for row in rows] == [
        ("SUSE:15.5", "one", "1-1"),
        ("SUSE:15.5", "two", "2-1"),
    ]


def test_osv_debians_urgency_is_the_rows_severity() -> None:
    def row(urgency: str) -> Affected:
        affected = _row(
            "Debian:12", "x", {"introduced": "0"}, ecosystem_specific={"urgency": urgency}
        )
        return _osv(id="CVE-2024-0001", affected=[affected]).affected[0]

    assert row("unimportant").severity is Severity.INFORMATIONAL
    assert row("not yet assigned").severity is None
    assert (row("end-of-life").severity, row("end-of-life").state) == (None, "end-of-life")


def test_osv_a_version_without_an_order_is_a_problem_and_loses_only_its_row() -> None:
    bad = _row("npm", "bad", {"introduced": "x.y.z"})
    good = _row("npm", "good", {"introduced": "0"})
    record = {"id": "GHSA-1", "modified": "", "affected": [bad, good]}
    problem, advisory = osv.parse(record)
    assert isinstance(problem, Problem)
    assert "bad" in problem.where
    assert isinstance(advisory, Advisory)
    assert [row.name for row in advisory.affected] == ["good"]


@pytest.mark.parametrize(
    "fields",
    [{"affected": {}}, {"affected": [1]}, {"aliases": "CVE"}, {"summary": 1}, {"severity": [3]}],
)
def test_osv_another_shape_is_damage(fields: dict[str, object]) -> None:
    with pytest.raises(DamagedError):
        list(osv.parse({"id": "GHSA-1", "modified": "", **fields}))


def test_osv_github_gives_the_bound_of_an_unfixed_range_beside_its_events() -> None:
    for bound, interval in (
        ("<= 1.5", Interval(end="1.5", end_included=True)),
        ("< 1.5", Interval(end="1.5")),
        ("about 1.5", Interval()),
    ):
        more = {"database_specific": {"last_known_affected_version_range": bound}}
        advisory = _osv(affected=[_row("npm", "a", {"introduced": "0"}, **more)])
        assert advisory.affected[0].intervals == (interval,)
        fixed = _osv(affected=[_row("npm", "a", {"introduced": "0"}, {"fixed": "2"}, **more)])
        assert fixed.affected[0].intervals == (Interval(end="2"),)


def test_osv_an_end_that_python_refuses_ends_with_the_release_it_is_a_build_of() -> None:
    advisory = _osv(affected=[_row("PyPI", "a", {"introduced": "1.2"}, {"fixed": "1.6ubuntu0.1"})])
    assert advisory.affected[0].intervals == (Interval("1.2", "1.6", end_included=True),)
