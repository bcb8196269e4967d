"""Findings of a machine: which, how severe, fixed by what; and what cannot be decided."""

from __future__ import annotations

import copy
import json
import pickle
import sys
from dataclasses import FrozenInstanceError, fields, replace
from datetime import date
from typing import TYPE_CHECKING

import pytest

from sidelight.advisories import AdvisoryDatabase, build
from sidelight.matching import Matcher, match, questions, unmatched_ecosystems
from sidelight.model import (
    Finding,
    FixAvailable,
    Inventory,
    OperatingSystem,
    Severity,
    Status,
)
from sidelight.store.base import documents
from tests.fixtures.matches import BOOKWORM, JAMMY, found, osv, package

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType


CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
MEDIUM = "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N"
HIGH_V4 = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:H/VA:N/SC:N/SI:N/SA:N"


def test_two_feeds_that_speak_of_one_cve_make_one_finding(tmp_path: Path) -> None:
    records = [
        osv("GHSA-1", "PyPI", "a", "1.2", aliases=["CVE-2024-0001"], vector=MEDIUM),
        osv("PYSEC-1", "PyPI", "A", "1.3", aliases=["CVE-2024-0001"], vector=CRITICAL),
    ]
    (finding,) = found(tmp_path, records, package("pypi", "A", "1.0"))
    assert finding.vulnerability == "CVE-2024-0001"
    assert finding.advisories == ("GHSA-1", "PYSEC-1")
    # What satisfies both, and the severer of two equal authorities.
    assert finding.fixed_version == "1.3"
    assert finding.severity is Severity.CRITICAL
    assert finding.remediation == "pip install --upgrade 'A>=1.3'"


def test_an_erratum_of_two_cves_makes_two_findings(tmp_path: Path) -> None:
    erratum = osv("DSA-1-1", "Debian:12", "x", "1-2", related=["CVE-2024-0002", "CVE-2024-0001"])
    findings = found(tmp_path, [erratum], package("deb", "x", "1-1"))
    assert [finding.vulnerability for finding in findings] == ["CVE-2024-0001", "CVE-2024-0002"]
    assert {finding.advisories for finding in findings} == {("DSA-1-1",)}


def test_debian_matches_the_source_package_and_its_version(tmp_path: Path) -> None:
    records = [osv("CVE-2024-0001", "Debian:12", "glibc", "2.36-9+deb12u3")]
    binary = package(
        "deb", "libc6", "2.36-9+deb12u1+b1", source_name="glibc", source_version="2.36-9+deb12u1"
    )
    (finding,) = found(tmp_path, records, binary)
    assert finding.package.name == "libc6"
    assert finding.remediation == "apt-get install --only-upgrade libc6"
    fixed = replace(binary, source_version="2.36-9+deb12u3")
    assert found(tmp_path, records, fixed) == []


def test_debians_backports_are_builds_of_the_release_they_come_from(tmp_path: Path) -> None:
    records = [
        osv("CVE-2024-0001", "Debian:12", "x"),
        osv("CVE-2024-0002", "Debian:12", "x", "1.0-1+deb12u1"),
        osv("CVE-2024-0001", "Debian:13", "x", "1.2-3"),
        osv("CVE-2024-0003", "Debian:13", "x", "1.2-4"),
    ]
    records[2]["id"] = "DEBIAN-CVE-2024-0001"
    backported = package("deb", "x", "1.2-3~bpo12+1+b1", source_version="1.2-3~bpo12+1")
    (finding,) = found(tmp_path, records, backported)
    assert (finding.vulnerability, finding.fixed_version) == ("CVE-2024-0003", "1.2-4")
    # Its signed kernel too, and one that an upgrade from Debian 11 left behind is Debian 12's.
    kernel = package("deb", "x", "1.2-2~bpo12+1", source_name="linux-signed-amd64")
    assert len(found(tmp_path, [osv("CVE-2024-0003", "Debian:13", "linux", "1.2-3")], kernel)) == 1
    left = package("deb", "x", "1.0-1~bpo11+1")
    assert {item.vulnerability for item in found(tmp_path, records, left)} == {
        "CVE-2024-0001",
        "CVE-2024-0002",
    }


