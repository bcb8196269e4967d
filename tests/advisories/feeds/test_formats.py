"""Each distribution's and language's own format: what is affected until which version."""

from __future__ import annotations

import io

import pytest

from sidelight.advisories.feeds.formats import (
    alas,
    alpine_secdb,
    debian_tracker,
    friendsofphp,
    rocky_errata,
    rubysec,
    ubuntu_cves,
    updateinfo,
)
from sidelight.errors import DamagedError
from sidelight.model import Advisory, Affected, Interval, Problem, Severity, VulnerabilityFact
from tests.advisories.feeds.feed_documents import VECTOR

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


def test_updateinfo_of_bottlerocket_is_of_all_its_versions() -> None:
    data = b"""<updates><update type="security"><id>BRSA-1</id><title>kernel</title>
    <references><reference type="cve" id="CVE-2024-0001"/></references><pkglist><collection
    short="bottlerocket"><name>Bottlerocket</name><package name="kernel" version="0.3.3"
    release="b7d" epoch="0"/></collection></pkglist></update></updates>"""
    (advisory,) = updateinfo.parse(io.BytesIO(data))
    assert isinstance(advisory, Advisory)
    assert advisory.affected == (Affected("Bottlerocket", "kernel", (Interval(end="0.3.3-b7d"),)),)


@pytest.mark.parametrize("field", ["patched_versions", "unaffected_versions"])
def test_rubysec_cut_off_behind_the_name_of_a_list_is_damage(field: str) -> None:
    record = {"gem": "a", "title": "b", "cve": "2024-0001", "description": "c", field: None}
    with pytest.raises(DamagedError, match="cut off"):
        list(rubysec.parse(record))
