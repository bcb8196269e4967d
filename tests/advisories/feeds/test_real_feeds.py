"""Every kind of feed as its publisher has it: files of the real form, with what they hold.

Counts are (advisories and facts, rows, an ecosystem): counted in each file, by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.advisories.feeds import read
from sidelight.errors import DamagedError, UnsupportedError
from sidelight.model import Advisory

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.errors import SidelightError

pytestmark = pytest.mark.conformance

FILES: dict[str, tuple[int, int, str]] = {
    "alma/osv/**/all.zip": (2, 25, "AlmaLinux:9"),
    "alma/updateinfo/**/106ba7*-updateinfo.xml.gz": (1, 1, "AlmaLinux:9"),
    "alpine/osv/**/all.zip": (2, 10, "Alpine:v3.19"),
    "alpine/secdb/**/v3.16/main.json": (2, 2, "Alpine:v3.16"),
    "amazon/**/updateinfo_2.xml.gz": (1, 1, "Amazon Linux:2"),
    "amazon/**/updateinfo_2_kernel-5.15.xml.gz": (1, 11, "Amazon Linux:2"),
    "amazon/**/updateinfo_2023.xml.gz": (1, 11, "Amazon Linux:2023"),
    "amazon/**/updateinfo_2023_kernel-livepatch.xml.gz": (1, 1, "Amazon Linux:2023"),
    "bottlerocket/**/updateinfo.xml.gz": (1, 1, "Bottlerocket"),
    "cisa/kev/**/known_exploited_vulnerabilities.json": (1, 0, ""),
    "debian/osv/**/all.zip": (3, 3, "Debian:6.0"),
    "debian/tracker/api/**/advisory.json": (2, 2, "Debian:11"),
    "epss/**/epss_scores-2021-04-14.csv.gz": (2, 0, ""),
    "epss/**/epss_scores-2023-03-07.csv.gz": (2, 0, ""),
    "fedora/**/43/Everything/**/*updateinfo.xml.zst": (0, 0, ""),  # one update, of a bug
    "fedora/**/38/Modular/**/*updateinfo.xml.xz": (1, 0, ""),  # whose packages it does not list
    "oracle/**/com.oracle.elsa-all.xml.bz2": (2, 9, "Oracle Linux:8"),
    "redhat/csaf/**/rhsa-2023_7435.json": (1, 120, "Red Hat:8"),
    "redhat/csaf/**/csaf_advisories_2024-08-11.tar.zst": (5, 234, "Red Hat:9"),
    "redhat/osv/**/all.zip": (3, 33, "Red Hat:9"),
    "redhat/vex/**/vex-archive.tar.zst": (5, 267, "Red Hat:7"),
    "rocky/errata/**/page1.json": (2, 9, "Rocky Linux:10"),
    "rocky/osv/**/all.zip": (2, 2, "Rocky Linux:9"),
    "rocky/updateinfo/**/dddd*-updateinfo.xml.gz": (1, 1, "Rocky Linux:8"),
    "suse/csaf/**/csaf.tar.bz2": (3, 78, "SUSE:12.1"),
    "suse/osv/**/osv.tar.bz2": (8, 662, "SUSE:12.0"),
    "ubuntu/cve/**/20_20.json": (1, 38, "Ubuntu:22.04"),
    "ubuntu/osv/**/osv-all.tar.xz": (9, 7, "Ubuntu:20.04"),
    "ubuntu/oval/**/oci.com.ubuntu.jammy.cve.oval.xml.bz2": (1, 2, "Ubuntu:22.04"),
    "ubuntu/oval/**/*fips-updates_jammy.cve.oval.xml.bz2": (1, 2, "Ubuntu:22.04"),
}
REFUSED: dict[str, type[SidelightError]] = {
    "alma/updateinfo/**/corrupt-updateinfo.xml.gz": DamagedError,
    "rocky/updateinfo/**/corrupt-updateinfo.xml.gz": DamagedError,
    "amazon/**/updateinfo_invalid_gzip.xml.gz": DamagedError,
    "amazon/**/updateinfo_invalid_xml.xml.gz": DamagedError,
    "debian/tracker/api/**/invalid.json": DamagedError,
    "oracle/**/invalid.xml.bz2": DamagedError,
    # Known by their form, and of publishers whose other feed is read.
    "alma/oval/**/org.almalinux.alsa-9.xml.bz2": UnsupportedError,
    "redhat/oval/**/rhel-9-including-unpatched.oval.xml.bz2": UnsupportedError,
    "suse/oval/**/suse.linux.enterprise.15-affected.xml.gz": UnsupportedError,
    "ubuntu/oval/**/oci.com.ubuntu.jammy.usn.oval.xml.bz2": UnsupportedError,
    "debian/oval/**/oval-definitions-bullseye.xml.bz2": UnsupportedError,
    "ubuntu/vex/**/vex-all.tar.xz": DamagedError,
}


@pytest.fixture
def fixtures(shared_data: Path) -> Path:
    return shared_data / "advisories/os-native/vuls-data-update-fixtures"


@pytest.mark.parametrize("pattern", FILES)
def test_a_real_file_says_what_it_says(fixtures: Path, pattern: str) -> None:
    (path,) = fixtures.glob(pattern)
    parsed = [item.parsed for item in read.read(path)]
    rows = [row for item in parsed if isinstance(item, Advisory) for row in item.affected]
    count, row_count, ecosystem = FILES[pattern]
    assert (len(parsed), len(rows)) == (count, row_count)
    assert not ecosystem or ecosystem in {row.ecosystem for row in rows}


@pytest.mark.parametrize("pattern", REFUSED)
def test_a_damaged_or_unknown_file_is_reported_with_its_path(fixtures: Path, pattern: str) -> None:
    (path,) = fixtures.glob(pattern)
    with pytest.raises(REFUSED[pattern]) as caught:
        list(read.read(path))
    assert caught.value.where.startswith(str(path))


def test_a_part_of_ubuntu_pro_is_a_stream_of_its_own(fixtures: Path) -> None:
    (path,) = fixtures.glob("ubuntu/oval/**/*fips-updates_jammy.cve.oval.xml.bz2")
    (item,) = read.read(path)
    assert isinstance(item.parsed, Advisory)
    assert {row.stream for row in item.parsed.affected} == {"fips-updates"}
