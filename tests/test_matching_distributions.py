"""Which packages of a distribution an advisory is about: source, binary, origin, release, epoch."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sidelight.advisories import AdvisoryDatabase, build
from sidelight.matching import match, questions, unmatched_ecosystems
from sidelight.model import Inventory, OperatingSystem, Status
from tests.fixtures.matches import BOOKWORM, JAMMY, found, osv, package

if TYPE_CHECKING:
    from pathlib import Path


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
