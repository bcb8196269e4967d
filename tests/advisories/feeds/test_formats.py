"""Each feed's format: what a record means, and what it must not be taken to mean."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest

from sidelight.advisories.feeds.formats import (
    alas,
    alpine_secdb,
    csaf,
    debian_tracker,
    epss,
    friendsofphp,
    kev,
    nvd,
    oracle_oval,
    osv,
    rocky_errata,
    rubysec,
    ubuntu_cves,
    ubuntu_oval,
    updateinfo,
)
from sidelight.errors import DamagedError, UnsupportedError
from sidelight.model import Advisory, Affected, Interval, Problem, Severity, VulnerabilityFact

if TYPE_CHECKING:
    from collections.abc import Mapping

VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


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
    document = _oval("oval:com.ubuntu.jammy:def:1").replace(b"Bad.", text.encode())
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


ALAS = {
    "ID": "ALAS2DOCKER-2021-001",
    "Title": "Amazon Linux 2 - ALAS2DOCKER-2021-001: important priority package update for docker",
    "Severity": "important",
    "Issued": {"Date": "2021-01-01"},
    "References": {"Reference": [{"Type": "cve", "ID": "CVE-2021-0001", "Href": "https://x"}]},
    "Pkglist": {
        "Collection": {
            "Package": [
                {"Name": "docker", "Epoch": "0", "Version": "20.1", "Release": "1.amzn2"},
                {"Name": "docker", "Epoch": "0", "Version": "20.1", "Release": "1.amzn2"},
                {"Name": "docker-debuginfo", "Epoch": "0", "Version": "20.1", "Release": "1"},
            ]
        }
    },
}


@pytest.mark.parametrize("repository", [{}, {"_repo": "2/extras/docker"}])
def test_alas_names_the_extras_repository_by_its_id_or_its_copy(repository: dict[str, str]) -> None:
    record = {**ALAS, **repository}
    assert alas.recognises(record)
    (advisory,) = alas.parse(record)
    assert advisory.severity is Severity.HIGH
    assert advisory.vulnerabilities == ("CVE-2021-0001",)
    (row,) = advisory.affected
    assert (row.ecosystem, row.stream, row.name) == ("Amazon Linux:2", "extras/docker", "docker")
    assert row.intervals == (Interval(end="20.1-1.amzn2"),)


UPDATEINFO = b"""<?xml version="1.0"?><updates>
<update type="security"><id>FEDORA-2024-1</id><title>x-2-1.fc39</title><release>Fedora 39</release>
<severity>Moderate</severity><description>Fixes CVE-2024-0007.</description>
<references/><pkglist><collection><name>Fedora 39</name>
<package name="x" version="2" release="1.fc39" epoch="1" arch="x86_64"/></collection></pkglist>
</update>
<update type="bugfix"><id>FEDORA-2024-2</id></update>
<update type="security"><id>ALSA-2024:1</id><title>Important: y:1 security update</title>
<references><reference type="cve" id="CVE-2024-0008" href="https://y"/></references><pkglist>
<collection><package name="y" version="2" release="1.module_el8.6" epoch="0"/></collection>
</pkglist></update>
<update type="security"><id>OTHER-1</id></update></updates>"""


def test_updateinfo_names_the_distribution_by_id_release_and_builds() -> None:
    fedora, alma, other = updateinfo.parse(io.BytesIO(UPDATEINFO))
    assert isinstance(fedora, Advisory)
    assert fedora.affected == (Affected("Fedora:39", "x", (Interval(end="1:2-1.fc39"),)),)
    assert fedora.vulnerabilities == ("CVE-2024-0007",)
    assert isinstance(alma, Advisory)
    assert (alma.affected[0].ecosystem, alma.affected[0].module) == ("AlmaLinux:8", "y:1")
    assert isinstance(other, Problem)


@pytest.mark.parametrize(
    "data",
    [
        UPDATEINFO[:300],
        b"",
        b"<updates>&#0;</updates>",
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><updates>&a;</updates>',
    ],
)
def test_updateinfo_that_is_cut_off_or_hostile_is_damage(data: bytes) -> None:
    with pytest.raises(DamagedError):
        list(updateinfo.parse(io.BytesIO(data)))


def test_alpine_version_zero_was_never_affected() -> None:
    record = {
        "distroversion": "v3.19",
        "packages": [
            {
                "pkg": {
                    "name": "xen",
                    "secfixes": {
                        "0": ["CVE-2020-0001"],
                        "4.1-r0": ["CVE-2020-0002 XSA-1", "XSA-2"],
                    },
                }
            }
        ],
    }
    assert alpine_secdb.recognises(record)
    found = {item.id: item for item in alpine_secdb.parse(record)}
    assert set(found) == {"CVE-2020-0002", "XSA-2"}
    assert found["XSA-2"].affected == (Affected("Alpine:v3.19", "xen", (Interval(end="4.1-r0"),)),)


def test_debian_states_decide_what_is_affected() -> None:
    def release(**fields: str) -> dict[str, object]:
        return {"releases": {"bookworm": fields, "sid": {"status": "open"}}}

    record = {
        "pkg": {
            "CVE-2020-0001": release(status="resolved", fixed_version="1-1", urgency="low**"),
            "CVE-2020-0002": release(status="resolved", fixed_version="0"),
            "CVE-2020-0003": release(status="open", nodsa="Minor issue", nodsa_reason="ignored"),
            "CVE-2020-0004": release(status="open", nodsa="Minor issue"),
            "CVE-2020-0005": release(status="undetermined"),
            "CVE-2020-0006": release(status="open", urgency="unimportant"),
            "CVE-2020-0007": release(status="open", urgency="end-of-life"),
        }
    }
    assert debian_tracker.recognises(record)
    rows = {item.id: item.affected for item in debian_tracker.parse(record)}
    assert {name[-1]: (row.intervals[0].end, row.state) for name, (row,) in rows.items()} == {
        "1": ("1-1", ""),
        "3": ("", "ignored"),
        "4": ("", "no-dsa"),
        "6": ("", ""),
        "7": ("", "end-of-life"),
    }
    assert rows["CVE-2020-0001"][0].severity is Severity.LOW
    assert rows["CVE-2020-0006"][0].severity is Severity.INFORMATIONAL


def test_ubuntu_statuses_decide_what_is_affected() -> None:
    record = {
        "id": "CVE-2020-0001",
        "priority": "medium",
        "cvss": {"nvd": f" {VECTOR} [9.8 CRITICAL]"},
        "packages": {
            "jammy": {
                "a": {"status": "released", "note": "1.0-1"},
                "b": {"status": "needed"},
                "c": {"status": "needs-triage"},
                "d": {"status": "not-affected", "note": "1.0"},
                "e": {"status": "ignored", "note": "end of life, was needed"},
                "f": {"status": "ignored", "note": "superseded"},
                "g": {"status": "pending", "note": "1.0-2"},
                "h": {"status": "pending"},
                "i": {"status": "ignored", "note": "end of life, was pending [1.0-3~22.04.1]"},
            },
            "esm-apps/jammy": {"b": {"status": "released", "note": "1.0-1~esm1"}},
            "upstream": {"a": {"status": "released", "note": "1.0"}},
        },
    }
    assert ubuntu_cves.recognises(record)
    advisory, fact = ubuntu_cves.parse(record)
    assert isinstance(advisory, Advisory)
    assert advisory.severity is Severity.MEDIUM
    assert advisory.vectors == ()
    assert fact == VulnerabilityFact("CVE-2020-0001", "NVD", vectors=(VECTOR,))
    rows = {(row.name, row.stream): (row.intervals[0].end, row.state) for row in advisory.affected}
    assert rows == {
        ("a", ""): ("1.0-1", ""),
        ("b", ""): ("", "needed"),
        ("e", ""): ("", "ignored"),
        ("b", "esm-apps"): ("1.0-1~esm1", ""),
        ("g", ""): ("1.0-2", "pending"),
        ("h", ""): ("", "pending"),
        ("i", ""): ("1.0-3~22.04.1", "ignored"),
    }


@pytest.mark.parametrize("release", ["trusty/esm", "esm/trusty"])
def test_ubuntus_esm_is_a_stream_in_either_way_of_writing(release: str) -> None:
    record = {
        "id": "CVE-2020-0001",
        "packages": {
            "trusty": {"a": {"status": "ignored", "note": "end of life, was needed"}},
            release: {"a": {"status": "released", "note": "1.0-1ubuntu1+esm1"}},
        },
    }
    (advisory,) = ubuntu_cves.parse(record)
    assert isinstance(advisory, Advisory)
    rows = {(row.ecosystem, row.stream): row.intervals[0].end for row in advisory.affected}
    assert rows == {("Ubuntu:14.04", "esm"): "1.0-1ubuntu1+esm1", ("Ubuntu:14.04", ""): ""}


def _oval(definition: str) -> bytes:
    return f"""<oval_definitions xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5">