def test_a_backport_of_a_release_without_advisories_is_reported(tmp_path: Path) -> None:
    feed = tmp_path / "feed.json"
    feed.write_text(json.dumps(osv("CVE-2024-0001", "Debian:12", "x")))
    build([feed], tmp_path / "db")
    packages = (package("deb", "x", "1.2-3~bpo12+1"),)
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        inventory = Inventory(Status.COMPLETE, BOOKWORM, packages)
        assert match(inventory, database) == []
        (unmatched,) = unmatched_ecosystems(inventory, database)
    assert (unmatched.ecosystem, unmatched.packages) == ("Debian:13", 1)
    assert questions(inventory) == {("Debian:13", "x")}


@pytest.mark.parametrize(
    ("identity", "version", "ecosystem"),
    [
        ("alpine", "3.19.1", "Alpine:v3.19"),
        ("wolfi", "20230201", "Wolfi"),
        ("chainguard", "20230214", "Chainguard"),
    ],
)
def test_apks_distributions_match_the_origin(
    tmp_path: Path, identity: str, version: str, ecosystem: str
) -> None:
    records = [osv("CVE-2024-0001", ecosystem, "openssl", "3.1.4-r5")]
    os = OperatingSystem(id=identity, version_id=version)
    library = package("apk", "libcrypto3", "3.1.4-r4", source_name="openssl")
    (finding,) = found(tmp_path, records, library, os=os)
    assert finding.remediation == "apk add --upgrade libcrypto3"


def test_red_hats_family_matches_the_binary(tmp_path: Path) -> None:
    records = [osv("ALSA-2024:1", "AlmaLinux:9", "openssl-libs", "1:3.0.7-27.el9")]
    os = OperatingSystem(id="almalinux", version_id="9.3")
    packages = (
        package("rpm", "openssl-libs", "1:3.0.7-25.el9", source_name="openssl"),
        package("rpm", "openssl", "1:3.0.7-25.el9", source_name="openssl"),
    )
    (finding,) = found(tmp_path, records, *packages, os=os)
    assert finding.package.name == "openssl-libs"
    assert finding.remediation == "dnf upgrade --advisory ALSA-2024:1 openssl-libs"


def test_an_epoch_counts_if_the_feed_has_one_and_not_for_suse(tmp_path: Path) -> None:
    alma = OperatingSystem(id="almalinux", version_id="9.3")
    rows = [osv("ALSA-1", "AlmaLinux:9", "bind", "32:9.16-1.el9")]
    assert found(tmp_path, rows, package("rpm", "bind", "9.17-1.el9"), os=alma)
    sles = OperatingSystem(id="sles", version_id="15.5")
    suse = [osv("SUSE-SU-1", "SUSE:Linux Enterprise Server 15 SP5", "bind", "9.16-1")]
    assert found(tmp_path, suse, package("rpm", "bind", "1:9.15-1"), os=sles)


def test_another_release_of_the_distribution_does_not_match(tmp_path: Path) -> None:
    records = [osv("CVE-2024-0001", "Debian:11", "x", "2-1")]
    assert found(tmp_path, records, package("deb", "x", "1-1")) == []


