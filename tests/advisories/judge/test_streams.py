"""Which rows speak of a build: modules, extended releases, ESM, extras."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sidelight.advisories import AdvisoryDatabase, build
from sidelight.advisories.judge.streams import fits_module
from sidelight.matching import match
from sidelight.model import (
    FixAvailable,
    Inventory,
    OperatingSystem,
    Package,
    Status,
)

if TYPE_CHECKING:
    from pathlib import Path


def _found(
    folder: Path, records: list[dict[str, object]], os: OperatingSystem, package: Package
) -> dict[str, str]:
    """The vulnerabilities of one package, with the versions that fix them."""
    feed = folder / "feed.jsonl"
    feed.write_text("".join(json.dumps(record) + "\n" for record in records))
    build([feed], folder / "db")
    with AdvisoryDatabase.open(folder / "db") as database:
        findings = match(Inventory(Status.COMPLETE, os, (package,)), database)
    return {finding.vulnerability: finding.fixed_version for finding in findings}


def _osv(
    name: str, cve: str, rows: dict[str, str], package: str, title: str = ""
) -> dict[str, object]:
    """A record with, for each ecosystem, the version that fixes; "" for none."""
    return {
        "id": name,
        "modified": "2024-01-01T00:00:00Z",
        "summary": title,
        "related": [cve],
        "affected": [
            {
                "package": {"ecosystem": ecosystem, "name": package},
                "ranges": [
                    {
                        "type": "ECOSYSTEM",
                        "events": [{"introduced": "0"}, *([{"fixed": fixed}] if fixed else [])],
                    }
                ],
            }
            for ecosystem, fixed in rows.items()
        ],
    }


def _rpm(name: str, version: str, modularity: str = "") -> Package:
    return Package("rpm", name, version, "/var/lib/rpm", "", modularity=modularity)


@pytest.mark.parametrize(
    ("module", "modularity", "version", "fits"),
    [
        ("", "", "1-1.el8", True),
        ("nodejs:16", "", "1-1.el8", False),
        ("nodejs:16", "nodejs:16:8060:abc", "1-1.module+el8", True),
        ("nodejs:16", "nodejs:16", "1-1.module+el8", True),
        ("nodejs:16", "nodejs:18:8060:abc", "1-1.module+el8", False),
        ("nodejs:1", "nodejs:16:8060:abc", "1-1.module+el8", False),
        ("", "nodejs:16:8060:abc", "1-1.module+el8", False),
        ("?", "nodejs:16:8060:abc", "1-1.module+el8", True),
        ("?", "", "1-1.el8", False),
        ("nodejs:16", "", "1-1.module+el8", True),  # a module build that lost its label
    ],
)
def test_module_builds_are_compared_with_their_own_stream(
    module: str, modularity: str, version: str, fits: bool
) -> None:
    assert fits_module(module, _rpm("nodejs", version, modularity)) is fits


def test_a_fix_of_another_module_stream_finds_nothing(tmp_path: Path) -> None:
    fixed = "1:18.1-1.module_el8.6"
    rows = {"AlmaLinux:8": fixed}
    records = [_osv("ALSA-2024:1", "CVE-2024-0001", rows, "nodejs", "Low: nodejs:18 security")]
    os = OperatingSystem(id="almalinux", version_id="8.6")
    old = "1:16.1-1.module_el8.6"
    assert _found(tmp_path, records, os, _rpm("nodejs", old, "nodejs:16:1:2")) == {}
    assert _found(tmp_path, records, os, _rpm("nodejs", old, "nodejs:18:1:2")) == {
        "CVE-2024-0001": fixed
    }


@pytest.mark.parametrize(
    ("version", "found"),
    [
        # The extended line fixed it for builds of its own minor release...
        ("5.14.0-284.40.1.el9_2", {}),
        ("5.14.0-284.30.1.el9_2", {"CVE-2024-0001": "5.14.0-284.40.1.el9_2"}),
        # ... and says nothing of any other build.
        ("5.14.0-300.el9", {"CVE-2024-0001": "5.14.0-362.el9"}),
        ("5.14.0-70.el9_0", {"CVE-2024-0001": "5.14.0-362.el9"}),
        ("5.14.0-362.el9", {}),
    ],
)
def test_an_extended_release_decides_for_its_own_builds(
    tmp_path: Path, version: str, found: dict[str, str]
) -> None:
    records = [
        _osv(
            "RHSA-2024:1",
            "CVE-2024-0001",
            {"Red Hat:rhel_eus:9.2::baseos": "5.14.0-284.40.1.el9_2"},
            "kernel",
        ),
        _osv(
            "RHSA-2024:2",
            "CVE-2024-0001",
            {"Red Hat:enterprise_linux:9::baseos": "5.14.0-362.el9"},
            "kernel",
        ),
    ]
    os = OperatingSystem(id="rhel", version_id="9.2")
    assert _found(tmp_path, records, os, _rpm("kernel", version)) == found


def test_a_product_on_top_speaks_of_its_own_builds_only(tmp_path: Path) -> None:
    rows = {"Red Hat:openstack:17::el9": "21-2.el9ost"}
    records = [_osv("RHSA-2024:1", "CVE-2024-0001", rows, "python3-gevent")]
    os = OperatingSystem(id="rhel", version_id="9.2")
    assert _found(tmp_path, records, os, _rpm("python3-gevent", "20-1.el9")) == {}
    assert _found(tmp_path, records, os, _rpm("python3-gevent", "20-1.el9ost"))


def _deb(version: str) -> Package:
    return Package("deb", "x", version, "/var/lib/dpkg/status", "")


JAMMY = OperatingSystem(id="ubuntu", version_id="22.04")


@pytest.mark.parametrize(
    ("version", "found"),
    [
        # An ESM build is compared with ESM's fix, any other with the archive's.
        ("1.0-1ubuntu1", {"CVE-2024-0001": "1.0-1ubuntu3"}),
        ("1.0-1ubuntu3", {}),
        ("1.0-1ubuntu1+esm1", {"CVE-2024-0001": "1.0-1ubuntu1+esm2"}),
        ("1.0-1ubuntu1+esm2", {}),
    ],
)
def test_esm_decides_for_esm_builds(tmp_path: Path, version: str, found: dict[str, str]) -> None:
    rows = {"Ubuntu:22.04:LTS": "1.0-1ubuntu3", "Ubuntu:Pro:22.04:LTS": "1.0-1ubuntu1+esm2"}
    records = [_osv("UBUNTU-CVE-2024-0001", "CVE-2024-0001", rows, "x")]
    assert _found(tmp_path, records, JAMMY, _deb(version)) == found


@pytest.mark.parametrize(
    ("version", "found"),
    [
        ("5.4.0-216.236", {"CVE-2024-0001": "5.4.0-218.238"}),
        ("5.4.0-218.238", {}),
        ("5.4.0-219.239", {}),
    ],
)
def test_esms_kernels_have_fixed_what_the_archive_leaves_open(
    tmp_path: Path, version: str, found: dict[str, str]
) -> None:
    """They carry on the archive's versions, with no mark in them."""
    rows = {"Ubuntu:22.04:LTS": "", "Ubuntu:Pro:22.04:LTS": "5.4.0-218.238"}
    records = [_osv("UBUNTU-CVE-2024-0001", "CVE-2024-0001", rows, "linux")]
    package = Package("deb", "linux-image-generic", version, "", "", source_name="linux")
    assert _found(tmp_path, records, JAMMY, package) == found


