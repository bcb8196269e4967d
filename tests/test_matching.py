"""Findings of a machine: which, how severe, fixed by what; and what cannot be decided."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest

from sidelight.advisories import AdvisoryDatabase
from sidelight.matching import Matcher, match, questions, unmatched_ecosystems
from sidelight.model import Inventory, OperatingSystem, Severity, Status
from tests.fixtures.matches import BOOKWORM, CRITICAL, MEDIUM, found, osv, package

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType


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


def test_a_kernel_that_does_not_run_finds_nothing(tmp_path: Path) -> None:
    records = [osv("CVE-2024-0001", "Debian:12", "linux", "6.1.2-1")]
    kernels = [
        package("deb", f"linux-image-{n}", "6.1.1-1", source_name="linux", running_kernel=runs)
        for n, runs in enumerate((True, False, None))
    ]
    names = [item.package.name for item in found(tmp_path, records, *kernels)]
    assert names == ["linux-image-0", "linux-image-2"]


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