@pytest.mark.parametrize(
    ("facts", "severity", "source", "score"),
    [
        ({}, Severity.UNTRIAGED, "", None),
        ({"vector": CRITICAL}, Severity.CRITICAL, "CVE", 9.8),
        ({"urgency": "not yet assigned", "vector": CRITICAL}, Severity.CRITICAL, "CVE", 9.8),
        ({"urgency": "low", "vector": CRITICAL}, Severity.LOW, "Debian", 9.8),
        ({"urgency": "unimportant"}, Severity.INFORMATIONAL, "Debian", None),
        ({"vector": HIGH_V4}, Severity.HIGH, "CVE", 8.7),
        ({"vector": "CVSS:3.1/nonsense"}, Severity.UNTRIAGED, "", None),
    ],
)
def test_the_distributions_word_goes_before_a_score_and_no_word_is_untriaged(
    tmp_path: Path, facts: dict[str, object], severity: Severity, source: str, score: float | None
) -> None:
    records = [osv("CVE-2024-0001", "Debian:12", "x", "", **facts)]
    (finding,) = found(tmp_path, records, package("deb", "x", "1-1"))
    assert (finding.severity, finding.severity_source) == (severity, source)
    assert finding.cvss_score == score


def test_a_cves_own_score_goes_before_an_erratum_of_several(tmp_path: Path) -> None:
    records = [
        osv(
            "RLSA-2024:1",
            "Rocky Linux:9",
            "x",
            "2-1",
            related=["CVE-2024-0001", "CVE-2024-0002"],
            summary="Important: x security update",
            vector=CRITICAL,
        ),
        osv("GHSA-1", "npm", "y", aliases=["CVE-2024-0001"], vector=MEDIUM),
    ]
    os = OperatingSystem(id="rocky", version_id="9.3")
    one, two = found(tmp_path, records, package("rpm", "x", "1-1", source_name="x"), os=os)
    assert (one.severity, one.severity_source, one.cvss_score) == (Severity.MEDIUM, "GitHub", 6.1)
    assert (two.severity, two.severity_source) == (Severity.HIGH, "Rocky Linux")


def test_whether_a_fix_is_available(tmp_path: Path) -> None:
    records = [
        osv("GHSA-1", "npm", "a", "2.0.0", aliases=["CVE-2024-0001"]),
        osv("GHSA-2", "npm", "b", aliases=["CVE-2024-0002"]),
        osv("GHSA-3", "npm", "c", "2.0.0", aliases=["CVE-2024-0003"]),
        osv("MAL-3", "npm", "c", aliases=["CVE-2024-0003"]),
    ]
    packages = [package("npm", name, "1.0.0") for name in "abc"]
    findings = found(tmp_path, records, *packages)
    assert [item.fix_available for item in findings] == [
        FixAvailable.YES,
        FixAvailable.NO,
        FixAvailable.PARTIAL,
    ]
    assert [item.remediation for item in findings] == [
        "npm install a@2.0.0",
        "",
        "npm install c@2.0.0",
    ]


def test_a_hostile_name_stays_one_word_of_the_command(tmp_path: Path) -> None:
    name = "x; rm -rf $HOME"
    (finding,) = found(
        tmp_path, [osv("GHSA-1", "npm", name, "2.0.0")], package("npm", name, "1.0.0")
    )
    assert finding.remediation == "npm install 'x; rm -rf $HOME@2.0.0'"


def test_withdrawn_advisories_find_nothing(tmp_path: Path) -> None:
    records = [osv("GHSA-1", "npm", "a", withdrawn="2024-01-01T00:00:00Z")]
    assert found(tmp_path, records, package("npm", "a", "1.0.0")) == []


def test_the_state_of_a_package_without_a_fix_is_reported(tmp_path: Path) -> None:
    records = [osv("CVE-2024-0001", "Debian:12", "x", urgency="end-of-life")]
    (finding,) = found(tmp_path, records, package("deb", "x", "1-1"))
    assert (finding.state, finding.fix_available) == ("end-of-life", FixAvailable.NO)


def test_a_kernel_that_does_not_run_finds_nothing(tmp_path: Path) -> None:
    records = [osv("CVE-2024-0001", "Debian:12", "linux", "6.1.2-1")]
    kernels = [
        package("deb", f"linux-image-{n}", "6.1.1-1", source_name="linux", running_kernel=runs)
        for n, runs in enumerate((True, False, None))
    ]
    names = [item.package.name for item in found(tmp_path, records, *kernels)]
    assert names == ["linux-image-0", "linux-image-2"]