def test_a_build_that_esm_itself_lists_as_affected_is_not_fixed(tmp_path: Path) -> None:
    rows = {"Ubuntu:22.04:LTS": "", "Ubuntu:Pro:22.04:LTS": "5.4.0-218.238"}
    record = _osv("UBUNTU-CVE-2024-0001", "CVE-2024-0001", rows, "linux")
    record["affected"][1]["versions"] = ["5.4.0-220.240"]  # type: ignore[index]
    package = Package("deb", "linux-image-x", "5.4.0-220.240", "", "", source_name="linux")
    assert "CVE-2024-0001" in _found(tmp_path, [record], JAMMY, package)


def test_an_esm_build_does_not_decide_about_a_later_build_of_the_archives(tmp_path: Path) -> None:
    rows = {"Ubuntu:22.04:LTS": "", "Ubuntu:Pro:22.04:LTS": "1.0-1ubuntu0.1~esm1"}
    records = [_osv("UBUNTU-CVE-2024-0001", "CVE-2024-0001", rows, "x")]
    found = _found(tmp_path, records, JAMMY, _deb("1.0-1ubuntu0.1"))
    assert found == {"CVE-2024-0001": ""}


def _tracker(name: str, packages: dict[str, dict[str, tuple[str, str]]]) -> dict[str, object]:
    """An entry of Ubuntu's tracker: by release and package the status and the note."""
    return {
        "id": name,
        "priority": "medium",
        "packages": {
            release: {
                package: {"status": status, "note": note}
                for package, (status, note) in statuses.items()
            }
            for release, statuses in packages.items()
        },
    }


