"""Packages of other vendors, of containers and of kernels: by whose advisories they are judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from dispatcher.cli import scan
from sidelight.advisories import AdvisoryDatabase
from sidelight.matching import questions, unmatched_ecosystems
from sidelight.model import Inventory, OperatingSystem, Status
from tests.fixtures.matches import BOOKWORM, JAMMY, found, osv, package

if TYPE_CHECKING:
    from pathlib import Path

RHEL = OperatingSystem(id="rhel", version_id="9.4")
ALMA = OperatingSystem(id="almalinux", version_id="9.4")


def test_another_vendors_build_is_not_judged_and_is_listed_as_uncovered(tmp_path: Path) -> None:
    records = [
        osv(
            "RHSA-1",
            "Red Hat:enterprise_linux:9",
            "nginx",
            "2:1.20-1.el9",
            related=["CVE-2024-0001"],
        )
    ]
    own = package("rpm", "nginx", "1:1.19-1.el9", vendor="Red Hat, Inc.")
    other = package("rpm", "nginx", "1:1.28-1.el9.ngx", vendor="NGINX Packaging")
    assert [item.package for item in found(tmp_path, records, own, other, os=RHEL)] == [own]
    inventory = Inventory(Status.COMPLETE, RHEL, (own, other))
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        (item,) = unmatched_ecosystems(inventory, database)
    assert (item.ecosystem, item.packages, item.coverable) == ("NGINX", 1, False)
    assert "(nginx)" in item.why
    assert questions(Inventory(Status.COMPLETE, RHEL, (other,))) == frozenset()


def test_a_build_of_the_former_distribution_is_judged_by_that_ones_errata(tmp_path: Path) -> None:
    records = [
        osv("RHSA-1", "Red Hat:enterprise_linux:9", "x", "2-1.el9", related=["CVE-2024-0001"]),
        osv("ALSA-1", "AlmaLinux:9", "x", "3-1.el9", related=["CVE-2024-0002"]),
    ]
    left = package("rpm", "x", "1-1.el9", vendor="CentOS")
    own = package("rpm", "x", "1-1.el9", vendor="AlmaLinux")
    assert [i.vulnerability for i in found(tmp_path, records, left, os=ALMA)] == ["CVE-2024-0001"]
    assert [i.vulnerability for i in found(tmp_path, records, own, os=ALMA)] == ["CVE-2024-0002"]


def test_a_containers_packages_are_judged_by_its_own_distribution(tmp_path: Path) -> None:
    records = [
        osv("CVE-2024-0001", "Debian:12", "x"),
        osv("ALPINE-CVE-2024-0002", "Alpine:v3.19", "busybox", "2-r0", upstream=["CVE-2024-0002"]),
        osv("RHSA-1", "Red Hat:enterprise_linux:9", "y", "2-1.el9", related=["CVE-2024-0003"]),
    ]
    packages = (
        package("deb", "x", "1-1", layer="docker", purl="pkg:deb/debian/x@1-1?distro=debian-11"),
        package("apk", "busybox", "1-r0", layer="docker",
                purl="pkg:apk/alpine/busybox@1-r0?arch=x86_64&distro=alpine-3.19.1"),
        package("rpm", "y", "1-1.el9", layer="docker",
                purl="pkg:rpm/redhat/y@1-1.el9?distro=rhel-9.4"),
    )  # fmt: skip
    findings = found(tmp_path, records, *packages)
    assert [(item.package.name, item.ecosystem) for item in findings] == [
        ("busybox", "Alpine:v3.19"),
        ("y", "Red Hat:9"),
    ]
    assert {item.package.layer for item in findings} == {"docker"}
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        (listed,) = unmatched_ecosystems(Inventory(Status.COMPLETE, BOOKWORM, packages), database)
    assert (listed.ecosystem, listed.packages) == ("Debian:11 in docker", 1)


@pytest.mark.parametrize(
    ("os", "ecosystem", "source", "image", "others"),
    [
        (BOOKWORM, "Debian:12", "linux", ("linux-image-6.1.0-29-amd64", "linux-signed-amd64"),
         [("linux-image-amd64", "linux-signed-amd64"), ("linux-headers-amd64", "linux"),
          ("linux-headers-6.1.0-29-amd64", "linux"), ("linux-libc-dev", "linux")]),
        (JAMMY, "Ubuntu:22.04:LTS", "linux", ("linux-image-6.8.0-40-generic", "linux-signed"),
         [("linux-image-generic", "linux"), ("linux-headers-6.8.0-40", "linux"),
          ("linux-tools-common", "linux")]),
    ],
)  # fmt: skip
def test_a_kernels_vulnerabilities_are_reported_for_its_image_alone(  # noqa: PLR0917
    tmp_path: Path,
    os: OperatingSystem,
    ecosystem: str,
    source: str,
    image: tuple[str, str],
    others: list[tuple[str, str]],
) -> None:
    records = [osv("CVE-2024-0001", ecosystem, source, "6.9-1")]
    packages = [package("deb", name, "6.1-1", source_name=of) for name, of in (image, *others)]
    assert [item.package.name for item in found(tmp_path, records, *packages, os=os)] == [image[0]]


def test_an_rpm_kernels_headers_and_tools_do_not_repeat_it(tmp_path: Path) -> None:
    names = ("kernel-core", "kernel-headers", "kernel-tools", "kernel-devel", "bpftool", "perf")
    records = [
        osv(f"ALSA-{name}", "AlmaLinux:9", name, "5.14-2.el9", related=["CVE-2024-0001"])
        for name in names
    ]
    packages = [package("rpm", name, "5.14-1.el9", source_name="kernel") for name in names]
    assert [i.package.name for i in found(tmp_path, records, *packages, os=ALMA)] == ["kernel-core"]
    # Tools that are older than a kernel which is fixed have the finding themselves.
    packages[0] = package("rpm", "kernel-core", "5.14-2.el9", source_name="kernel")
    package_names = {item.package.name for item in found(tmp_path, records, *packages, os=ALMA)}
    assert package_names == {*names} - {"kernel-core"}


def test_headers_without_a_kernel_keep_their_findings(tmp_path: Path) -> None:
    records = [osv("CVE-2024-0001", "Debian:12", "linux", "6.9-1")]
    headers = package("deb", "linux-libc-dev", "6.1-1", source_name="linux")
    assert len(found(tmp_path, records, headers)) == 1


@pytest.mark.parametrize(
    ("identity", "version", "pretty", "feed", "names"),
    [
        ("openeuler", "24.03", "openEuler 24.03 (LTS-SP1)", "openEuler:24.03-LTS-SP1",
         ("libcurl", "curl")),
        ("openeuler", "22.03", "openEuler 22.03 LTS", "openEuler:22.03-LTS", ("libcurl", "curl")),
        ("photon", "5.0", "", "Photon OS:5.0", ("curl-libs", "curl")),
        ("photon", "5.0", "", "Photon OS:5.0", ("curl", "curl")),
        ("azurelinux", "3.0", "", "Azure Linux:3", ("curl-libs", "curl")),
        ("mariner", "2.0", "", "Azure Linux:2", ("curl-libs", "curl")),
        ("mageia", "9", "", "Mageia:9", ("lib64curl4", "curl")),
        ("sl-micro", "6.1", "", "SUSE:Linux Micro 6.1", ("curl", "curl")),
        ("opensuse-leap-micro", "5.5", "", "openSUSE:Leap Micro 5.5", ("curl", "curl")),
        ("opensuse-microos", "20260101", "", "openSUSE:Tumbleweed", ("curl", "curl")),
    ],
)  # fmt: skip
def test_each_rpm_distribution_is_judged_by_its_own_feed(  # noqa: PLR0917
    tmp_path: Path, identity: str, version: str, pretty: str, feed: str, names: tuple[str, str]
) -> None:
    os = OperatingSystem(id=identity, version_id=version, pretty_name=pretty)
    records = [osv("X-1", feed, "curl", "8.1.2-2", upstream=["CVE-2026-0001"])]
    old = package("rpm", names[0], "8.1.2-1", source_name=names[1], source_version="8.1.2-1")
    new = package("rpm", names[0], "8.1.2-2", source_name=names[1], source_version="8.1.2-2")
    assert len(found(tmp_path, records, old, os=os)) == 1
    assert found(tmp_path, records, new, os=os) == []


def test_a_local_build_is_within_a_public_versions_range(tmp_path: Path) -> None:
    last = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"last_affected": "2.0.1"}]}
    torch = {"ecosystem": "PyPI", "name": "torch"}
    records = [
        osv("PYSEC-1", "PyPI", "torch") | {"affected": [{"package": torch, "ranges": [last]}]},
        osv("PYSEC-2", "PyPI", "torch", "2.0.1"),
        osv("PYSEC-3", "PyPI", "torch") | {"affected": [{"package": torch, "versions": ["2.0.1"]}]},
    ]
    build = package("pypi", "torch", "2.0.1+cu118")
    ids = {item.vulnerability for item in found(tmp_path, records, build)}
    assert ids == {"PYSEC-1", "PYSEC-3"}


def test_an_unlisted_system_is_not_judged_by_its_parents_advisories(tmp_path: Path) -> None:
    records = [osv("ALSA-1", "AlmaLinux:9", "x", "2-1.el9")]
    os = OperatingSystem(id="cloudlinux", version_id="9.4", id_like="rhel fedora centos")
    old = package("rpm", "x", "1-1.el9")
    assert found(tmp_path, records, old, os=os) == []
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        (listed,) = unmatched_ecosystems(Inventory(Status.COMPLETE, os, (old,)), database)
    assert listed.ecosystem == "cloudlinux:9.4"


def test_a_vendors_name_is_inert_in_the_scans_last_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = package("rpm", "ngin\x1bx", "1:1.28-1.el9.ngx", vendor="NGINX\x1b]0;x\x07 Packaging")
    found(tmp_path, [osv("RHSA-1", "Red Hat:enterprise_linux:9", "y", "2-1.el9")], other, os=RHEL)
    machine = Inventory(Status.COMPLETE, RHEL, (other,))
    monkeypatch.setattr(scan, "read", lambda *_: machine)
    image = tmp_path / "disk.img"
    image.write_bytes(b"")
    done = CliRunner().invoke(scan.scan, [str(image), "--advisories", str(tmp_path / "db")])
    assert "not covered: 1 package" in done.stdout
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout


@pytest.mark.parametrize(
    ("source", "is_own"),
    [
        ("linux", True),
        ("linux-signed-amd64", True),
        ("linux-6.12", True),
        ("linux-upstream", False),
        ("linux-4.9.0-custom", False),
    ],
)
def test_a_kernel_built_by_hand_is_not_covered(
    tmp_path: Path, source: str, *, is_own: bool
) -> None:
    records = [osv("CVE-2024-0001", "Debian:12", "linux", "6.1.90-1")]
    kernel = package(
        "deb", "linux-image-6.9.0", "6.9.0-1", source_name=source, vendor="Jane <jane@box>"
    )
    found(tmp_path, records, kernel, os=BOOKWORM)
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        listed = unmatched_ecosystems(Inventory(Status.COMPLETE, BOOKWORM, (kernel,)), database)
    assert [item.ecosystem for item in listed] == ([] if is_own else ["a kernel built by hand"])


@pytest.mark.parametrize("kind", ["rpm", "apk", "alpm"])
def test_packages_of_another_manager_are_not_judged_by_the_distributions_advisories(
    tmp_path: Path, kind: str
) -> None:
    records = [osv("CVE-2024-0001", "Debian:12", "bash", "9-1")]
    own, other = package("deb", "bash", "5-1"), package(kind, "bash", "5-1")
    assert [item.package for item in found(tmp_path, records, own, other, os=BOOKWORM)] == [own]
    inventory = Inventory(Status.COMPLETE, BOOKWORM, (own, other))
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        (item,) = unmatched_ecosystems(inventory, database)
    assert (item.ecosystem, item.packages, item.coverable) == (kind, 1, False)