@pytest.mark.parametrize(
    ("os", "ecosystem", "source", "kernel"),
    [
        (BOOKWORM, "Debian:12", "linux-signed-amd64", "linux"),
        (BOOKWORM, "Debian:12", "linux", "linux"),
        (JAMMY, "Ubuntu:22.04:LTS", "linux-signed", "linux"),
        (JAMMY, "Ubuntu:22.04:LTS", "linux-signed-aws", "linux-aws"),
    ],
)
def test_a_signed_kernel_is_the_kernel(
    tmp_path: Path, os: OperatingSystem, ecosystem: str, source: str, kernel: str
) -> None:
    records = [osv("CVE-2024-0001", ecosystem, kernel, "6.1.99-1")]
    image = package("deb", "linux-image-x", "6.1.90-1", source_name=source, source_version="7+1")
    image = image if source != "linux" else replace(image, source_version="6.1.90-1")
    assert found(tmp_path, records, image, os=os)
    assert not found(
        tmp_path, records, replace(image, version="6.1.99-1", source_version=""), os=os
    )


def test_red_hats_unfixed_source_packages_match_their_binaries(tmp_path: Path) -> None:
    records = [osv("CVE-2024-0001", "Red Hat:enterprise_linux:9", "src:openssl")]
    os = OperatingSystem(id="rhel", version_id="9.3")
    packages = (
        package("rpm", "openssl-libs", "1:3.0.7-25.el9", source_name="openssl"),
        package("rpm", "bash", "5.1-1.el9", source_name="bash"),
    )
    (finding,) = found(tmp_path, records, *packages, os=os)
    assert finding.package.name == "openssl-libs"


def test_rocky_linuxs_osv_speaks_of_source_packages(tmp_path: Path) -> None:
    """And of their epochs' last digits, so that these do not count: bind's is 32."""
    records = [osv("RLSA-2024:1", "Rocky Linux:9", "bind", "2:9.16.23-18.el9_4.6")]
    os = OperatingSystem(id="rocky", version_id="9.4")
    old, new = (
        package(
            "rpm",
            "bind-libs",
            f"32:9.16.23-{release}",
            source_name="bind",
            source_version=f"9.16.23-{release}",
        )
        for release in ("18.el9_4.1", "18.el9_4.6")
    )
    (finding,) = found(tmp_path, records, old, os=os)
    assert (finding.package.name, finding.fixed_version) == ("bind-libs", "9.16.23-18.el9_4.6")
    assert finding.remediation == "dnf upgrade --advisory RLSA-2024:1 bind-libs"
    assert found(tmp_path, records, new, os=os) == []
    inventory = Inventory(Status.COMPLETE, os, (old,))
    assert questions(inventory) == {
        ("Rocky Linux:9", "bind-libs"),
        ("Rocky Linux:9", "src:bind"),
    }


def test_what_fedora_built_for_another_distribution_is_epels(tmp_path: Path) -> None:
    records = [osv("FEDORA-1", "EPEL:9", "x", "2-1.el9", aliases=["CVE-2024-0001"])]
    os = OperatingSystem(id="almalinux", version_id="9.3")
    epel = package("rpm", "x", "1-1.el9", vendor="Fedora Project")
    assert found(tmp_path, records, epel, os=os)
    assert not found(tmp_path, records, replace(epel, vendor="AlmaLinux"), os=os)
    records = [osv("FEDORA-2", "EPEL:7", "x", "2-1.el7", aliases=["CVE-2024-0001"])]
    amazon = OperatingSystem(id="amzn", version_id="2")
    assert found(tmp_path, records, replace(epel, version="1-1.el7"), os=amazon)


