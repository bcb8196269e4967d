"""Names of ecosystems: the feeds' and the machines' meet."""

from __future__ import annotations

import pytest

from sidelight.advisories import ecosystems
from sidelight.advisories.end_of_life import LAST_DAY
from sidelight.model import OperatingSystem
from sidelight.versions import sort_key


@pytest.mark.parametrize(
    ("feed", "own", "stream"),
    [
        ("PyPI", "PyPI", ""),
        ("Debian:12", "Debian:12", ""),
        ("Alpine:v3.19", "Alpine:v3.19", ""),
        ("Alpine:3.19", "Alpine:v3.19", ""),
        ("AlmaLinux:9", "AlmaLinux:9", ""),
        ("Rocky Linux:8", "Rocky Linux:8", ""),
        ("Red Hat:enterprise_linux:8::appstream", "Red Hat:8", ""),
        ("Red Hat:enterprise_linux:10.0", "Red Hat:10", ""),
        ("Red Hat:rhel_eus:9.2::baseos", "Red Hat:9", "eus:9.2"),
        ("Red Hat:rhel_els:7", "Red Hat:7", "els:7"),
        ("Red Hat:rhel_software_collections:3::el7", "Red Hat:7", "rhel_software_collections:3"),
        ("Red Hat:openshift:4", "Red Hat:openshift:4", ""),
        ("Ubuntu:22.04:LTS", "Ubuntu:22.04", ""),
        ("Ubuntu:24.10", "Ubuntu:24.10", ""),
        ("Ubuntu:Pro:18.04:LTS", "Ubuntu:18.04", "pro"),
        ("Ubuntu:Pro:FIPS-updates:20.04:LTS", "Ubuntu:20.04", "fips-updates"),
        ("SUSE:Linux Enterprise Module for Basesystem 15 SP5", "SUSE:15.5", ""),
        ("SUSE:Linux Enterprise Server 15-LTSS", "SUSE:15.0", ""),
        ("SUSE:Linux Enterprise Server 15 SP3-LTSS", "SUSE:15.3", ""),
        ("SUSE:Linux Enterprise Module for Python 3 15 SP4", "SUSE:15.4", ""),
        ("SUSE:Linux Enterprise Server 16.0", "SUSE:16.0", ""),
        ("SUSE:Linux Enterprise Micro 5.2", "SUSE Micro:5.2", ""),
        ("SUSE:Linux Micro 6.0", "SUSE Micro:6.0", ""),
        ("openSUSE:Leap 15.5 NonFree", "openSUSE:Leap 15.5", ""),
        ("openSUSE:Tumbleweed", "openSUSE:Tumbleweed", ""),
    ],
)
def test_feeds_names_become_one_name_a_machine(feed: str, own: str, stream: str) -> None:
    assert ecosystems.canonical(feed) == (own, stream)


@pytest.mark.parametrize(
    ("identity", "version", "own"),
    [
        ("debian", "12", "Debian:12"),
        ("debian", "12.5", "Debian:12"),
        ("ubuntu", "22.04", "Ubuntu:22.04"),
        ("alpine", "3.19.1", "Alpine:v3.19"),
        ("alpine", "3.20_alpha20240329", "Alpine:edge"),
        ("almalinux", "9.3", "AlmaLinux:9"),
        ("rocky", "8.9", "Rocky Linux:8"),
        ("rhel", "9.2", "Red Hat:9"),
        ("centos", "7", "Red Hat:7"),
        ("amzn", "2", "Amazon Linux:2"),
        ("amzn", "2023", "Amazon Linux:2023"),
        ("fedora", "39", "Fedora:39"),
        ("sles", "15.5", "SUSE:15.5"),
        ("sles", "15", "SUSE:15.0"),
        ("sles", "16.0", "SUSE:16.0"),
        ("sle-micro", "5.5", "SUSE Micro:5.5"),
        ("sl-micro", "6.0", "SUSE Micro:6.0"),
        ("opensuse-leap", "15.6", "openSUSE:Leap 15.6"),
        ("opensuse-tumbleweed", "20240101", "openSUSE:Tumbleweed"),
        ("bottlerocket", "1.20", "Bottlerocket"),
        ("arch", "", "arch"),
        ("kali", "2024.2", "kali:2024.2"),
        ("", "", ""),
    ],
)
def test_machines_have_the_name_that_feeds_have(identity: str, version: str, own: str) -> None:
    assert ecosystems.of_machine(OperatingSystem(id=identity, version_id=version)) == own