@pytest.mark.parametrize(
    ("source", "version", "found"),
    [
        # Their own kernels, whose versions need not say so.
        ("linux-fips", "5.15.0-73.82", {"CVE-2024-0001": ""}),
        ("linux-realtime", "5.15.0-1028.31", {"CVE-2024-0001": "5.15.0-1030.33"}),
        ("linux-realtime", "5.15.0-1030.33", {}),
        # FIPS's builds of the archive's packages: its updates have fixed what its first pocket
        # and the archive leave open.
        ("openssl", "3.0.2-0ubuntu1.10+Fips1", {"CVE-2024-0001": "3.0.2-0ubuntu1.12+Fips1"}),
        ("openssl", "3.0.2-0ubuntu1.12+Fips1", {}),
        # What FIPS says is of no other build.
        ("openssl", "3.0.2-0ubuntu1.11", {"CVE-2024-0001": ""}),
        ("openssl", "3.0.2-0ubuntu1.13", {"CVE-2024-0001": ""}),
    ],
)
def test_fips_and_realtime_speak_of_their_own_builds(
    tmp_path: Path, source: str, version: str, found: dict[str, str]
) -> None:
    needed = ("needed", "")
    packages = {
        "jammy": {"openssl": needed},
        "fips-preview/jammy": {"linux-fips": needed, "openssl": needed},
        "fips-updates/jammy": {
            "linux-fips": needed,
            "openssl": ("released", "3.0.2-0ubuntu1.12+Fips1"),
        },
        "realtime/jammy": {"linux-realtime": ("released", "5.15.0-1030.33")},
    }
    package = Package("deb", "x", version, "", "", source_name=source)
    records = [_tracker("CVE-2024-0001", packages)]
    assert _found(tmp_path, records, JAMMY, package) == found


def test_a_pending_fix_is_one_that_not_everybody_may_have_yet(tmp_path: Path) -> None:
    packages = {"jammy": {"x": ("pending", "1.0-2")}}
    (tmp_path / "feed.json").write_text(json.dumps(_tracker("CVE-2024-0001", packages)))
    build([tmp_path / "feed.json"], tmp_path / "db")
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        below, fixed = (
            match(Inventory(Status.COMPLETE, JAMMY, (_deb(version),)), database)
            for version in ("1.0-1", "1.0-2")
        )
    assert not fixed
    (finding,) = below
    assert (finding.fixed_version, finding.state) == ("1.0-2", "pending")
    assert finding.fix_available is FixAvailable.PARTIAL


def test_a_fix_that_only_esm_has_is_a_partial_one(tmp_path: Path) -> None:
    rows = {"Ubuntu:22.04:LTS": "", "Ubuntu:Pro:22.04:LTS": "1.0-1ubuntu1+esm2"}
    feed = tmp_path / "feed.json"
    feed.write_text(json.dumps(_osv("UBUNTU-CVE-2024-0001", "CVE-2024-0001", rows, "x")))
    build([feed], tmp_path / "db")
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        inventory = Inventory(Status.COMPLETE, JAMMY, (_deb("1.0-1ubuntu1"),))
        (finding,) = match(inventory, database)
    assert finding.fixed_version == "1.0-1ubuntu1+esm2"
    assert finding.fix_available is FixAvailable.PARTIAL
    assert finding.remediation == "pro fix CVE-2024-0001"


@pytest.mark.parametrize(
    ("version", "fixed"),
    [
        ("5.10.50-1.amzn2", "5.10.100-1.amzn2"),
        ("5.10.100-1.amzn2", None),
        ("4.14.200-1.amzn2", "4.14.300-1.amzn2"),
        ("4.14.300-1.amzn2", None),
        ("5.15.1-1.amzn2", "5.15.50-1.amzn2"),
    ],
)
def test_amazon_builds_belong_to_the_repository_of_their_line(
    tmp_path: Path, version: str, fixed: str | None
) -> None:
    def alas(name: str, repository: str, version: str) -> dict[str, object]:
        return {
            "ID": name,
            "_repo": repository,
            "Title": name,
            "References": {"Reference": [{"Type": "cve", "ID": "CVE-2024-0001"}]},
            "Pkglist": {
                "Collection": {
                    "Package": [
                        {"Name": "kernel", "Version": version, "Release": "1.amzn2", "Epoch": "0"}
                    ]
                }
            },
        }

    records = [
        alas("ALAS2-2024-1", "2/core", "4.14.300"),
        alas("ALAS2KERNEL-5.10-2024-1", "2/extras/kernel-5.10", "5.10.100"),
        alas("ALAS2KERNEL-5.15-2024-1", "2/extras/kernel-5.15", "5.15.50"),
    ]
    os = OperatingSystem(id="amzn", version_id="2")
    found = _found(tmp_path, records, os, _rpm("kernel", version))
    assert found == ({"CVE-2024-0001": fixed} if fixed else {})


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2.34-60.0.2.el9", {"CVE-2024-0001"}),
        ("2.34-60.0.3.ksplice1.el9", {"CVE-2024-0002"}),
        ("2.34-60.0.9.ksplice1.el9", set()),
    ],
)
def test_oracles_ksplice_builds_have_errata_of_their_own(
    tmp_path: Path, version: str, expected: set[str]
) -> None:
    definition = """<definition id="oval:com.oracle.elsa:def:{0}"><metadata><title>
    ELSA-2024-{0}: Moderate: glibc</title><advisory><cve>CVE-2024-000{0}</cve></advisory>
    </metadata><criteria><criterion comment="Oracle Linux 9 is installed"/><criterion
    comment="glibc is earlier than {1}"/></criteria></definition>"""
    definitions = definition.format(1, "0:2.34-60.0.3.el9")
    definitions += definition.format(2, "2:2.34-60.0.9.ksplice1.el9")
    (tmp_path / "com.oracle.elsa-all.xml").write_text(
        '<oval_definitions xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5">'
        f"<definitions>{definitions}</definitions></oval_definitions>"
    )
    os = OperatingSystem(id="ol", version_id="9.4")
    epoch = "2:" if "ksplice" in version else ""
    build([tmp_path], tmp_path / "db")
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        inventory = Inventory(Status.COMPLETE, os, (_rpm("glibc", epoch + version),))
        assert {finding.vulnerability for finding in match(inventory, database)} == expected