<definitions><definition id="{definition}"><metadata><title>CVE-2023-0001 on Ubuntu</title>
<description>Bad. Update Instructions: do.</description>
<advisory><severity>Low</severity></advisory></metadata>
<criteria><criterion test_ref="t:1" comment="a package in jammy was vulnerable but has
been fixed (note: '1.0-1')."/><criterion test_ref="t:2" comment="b package in jammy is affected."/>
</criteria></definition></definitions><tests>
<linux_test id="t:1" comment="Does the 'a' package exist and is the version less than '1.0-1'?">
<state state_ref="s:1"/></linux_test>
<linux_test id="t:2" comment="Does the 'b' package exist?"/></tests><states>
<linux_state id="s:1"><evr operation="less than">0:1.0-1</evr></linux_state></states>
</oval_definitions>""".encode()


def test_ubuntu_oval_joins_definitions_tests_and_states() -> None:
    (advisory,) = ubuntu_oval.parse(io.BytesIO(_oval("oval:com.ubuntu.jammy:def:1")))
    assert (advisory.id, advisory.title, advisory.severity) == (
        "CVE-2023-0001",
        "Bad.",
        Severity.LOW,
    )
    assert [(row.ecosystem, row.name, row.intervals[0].end) for row in advisory.affected] == [
        ("Ubuntu:22.04", "a", "1.0-1"),
        ("Ubuntu:22.04", "b", ""),
    ]


def test_ubuntu_oval_of_another_distribution_is_unsupported() -> None:
    with pytest.raises(UnsupportedError):
        list(ubuntu_oval.parse(io.BytesIO(_oval("oval:org.debian:def:1"))))


def _csaf(
    publisher: str, platform: tuple[str, str], package: Mapping[str, object]
) -> dict[str, object]:
    name, cpe = platform
    return {
        "document": {
            "category": "csaf_vex",
            "title": "t",
            "publisher": {"name": publisher},
            "tracking": {"id": "CVE-2023-0001"},
            "aggregate_severity": {"text": "Moderate"},
        },
        "product_tree": {
            "branches": [
                {
                    "branches": [
                        {
                            "category": "product_name",
                            "name": name,
                            "product": {
                                "name": name,
                                "product_id": "P",
                                "product_identification_helper": {"cpe": cpe},
                            },
                        },
                        {"category": "product_version", "product": package},
                    ]
                }
            ],
            "relationships": [
                {
                    "full_product_name": {"product_id": "P:x"},
                    "product_reference": "x",
                    "relates_to_product_reference": "P",
                }
            ],
        },
        "vulnerabilities": [
            {
                "cve": "CVE-2023-0001",
                "product_status": {"fixed": ["P:x"], "known_affected": ["P:x"]},
                "remediations": [{"category": "no_fix_planned", "product_ids": ["P:x"]}],
            }
        ],
    }


def test_csaf_a_fixed_build_ends_the_affected_versions() -> None:
    package = {
        "name": "x-1:2-3.module+el9.aarch64",
        "product_id": "x",
        "product_identification_helper": {"purl": "pkg:rpm/redhat/x@2-3?rpmmod=m:1:2"},
    }
    platform = ("RHEL AppStream EUS (v. 9.2)", "cpe:/a:redhat:rhel_eus:9.2::appstream")
    record = _csaf("Red Hat Product Security", platform, package)
    assert csaf.recognises(record)
    (advisory,) = csaf.parse(record)
    assert (advisory.source, advisory.severity) == ("Red Hat", Severity.MEDIUM)
    assert advisory.affected == (
        Affected(
            "Red Hat:9", "x", (Interval(end="1:2-3.module+el9"),), stream="eus:9.2", module="m:1"
        ),
    )


def test_csaf_an_affected_source_package_has_no_end() -> None:
    package = {
        "name": "x",
        "product_id": "x",
        "product_identification_helper": {"purl": "pkg:rpm/redhat/x?arch=src"},
    }
    platform = ("Red Hat Enterprise Linux 9", "cpe:/o:redhat:enterprise_linux:9")
    (advisory,) = csaf.parse(_csaf("Red Hat Product Security", platform, package))
    assert advisory.affected == (
        Affected("Red Hat:9", "src:x", (Interval(),), state="no-fix-planned"),
    )


def test_csaf_of_suse_names_platforms_in_words() -> None:
    package = {"name": "x-2-3.1.x86_64", "product_id": "x"}
    platform = ("SUSE Linux Enterprise Module for Basesystem 15 SP5", "cpe:/o:suse:sle:15:sp5")
    (advisory,) = csaf.parse(_csaf("SUSE Product Security Team", platform, package))
    assert [(row.ecosystem, row.name) for row in advisory.affected] == [("SUSE:15.5", "x")]


def test_csaf_that_nests_without_end_is_damage() -> None:
    node: dict[str, object] = {}
    for _depth in range(100):
        node = {"branches": [node]}
    with pytest.raises(Exception, match="deeper"):
        list(csaf.parse({"document": {"category": "csaf_vex"}, "product_tree": node}))


def test_rubysec_affects_all_but_the_patched_and_unaffected() -> None:
    record = {
        "gem": "x",
        "cve": "2020-0001",
        "ghsa": "aaaa-bbbb-cccc",
        "title": "t",
        "cvss_v3": 9.8,
        "patched_versions": ["~> 2.1.4", ">= 3.0.2"],
        "unaffected_versions": ["< 1.5"],
    }
    assert rubysec.recognises(record)
    (advisory,) = rubysec.parse(record)
    assert advisory.severity is Severity.CRITICAL
    assert advisory.aliases == ("GHSA-aaaa-bbbb-cccc",)
    assert advisory.affected[0].intervals == (Interval("1.5", "2.1.4"), Interval("2.2.A", "3.0.2"))


def test_friendsofphp_branches_are_intervals() -> None:
    record = {
        "title": "t",
        "cve": None,
        "_path": "a/b/1.yaml",
        "reference": "composer://A/b",
        "branches": {"1.x": {"versions": [">=1.0", "<1.2"]}, "2.x": {"versions": ["<=2.1"]}},
    }
    assert friendsofphp.recognises(record)
    (advisory,) = friendsofphp.parse(record)
    assert (advisory.id, advisory.affected[0].name) == ("FRIENDSOFPHP-a/b/1", "a/b")
    assert advisory.affected[0].intervals == (
        Interval("1.0-dev", "1.2"),
        Interval("", "2.1", end_included=True),
    )


def test_rocky_errata_of_both_forms_name_their_builds() -> None:
    old = {
        "name": "RLSA-2024:1",
        "affectedProducts": ["Rocky Linux 9"],
        "synopsis": "Important: x security update",
        "severity": "SEVERITY_IMPORTANT",
        "cves": [{"name": "CVE-2024-0001", "cvss3ScoringVector": VECTOR}],
        "rpms": {"Rocky Linux 9": {"nvras": ["x-1:2-3.el9.x86_64.rpm", "x-1:2-3.el9.src.rpm"]}},
    }
    package = {"nevra": "x-1:2-3.el9.x86_64.rpm", "product_name": "Rocky Linux 9 x86_64"}
    cve = {"cve": "CVE-2024-0001", "cvss3_scoring_vector": VECTOR}
    new = old | {"severity": "Important", "rpms": None, "packages": [package], "cves": [cve]}
    for record in (old, {"advisories": [new]}):
        assert rocky_errata.recognises(record)
        advisory, fact = rocky_errata.parse(record)
        assert fact == VulnerabilityFact("CVE-2024-0001", "Rocky Linux", vectors=(VECTOR,))
        assert isinstance(advisory, Advisory)
        assert advisory.severity is Severity.HIGH
        assert advisory.affected == (Affected("Rocky Linux:9", "x", (Interval(end="1:2-3.el9"),)),)


def test_kev_has_the_day_since_which_a_vulnerability_is_exploited() -> None:
    entry = {"cveID": "CVE-2021-0001", "dateAdded": "2021-11-03", "vulnerabilityName": "x"}
    record = {"catalogVersion": "1", "vulnerabilities": [entry]}
    assert kev.recognises(record)
    assert list(kev.parse(record)) == [
        VulnerabilityFact("CVE-2021-0001", "CISA", title="x", exploited_since="2021-11-03")
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"#model_version:v1\ncve,epss,percentile\nCVE-2020-0001,0.5,0.9\n",
        b"CVE,CVSS3,EPSS,EPSS Percentile\nCVE-2020-0001,9.8,0.5,0.9\n",
    ],
)
def test_epss_finds_its_columns_by_name(data: bytes) -> None:
    assert list(epss.parse(io.BytesIO(data))) == [
        VulnerabilityFact("CVE-2020-0001", "FIRST", epss=0.5, epss_percentile=0.9)
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a,b\n1,2\n",
        b"cve,epss\nCVE-2020-0001\n",
        b"cve,epss\nCVE-2020-0001,much\n",
        b"cve,epss\nCVE-2020-0001,7\n",
        b"cve,epss\nCVE-2020-0001,nan\n",
        b"\xff\xfe",
    ],
)
def test_epss_of_another_shape_is_damage(data: bytes) -> None:
    with pytest.raises(DamagedError):
        list(epss.parse(io.BytesIO(data)))


def _oracle(
    criteria: str, title: str = "ELSA-2024-1:  Moderate: a security update  (MODERATE)"
) -> str:
    return f"""<oval_definitions xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5">
    <definitions><definition id="oval:com.oracle.elsa:def:1"><metadata><title>
    {title}</title>
    <reference source="elsa" ref_url="https://linux.oracle.com/errata/ELSA-2024-1.html"/>
    <advisory><severity>MODERATE</severity><issued date="2024-01-02"/>
    <cve cvss3="9.8/CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H">CVE-2024-0001</cve>
    </advisory></metadata>{criteria}</definition></definitions></oval_definitions>"""


def _earlier(*packages: str, module: str = "", release: int = 8) -> str:
    criteria = "".join(f'<criterion comment="{text}"/>' for text in packages)
    enabled = f'<criterion comment="Module {module} is enabled"/>' if module else ""
    return f"""<criteria operator="AND"><criterion comment="Oracle Linux {release} is installed"/>
    {enabled}<criteria operator="OR"><criteria operator="AND">{criteria}</criteria></criteria>
    </criteria>"""


def test_oracle_oval_nests_release_module_and_builds() -> None:
    criteria = _earlier("a is earlier than 0:1-1.el8", "a is signed with the Oracle Linux 8 key")
    criteria += _earlier("b is earlier than 2:2-1.module+el8", module="b:ol")
    criteria += _earlier("c is earlier than 2:2-1.0.1.ksplice1.el9", release=9)
    criteria += _earlier("d is earlier than 10:3-1.el9_fips", release=9)
    (advisory,) = oracle_oval.parse(io.BytesIO(_oracle(criteria).encode()))
    assert (advisory.id, advisory.source) == ("ELSA-2024-1", "Oracle")
    assert advisory.vulnerabilities == ("CVE-2024-0001",)
    assert advisory.vectors == ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",)
    assert advisory.severity is Severity.MEDIUM
    assert advisory.affected == (
        Affected("Oracle Linux:8", "a", (Interval(end="1-1.el8"),)),
        Affected("Oracle Linux:8", "b", (Interval(end="2:2-1.module+el8"),), module="b:ol"),
        Affected(
            "Oracle Linux:9", "c", (Interval(end="2:2-1.0.1.ksplice1.el9"),), stream="ksplice"
        ),
        Affected("Oracle Linux:9", "d", (Interval(end="10:3-1.el9_fips"),), stream="fips"),
    )


def test_a_document_that_is_not_oracle_oval_is_refused() -> None:
    with pytest.raises(UnsupportedError):
        list(oracle_oval.parse(io.BytesIO(_oracle("", title="Something else").encode())))
    with pytest.raises(DamagedError):
        list(oracle_oval.parse(io.BytesIO(_oracle("")[:200].encode())))
    deep = "<criteria>" * 30 + "</criteria>" * 30
    with pytest.raises(DamagedError, match="deep"):
        list(oracle_oval.parse(io.BytesIO(_oracle(deep).encode())))


def test_updateinfo_of_bottlerocket_is_of_all_its_versions() -> None:
    data = b"""<updates><update type="security"><id>BRSA-1</id><title>kernel</title>
    <references><reference type="cve" id="CVE-2024-0001"/></references><pkglist><collection
    short="bottlerocket"><name>Bottlerocket</name><package name="kernel" version="0.3.3"
    release="b7d" epoch="0"/></collection></pkglist></update></updates>"""
    (advisory,) = updateinfo.parse(io.BytesIO(data))
    assert isinstance(advisory, Advisory)
    assert advisory.affected == (Affected("Bottlerocket", "kernel", (Interval(end="0.3.3-b7d"),)),)


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


TWO = "AV:N/AC:L/Au:N/C:P/I:P/A:P"
FOUR = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"


def _metric(source: str, vector: str) -> dict[str, object]:
    return {"source": source, "type": "Primary", "cvssData": {"vectorString": vector}}


def _nvd(*entries: object, **more: object) -> bytes:
    document = {"format": "NVD_CVE", "version": "2.0", "vulnerabilities": entries, **more}
    return json.dumps(document, indent=1).encode()


def test_nvd_names_the_source_of_each_vector() -> None:
    metrics = {
        "cvssMetricV40": [_metric("cna@example.com", FOUR)],
        "cvssMetricV31": [_metric("nvd@nist.gov", VECTOR), _metric("cna@example.com", VECTOR)],
        "cvssMetricV2": [_metric("nvd@nist.gov", TWO)],
        "ssvcV203": [{"source": "x", "ssvcData": {}}],
    }
    data = _nvd(
        {"cve": {"id": "CVE-2024-0001", "vulnStatus": "Analyzed", "metrics": metrics}},
        {"cve": {"id": "CVE-2024-0002", "vulnStatus": "Rejected", "metrics": metrics}},
        {"cve": {"id": "CVE-2024-0003", "vulnStatus": "Received", "metrics": {}}},
    )
    assert nvd.recognises(data[: nvd.HEAD])
    assert list(nvd.parse(io.BytesIO(data))) == [
        VulnerabilityFact("CVE-2024-0001", "NVD", vectors=(VECTOR, TWO)),
        VulnerabilityFact("CVE-2024-0001", "cna@example.com", vectors=(VECTOR, FOUR)),
        Advisory("CVE-2024-0002", "NVD", withdrawn=True),
    ]


def test_nvd_is_read_an_entry_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = {"cvssMetricV31": [_metric("nvd@nist.gov", VECTOR)]}
    entries = [{"cve": {"id": f"CVE-2024-{n:04}", "metrics": metrics}} for n in range(50)]
    whole = _nvd(*entries, last="of all")
    for chunk in (100, 333, 5000):
        monkeypatch.setattr(nvd, "_CHUNK", chunk)
        facts = list(nvd.parse(io.BytesIO(whole)))
        assert [fact.id for fact in facts] == [entry["cve"]["id"] for entry in entries]
    assert list(nvd.parse(io.BytesIO(_nvd(totalResults=0)))) == []


@pytest.mark.parametrize("cut", [1, 2, 30, 200])
def test_nvd_that_is_cut_off_is_damaged(cut: int) -> None:
    entries = [{"cve": {"id": f"CVE-2024-{n:04}", "metrics": {}}} for n in range(9)]
    with pytest.raises(DamagedError):
        list(nvd.parse(io.BytesIO(_nvd(*entries)[:-cut])))


def test_nvd_has_no_endless_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvd, "_MAX_ENTRY", 1000)
    monkeypatch.setattr(nvd, "_CHUNK", 100)
    data = _nvd({"cve": {"id": "CVE-2024-0001", "more": "x" * 5000}})
    with pytest.raises(DamagedError, match="too long"):
        list(nvd.parse(io.BytesIO(data)))


@pytest.mark.parametrize("field", ["patched_versions", "unaffected_versions"])
def test_rubysec_cut_off_behind_the_name_of_a_list_is_damage(field: str) -> None:
    record = {"gem": "a", "title": "b", "cve": "2024-0001", "description": "c", field: None}
    with pytest.raises(DamagedError, match="cut off"):
        list(rubysec.parse(record))
