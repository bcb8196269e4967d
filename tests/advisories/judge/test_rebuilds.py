"""Builds of products and rebuilders: with which fixes they are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.model import OperatingSystem
from tests.fixtures.matches import found, osv, package

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.model import Package

RHEL = OperatingSystem(id="rhel", version_id="9.4")
ROCKY = OperatingSystem(id="rocky", version_id="9.4")


def _rhsa(number: int, stream: str, name: str, fixed: str) -> dict[str, object]:
    cve = f"CVE-2024-{number:04}"
    return osv(f"RHSA-{number}", f"Red Hat:{stream}", name, fixed, related=[cve])


def _names(
    folder: Path, records: list[dict[str, object]], os: OperatingSystem, *packages: Package
) -> set[str]:
    return {item.vulnerability for item in found(folder, records, *packages, os=os)}


@pytest.mark.parametrize(
    ("installed", "fixed", "is_found"),
    [
        ("4:1.1.12-2.el9", "4:1.1.12-3.rhaos4.14.el9", False),
        ("4:1.1.12-2.rhaos4.14.el9", "4:1.1.12-3.rhaos4.14.el9", True),
        ("4:1.1.12-3.rhaos4.14.el9", "4:1.1.12-3.rhaos4.14.el9", False),
        ("4:1.1.12-2.rhaos4.13.el9", "4:1.1.12-3.rhaos4.14.el9", False),  # another OpenShift
        ("4:1.1.12-2.rhaos4.14.git1.el9", "4:1.1.12-3.rhaos4.14.git2.el9", True),
        # A product's copy of the distribution's build.
        ("4:1.1.12-2.el9_0", "4:1.1.12-3.el9_2", False),
        ("4:1.1.12-2.el9ost", "4:1.1.12-3.el9ost", True),
    ],
)
def test_a_products_fix_is_for_its_own_builds(
    tmp_path: Path, installed: str, fixed: str, is_found: bool
) -> None:
    records = [
        _rhsa(1, "openshift:4.14::el9", "runc", fixed),
        _rhsa(2, "enterprise_linux:9::appstream", "runc", "4:1.0-1.el9"),
    ]
    names = _names(tmp_path, records, RHEL, package("rpm", "runc", installed))
    assert ("CVE-2024-0001" in names) is is_found


@pytest.mark.parametrize(
    ("installed", "fixed", "is_found"),
    [
        ("4.2.6p5-29.el7.centos.2", "4.2.6p5-29.el7_8.2", False),
        ("4.2.6p5-29.el7.centos.1", "4.2.6p5-29.el7_8.2", True),
        ("4.2.6p5-29.el7.centos", "4.2.6p5-29.el7_8.2", True),
        ("4.2.6p5-29.el7.centos", "4.2.6p5-29.el7", False),
        ("4.2.6p5-28.el7.centos.9", "4.2.6p5-29.el7_8.2", True),
        ("4.2.6p5-30.el7.centos", "4.2.6p5-29.el7_8.2", False),
        ("1-1.el6.centos.5", "1-1.el6_10.5", False),
        ("1:10.24.0-1.module_el8.3.0+717+fa49", "1:10.24.0-1.module+el8.3.0+10166+b07a", False),
        ("1:10.23.0-1.module_el8.3.0+717+fa49", "1:10.24.0-1.module+el8.3.0+10166+b07a", True),
        ("1:10.24.0-1.module_el8.2.0+717+fa49", "1:10.24.0-1.module+el8.3.0+10166+b07a", True),
    ],
)
def test_centos_rebuilds_are_compared_as_what_they_rebuild(
    tmp_path: Path, installed: str, fixed: str, is_found: bool
) -> None:
    major = "8" if "el8" in fixed else "6" if "el6" in fixed else "7"
    records = [_rhsa(1, f"enterprise_linux:{major}::server", "x", fixed)]
    os = OperatingSystem(id="centos", version_id=major)
    build = package("rpm", "x", installed, vendor="CentOS")
    assert bool(_names(tmp_path, records, os, build)) is is_found


@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        ("5.14.0-427.el9_4", {"CVE-2024-0002"}),
        ("5.14.0-427.20.el9_4", set()),
        ("5.14.0-427.el9_4.cloud.1.0", {"CVE-2024-0001"}),
        ("5.14.0-427.28.1.el9_4.cloud.1.0", set()),
    ],
)
def test_cloud_kernels_of_rocky_have_their_own_errata(
    tmp_path: Path, installed: str, expected: set[str]
) -> None:
    records = [
        osv("RXSA-1", "Rocky Linux:9", "kernel", "0:5.14.0-427.28.1.el9_4.cloud.1.0",
            related=["CVE-2024-0001"]),
        osv("RLSA-2", "Rocky Linux:9", "kernel", "0:5.14.0-427.20.el9_4",
            related=["CVE-2024-0002"]),
    ]  # fmt: skip
    kernel = package(
        "rpm", "kernel-core", installed, source_name="kernel", source_version=installed
    )
    assert _names(tmp_path, records, ROCKY, kernel) == expected