def test_findings_come_sorted_whatever_the_inventorys_order(tmp_path: Path) -> None:
    records = [
        osv("GHSA-2", "npm", "a", aliases=["CVE-2024-0002"]),
        osv("GHSA-1", "npm", "a", aliases=["CVE-2024-0001"]),
        osv("GHSA-3", "npm", "b"),
    ]
    packages = [package("npm", "b", "1.0.0"), package("npm", "a", "1.0.0")]
    forth = found(tmp_path, records, *packages)
    assert [item.vulnerability for item in forth] == ["CVE-2024-0001", "CVE-2024-0002", "GHSA-3"]
    assert found(tmp_path, records, *reversed(packages)) == forth


def test_a_matcher_answers_the_same_the_second_time(tmp_path: Path) -> None:
    found(tmp_path, [osv("GHSA-1", "npm", "a")])
    inventory = Inventory(Status.COMPLETE, BOOKWORM, (package("npm", "a", "1.0.0"),))
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        matcher = Matcher(database)
        assert matcher.match(inventory) == matcher.match(inventory) == match(inventory, database)


@pytest.mark.parametrize(
    ("kind", "vendor", "os", "most"),
    [
        ("deb", "", BOOKWORM, 9),
        ("deb", "Matthias Klose <doko@debian.org>", BOOKWORM, 11),
        ("rpm", "AlmaLinux", OperatingSystem(id="almalinux", version_id="9.4"), 11),
        ("npm", "", BOOKWORM, 9),
    ],
)
def test_a_package_that_was_matched_before_takes_few_calls(
    tmp_path: Path, kind: str, vendor: str, os: OperatingSystem, most: int
) -> None:
    """The rules of vendors, containers and names may cost a package no more than this."""
    ecosystems = ("Debian:12", "AlmaLinux:9", "npm")
    found(tmp_path, [osv(f"CVE-2024-000{n}", name, "a") for n, name in enumerate(ecosystems)])
    packages = [package(kind, f"other{n}", f"1.{n}", vendor=vendor) for n in range(100)]
    inventory = Inventory(Status.COMPLETE, os, tuple(packages))
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    with AdvisoryDatabase.open(tmp_path / "db") as database:
        matcher = Matcher(database)
        matcher.match(inventory)
        sys.setprofile(count)
        try:
            matcher.match(inventory)
        finally:
            sys.setprofile(None)
    assert calls / len(packages) < most


def test_what_the_database_cannot_decide_is_listed(tmp_path: Path) -> None:
    found(tmp_path, [osv("GHSA-1", "npm", "a")])
    packages = (
        package("npm", "a", "1.0.0"),
        package("npm", "a", "no version"),
        package("deb", "x", "1-1"),
        package("deb", "y", "1-1"),
        package("generic", "z", "1"),
    )
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        listed = unmatched_ecosystems(Inventory(Status.COMPLETE, BOOKWORM, packages), database)
        unknown = unmatched_ecosystems(
            Inventory(Status.COMPLETE, OperatingSystem(), packages[2:3]), database
        )
        empty = unmatched_ecosystems(Inventory(Status.COMPLETE, BOOKWORM), database)
    assert [(item.ecosystem, item.packages) for item in listed] == [
        ("Debian:12", 2),
        ("generic", 1),
        ("npm", 1),
    ]
    assert "a no version" in listed[2].why
    assert [item.ecosystem for item in unknown] == ["deb of an unknown operating system"]
    assert [(item.ecosystem, item.packages) for item in empty] == [("Debian:12", 0)]


@pytest.mark.parametrize(
    ("day", "count"),
    [(None, 0), (date(2028, 6, 30), 0), (date(2028, 7, 1), 1)],
)
def test_a_discontinued_system_is_a_critical_finding_of_its_own(
    tmp_path: Path, day: date | None, count: int
) -> None:
    found(tmp_path, [osv("GHSA-1", "npm", "a")])
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        findings = match(Inventory(Status.COMPLETE, BOOKWORM), database, today=day)
    assert len(findings) == count
    for finding in findings:
        assert finding.severity is Severity.CRITICAL
        assert "Debian GNU/Linux 12" in finding.title
        assert finding.package.type == "os"