# The ecosystems of OSV's schema 1.8.0, and the names before it that feeds still have.
OSV = (
    "AlmaLinux,Alpaquita,Alpine,Android,Azure Linux,BellSoft Hardened Containers,Bioconductor,"
    "Bitnami,Chainguard,CleanStart,ConanCenter,CRAN,crates.io,Debian,Docker Hardened Images,Echo,"
    "FreeBSD,GHC,GIT,GitHub Actions,Go,Hackage,Hex,Julia,Kubernetes,Linux,Mageia,Maven,MinimOS,npm,"
    "NuGet,opam,openEuler,openSUSE,OSS-Fuzz,Packagist,Photon OS,Pub,PyPI,Red Hat,Rocky Linux,Root,"
    "RubyGems,SUSE,SwiftURL,TuxCare,Ubuntu,vcpkg,VSCode,Wolfi"
)


@pytest.mark.parametrize("name", OSV.split(","))
def test_each_ecosystem_of_osv_has_an_order_or_a_reason(name: str) -> None:
    own = ecosystems.canonical(f"{name}:1")[0]
    if not ecosystems.is_looked_for(own):
        assert ecosystems.NOT_LOOKED_FOR[name]
        return
    assert sort_key(own, "1.0") < sort_key(own, "1.1")


@pytest.mark.parametrize(
    ("identity", "version"),
    [
        *((item, "9.1") for item in ("almalinux", "alpaquita", "alpine", "amzn", "azurelinux")),
        *((item, "9.1") for item in ("bottlerocket", "centos", "chainguard", "cleanstart")),
        *((item, "9.1") for item in ("debian", "echo", "fedora", "mageia", "mariner", "minimos")),
        *((item, "9.1") for item in ("ol", "openeuler", "opensuse-leap", "opensuse-leap-micro")),
        *((item, "9.1") for item in ("opensuse-microos", "opensuse-tumbleweed", "photon", "rhel")),
        *((item, "9.1") for item in ("rocky", "sl-micro", "sle-micro", "sled", "sles", "sles_sap")),
        *((item, "9.1") for item in ("suse-microos", "ubuntu", "wolfi", "hardened-containers")),
    ],
)
def test_each_known_system_has_a_name_with_an_order(identity: str, version: str) -> None:
    own = ecosystems.of_machine(OperatingSystem(id=identity, version_id=version))
    assert not own.startswith(identity + ":")
    assert sort_key(own, "1.0-1") < sort_key(own, "1.1-1")
    assert ecosystems.canonical(own) == (own, "")


@pytest.mark.parametrize("name", sorted(LAST_DAY))
def test_the_table_of_ends_uses_the_databases_names(name: str) -> None:
    assert ecosystems.canonical(name) == (name, "")


def test_language_packages_need_no_operating_system() -> None:
    unknown = ecosystems.of_machine(OperatingSystem())
    assert ecosystems.of_package("golang", unknown) == "Go"
    assert ecosystems.of_package("deb", unknown) == ""
    assert ecosystems.of_package("generic", unknown) == ""


def test_names_compare_as_their_ecosystem_compares_them() -> None:
    assert ecosystems.normal_name("PyPI", "Zope.Interface__x") == "zope-interface-x"
    assert ecosystems.normal_name("NuGet", "Newtonsoft.Json") == "newtonsoft.json"
    assert ecosystems.normal_name("npm", "JSONStream") == "JSONStream"


@pytest.mark.parametrize(
    ("identity", "release", "version", "expected"),
    [
        ("rhel", "9.4", "1-1.el9", "EPEL:9"),
        ("rhel", "9.4", "1-1.el8", "EPEL:8"),  # left by an upgrade
        ("rhel", "9.4", "1-1", "EPEL:9"),
        ("amzn", "2", "1-1", "EPEL:7"),
        ("amzn", "2023", "1-1.el9", "EPEL:9"),
        ("fedora", "40", "1-1.el9", "EPEL:9"),
        ("fedora", "40", "1-1.fc39", "Fedora:40"),
    ],
)
def test_fedoras_builds_are_of_the_distribution_that_they_were_made_for(
    identity: str, release: str, version: str, expected: str
) -> None:
    own = ecosystems.of_machine(OperatingSystem(id=identity, version_id=release))
    assert ecosystems.of_package("rpm", own, "Fedora Project", version) == expected


@pytest.mark.parametrize(
    "name",
    ["SUSE:Package Hub 15 SP5", "SUSE:SUSE Package Hub 15 SP5", "SUSE:Real Time Module 15 SP5"],
)
def test_modules_without_the_products_name_are_of_suse_linux_enterprise(name: str) -> None:
    assert ecosystems.canonical(name) == ("SUSE:15.5", "")