def test_where_an_extra_says_nothing_the_core_repositorys_word_counts(tmp_path: Path) -> None:
    def alas(name: str, cve: str, version: str) -> dict[str, object]:
        package = {"Name": "golang", "Version": version, "Release": "1.amzn2", "Epoch": "0"}
        return {
            "ID": name,
            "Pkglist": {"Collection": {"Package": [package]}},
            "References": {"Reference": [{"ID": cve, "Type": "cve"}]},
        }

    records = [
        alas("ALAS2-2023-1", "CVE-2024-0001", "1.20.6"),
        alas("ALAS2-2023-2", "CVE-2024-0002", "1.20.7"),
        alas("ALAS2GOLANG1.19-2023-1", "CVE-2024-0002", "1.19.10"),
    ]
    os = OperatingSystem(id="amzn", version_id="2")
    # The extra's line has fixed the second, and no word of it speaks of the first.
    assert _found(tmp_path, records, os, _rpm("golang", "1.19.10-1.amzn2")) == {
        "CVE-2024-0001": "1.20.6-1.amzn2"
    }


@pytest.mark.parametrize(
    ("name", "version", "found"),
    [
        # Both extras ship the build, and one of them says that it fixes the first.
        ("runc", "1.1.4-1.amzn2", {"CVE-2024-0002": "1.1.5-1.amzn2"}),
        (
            "runc",
            "1.1.3-1.amzn2",
            {
                "CVE-2024-0001": "1.1.5-1.amzn2",
                "CVE-2024-0002": "1.1.5-1.amzn2",
                "CVE-2024-0005": "1.1.4-1.amzn2",
            },
        ),
        # The kernel's erratum brings the first build of its livepatch, the livepatches' all others.
        ("kernel-livepatch-5.10.1-1", "1.0-0.amzn2", {"CVE-2024-0004": "1.0-1.amzn2"}),
        ("kernel-livepatch-5.10.1-1", "1.0-1.amzn2", {}),
    ],
)
def test_what_any_repository_has_fixed_in_a_build_that_several_ship_is_fixed(
    tmp_path: Path, name: str, version: str, found: dict[str, str]
) -> None:
    def alas(name: str, cves: list[str], package: str, build: str) -> dict[str, object]:
        version, _hyphen, release = build.partition("-")
        row = {"Name": package, "Version": version, "Release": f"{release}.amzn2", "Epoch": "0"}
        return {
            "ID": name,
            "Pkglist": {"Collection": {"Package": [row]}},
            "References": {"Reference": [{"ID": cve, "Type": "cve"} for cve in cves]},
        }

    livepatch = "kernel-livepatch-5.10.1-1"
    records = [
        alas("ALAS2DOCKER-2024-1", ["CVE-2024-0001", "CVE-2024-0002"], "runc", "1.1.5-1"),
        alas("ALAS2DOCKER-2023-1", ["CVE-2024-0005"], "runc", "1.1.4-1"),
        alas("ALAS2ECS-2024-1", ["CVE-2024-0001"], "runc", "1.1.4-1"),
        alas("ALAS2KERNEL-5.10-2024-1", ["CVE-2024-0003"], livepatch, "1.0-0"),
        alas("ALAS2LIVEPATCH-2024-1", ["CVE-2024-0004"], livepatch, "1.0-1"),
    ]
    os = OperatingSystem(id="amzn", version_id="2")
    assert _found(tmp_path, records, os, _rpm(name, version)) == found