def test_centos_ends_by_itself_though_it_is_matched_as_red_hat(tmp_path: Path) -> None:
    found(tmp_path, [osv("GHSA-1", "npm", "a")])
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        for identity, count in (("centos", 1), ("rhel", 0)):
            os = OperatingSystem(id=identity, version_id="8.5")
            inventory = Inventory(Status.COMPLETE, os)
            assert len(match(inventory, database, today=date(2022, 1, 1))) == count


def test_a_containers_system_packages_are_not_the_machines(tmp_path: Path) -> None:
    records = [osv("CVE-2024-0001", "Debian:12", "x"), osv("GHSA-1", "npm", "a")]
    packages = (
        package("deb", "x", "1-1", layer="docker"),
        package("npm", "a", "1.0.0", layer="docker"),
    )
    assert [item.package.name for item in found(tmp_path, records, *packages)] == ["a"]
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        (listed,) = unmatched_ecosystems(Inventory(Status.COMPLETE, BOOKWORM, packages), database)
    assert (listed.ecosystem, listed.packages) == ("deb in docker", 1)


@pytest.mark.parametrize(
    ("distro", "fixed"),
    [("debian-11", "1.0"), ("debian-12", "2.0"), ("opensuse-leap-15.6", ""), ("", "")],
)
def test_a_package_of_another_root_is_judged_by_that_root_s_system(
    tmp_path: Path, distro: str, fixed: str
) -> None:
    records = [
        osv("CVE-2024-0011", "Debian:11", "x", "1.0"),
        osv("CVE-2024-0012", "Debian:12", "x", "2.0"),
    ]
    purl = f"pkg:deb/debian/x@0.5?arch=amd64&distro={distro}"
    one = replace(package("deb", "x", "0.5", layer="/srv/chroot"), purl=purl)
    findings = found(tmp_path, records, one)
    expected = {"1.0": ["CVE-2024-0011"], "2.0": ["CVE-2024-0012"], "": []}[fixed]
    assert [finding.vulnerability for finding in findings] == expected
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        missing = unmatched_ecosystems(Inventory(Status.COMPLETE, BOOKWORM, (one,)), database)
    assert bool(missing) == (not fixed)


def test_findings_can_be_kept_in_a_set(tmp_path: Path) -> None:
    records = [osv("GHSA-1", "npm", "a", vector=CRITICAL, references=[{"url": "https://x"}])]
    (finding,) = found(tmp_path, records, package("npm", "a", "1.0.0"))
    assert len({finding, replace(finding)}) == 1


@pytest.mark.parametrize(
    "use",
    [repr, hash, copy.copy, pickle.dumps, replace, documents.dump, lambda finding: finding],
    ids=["repr", "hash", "copy", "pickle", "replace", "stored", "compared"],
)
def test_a_finding_that_was_not_read_yet_is_as_any_other(
    tmp_path: Path, use: Callable[[Finding], object]
) -> None:
    records = [osv("CVE-2024-0001", "Debian:12", "a", "1.2", vector=MEDIUM, summary="Bad")]
    unread, read = (found(tmp_path, records, package("deb", "a", "1.0"))[0] for _ in range(2))
    read = Finding(**{member.name: getattr(read, member.name) for member in fields(Finding)})
    assert (read.title, read.cvss_score) == ("Bad", 6.1)
    assert use(unread) == use(read)


def test_a_finding_has_no_member_that_is_none_of_a_findings(tmp_path: Path) -> None:
    records = [osv("CVE-2024-0001", "Debian:12", "a", "1.2")]
    (finding,) = found(tmp_path, records, package("deb", "a", "1.0"))
    assert not hasattr(finding, "titel")
    with pytest.raises(FrozenInstanceError):
        finding.title = "x"  # type: ignore[misc]  # that it cannot be is what is tested


@pytest.mark.parametrize(
    ("part", "whole"),
    [
        ("org.apache.tomcat:tomcat-catalina", "org.apache.tomcat:tomcat"),
        ("org.apache.tomcat.embed:tomcat-embed-core", "org.apache.tomcat:tomcat"),
        ("org.apache.tomcat.embed:tomcat-embed-core", "org.apache.tomcat:tomcat-coyote"),
        ("org.keycloak:keycloak-services", "org.keycloak:keycloak-parent"),
        ("org.wildfly:wildfly-ee", "org.wildfly.bom:wildfly"),
        ("org.apache.kafka:kafka_2.13", "org.apache.kafka:kafka"),
        ("org.apache.spark:spark-core_2.12", "org.apache.spark:spark-parent_2.12"),
    ],
)
def test_a_part_is_matched_with_what_is_said_of_its_whole(
    tmp_path: Path, part: str, whole: str
) -> None:
    records = [osv("GHSA-1", "Maven", whole, "9.0.54", aliases=["CVE-2021-42340"])]
    (finding,) = found(tmp_path, records, package("maven", part, "9.0.50"))
    assert finding.package.name == part
    assert not found(tmp_path, records, package("maven", part, "9.0.54"))
    inventory = Inventory(Status.COMPLETE, BOOKWORM, (package("maven", part, "9.0.50"),))
    assert ("Maven", whole) in questions(inventory)


def test_a_whole_is_one_finding_whatever_number_of_parts_is_there(tmp_path: Path) -> None:
    names = ("tomcat-catalina", "tomcat-coyote", "tomcat-util", "tomcat-jasper")
    records = [
        osv("GHSA-1", "Maven", "org.apache.tomcat:tomcat", "9.0.54", aliases=["CVE-2021-42340"]),
        osv("GHSA-2", "Maven", "org.apache.tomcat:tomcat-catalina", "9.0.54",
            aliases=["CVE-2021-42340"]),
    ]  # fmt: skip
    parts = [package("maven", f"org.apache.tomcat:{name}", "9.0.50") for name in names]
    (finding,) = found(tmp_path, records, *parts)
    assert finding.advisories == ("GHSA-1", "GHSA-2")


@pytest.mark.parametrize(
    "origin",
    ["vcs_url=git%2Bhttps://example.com/a@b", "repository_url=https://example.com",
     "download_url=file:."],
)  # fmt: skip
@pytest.mark.parametrize(("kind", "ecosystem"), [("npm", "npm"), ("cargo", "crates.io")])
def test_a_package_of_another_origin_is_not_the_public_one(
    tmp_path: Path, kind: str, ecosystem: str, origin: str
) -> None:
    records = [osv("A-1", ecosystem, "serial", "9", aliases=["CVE-2017-1"])]
    own = package(kind, "serial", "1.0.0", purl=f"pkg:{kind}/serial@1.0.0?{origin}")
    public = package(kind, "serial", "1.0.0", purl=f"pkg:{kind}/serial@1.0.0")
    assert not found(tmp_path, records, own)
    assert len(found(tmp_path, records, public)) == 1
    inventory = Inventory(Status.COMPLETE, BOOKWORM, (own,))
    assert not questions(inventory)
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        silent = {item.ecosystem for item in unmatched_ecosystems(inventory, database)}
    assert f"{kind} from elsewhere than the public registry" in silent


@pytest.mark.parametrize(
    ("kind", "ecosystem", "name", "feed_name"),
    [
        ("hex", "Hex", "plug", "plug"),
        ("pub", "Pub", "dio", "dio"),
        (
            "swift",
            "SwiftURL",
            "github.com/apple/swift-nio",
            "https://github.com/apple/swift-nio.git",
        ),
        ("npm", "npm", "JSONStream", "JSONStream"),
    ],
)
def test_each_language_ecosystem_orders_its_versions(
    tmp_path: Path, kind: str, ecosystem: str, name: str, feed_name: str
) -> None:
    records = [osv("A-1", ecosystem, feed_name, "1.10.0", aliases=["CVE-2024-1"])]
    assert len(found(tmp_path, records, package(kind, name, "1.9.0"))) == 1
    assert not found(tmp_path, records, package(kind, name, "1.10.0"))
