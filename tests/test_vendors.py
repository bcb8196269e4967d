"""Who ships a package: distributions' own builds, and those of other vendors."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from sidelight.model import OperatingSystem
from sidelight.vendors import builder, covered_paths, is_covered, supplier

BOOKWORM = OperatingSystem(id="debian", version_id="12")
JAMMY = OperatingSystem(id="ubuntu", version_id="22.04")


@pytest.mark.parametrize(
    ("maintainer", "version"),
    [
        ("Docker <support@docker.com>", "5:24.0.1-1~debian.12~bookworm"),
        ("Elasticsearch Team <info@elastic.co>", "7.15.2"),
        ("HashiCorp <support@hashicorp.com>", "1.5.0-1"),
        ("Grafana Labs <contact@grafana.com>", "10.0.0"),
        ("MongoDB Packaging <packaging@mongodb.com>", "7.0.1"),
        ("NGINX Packaging <nginx-packaging@f5.com>", "1.26.1-1~bookworm"),
        ("Ivan Iguaran <ivan@nodesource.com>", "18.1.0-deb-1nodesource1"),
        ("MySQL Release Engineering <mysql-build@oss.oracle.com>", "8.0.36-1debian12"),
        ("MariaDB Developers <maria-developers@lists.launchpad.net>", "1:10.11.6+maria~deb12"),
        ("Debian PostgreSQL Maintainers <team+postgresql@tracker.debian.org>", "16.3-1.pgdg120+1"),
        ("Debian PHP Maintainers <team+pkg-php@tracker.debian.org>", "8.2-1+0~2024+deb.sury.org+1"),
        ("Debian PHP Maintainers <team+pkg-php@tracker.debian.org>",
         "8.2.20-1+0~20240606.62+debian12~1.gbp5a3a4e"),
        ("Serge Schneider <serge@raspberrypi.com>", "1:6.6.31-1+rpt1"),
        ("Someone Else <someone@gmail.com>", "1.0-1~ppa1"),
        ("Amazon Web Services, Inc. <http://aws.amazon.com>", "1.0"),
        ("osconfigsupport@microsoft.com", "1.0"),
        ("Acme Corp <ops@acme.example>", "1.0"),
        ("Acme <packages@acme.example>", "1.0"),
        ("Elasticsearch", "7.15.2"),  # of a Vendor field
        ("Alexey Pustovalov <alexey.pustovalov@zabbix.com>", "1:6.0.0-1+ubuntu22.04"),
        ("Ubuntu OpenStack <openstack-packaging@lists.ubuntu.com>", "3:27.1.0-0ubuntu1~cloud1"),
        ("Ubuntu Developers <ubuntu-devel-discuss@lists.ubuntu.com>", "9.0-1ubuntu1~bpo22.04.1"),
        ("Ubuntu Developers <ubuntu-devel-discuss@lists.ubuntu.com>", "7:6.1-0ubuntu1~22.04.sav1"),
        ("Ubuntu Kernel Team <kernel-team@lists.ubuntu.com>", "6.8.1-060801.202403151937"),
        ("Debian OpenSSL Team <openssl@alioth-lists.debian.net>", "1.1.1n-0+deb10u6+tuxcare.els1"),
        ("Debian Virtualbox Team <team+virtualbox@tracker.debian.org>", "6.1.16-dfsg-6~fto11+1"),
        ("Christian Marillat <marillat@debian.org>", "10:5.1.1-dmo1+deb12u1"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("os", [BOOKWORM, JAMMY])
def test_a_vendors_deb_is_not_the_distributions(
    os: OperatingSystem, maintainer: str, version: str
) -> None:
    assert supplier("deb", maintainer, version, os)


@pytest.mark.parametrize(
    ("maintainer", "version"),
    [
        ("", "1.0-1"),
        ("Debian Python Team <team+python@tracker.debian.org>", "1.0-1"),
        ("Ubuntu Developers <ubuntu-devel-discuss@lists.ubuntu.com>", "1.0-1ubuntu2~esm1"),
        ("Matthias Klose <doko@debian.org>", "1.0-1"),
        ("Keith Packard <keithp@keithp.com>", "1.0-1+deb12u1"),
        ("Fab Stz <fabstz-it@yahoo.fr>", "1.0-1"),
        ("Guinness <guinness@crans.org>", "1.0-1~bpo12+1"),
        ("PCP Development Team <pcp@groups.io>", "1.0-1"),
        ("Kitware Debian Maintainers <debian@kitware.com>", "1.0-1"),
        ("Santiago Ruano Rincón <santiago@riseup.net>", "0.01.1~debian-5"),
    ],
)
def test_teams_and_persons_of_the_archive_are_the_distribution(
    maintainer: str, version: str
) -> None:
    assert supplier("deb", maintainer, version, BOOKWORM) == ""


@pytest.mark.parametrize(
    ("maintainer", "version", "expected"),
    [
        ("Jane Doe <jane@acme.example>", "2.0", False),
        ("Eric Evans <eevans@apache.org>", "4.1.3", False),  # Apache's own deb of Cassandra
        ("Massimo Manghi <mxmanghi@apache.org>", "1.4-5", True),
        ("Jane Doe <jane@gmail.com>", "2.0", False),
        ("Jane Doe <jane@acme.example>", "2.0-1", True),
        ("Jane Doe <jane@debian.org>", "2.0", True),
        ("A Team <team+x@tracker.debian.org>", "2.0", True),
        ("Docker <support@docker.com>", "2.0-1", False),
        ("", "2.0", True),
    ],
)
def test_in_doubt_a_debs_files_are_not_covered(
    maintainer: str, version: str, *, expected: bool
) -> None:
    assert is_covered("deb", maintainer, version, BOOKWORM) is expected


def test_no_distribution_covers_what_lies_in_add_on_places() -> None:
    own = {"usr/share/java/a.jar", "usr/local", "opt", "var/opt/a.jar"}
    others = {"opt/app/a.jar", "usr/local/lib/a.jar", "srv/a.jar", "home/u/a.jar", "root/a.jar"}
    assert covered_paths(own | others) == own


@pytest.mark.slow
def test_of_debians_own_archive_a_thousandth_is_mistaken_at_most() -> None:
    if shutil.which("apt-cache") is None:
        pytest.skip("apt-cache is absent")
    dump = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, check=False)
    found = re.findall(r"^Maintainer: (.*)$", dump.stdout, re.MULTILINE)
    if len(found) < 10_000:
        pytest.skip("no lists of Debian's archive are here")
    mistaken = [item for item in found if supplier("deb", item, "1.0-1", BOOKWORM)]
    assert len(mistaken) <= len(found) * 0.002


@pytest.mark.parametrize("identity", ["kali", "linuxmint", "pop", "raspbian", "devuan"])
def test_a_well_known_vendors_deb_is_known_on_derived_systems(identity: str) -> None:
    system = OperatingSystem(id=identity, version_id="12")
    docker, own = "Docker <support@docker.com>", "Kali Developers <devel@kali.org>"
    assert supplier("deb", docker, "5:27.0.3-1~debian.12~bookworm", system) == "Docker"
    assert supplier("deb", own, "16.3-1.pgdg120+1", system) == "PostgreSQL"
    assert not supplier("deb", own, "1:6.6.31-1+rpt1", system)
    assert not supplier("deb", own, "1.0+bookworm1", system)


@pytest.mark.parametrize(
    ("identity", "vendor", "version", "expected"),
    [
        ("rhel", "Red Hat, Inc.", "1-1.el9", ""),
        ("rhel", "", "1-1.el9", ""),
        ("rhel", "Fedora Project", "1-1.el9", ""),  # EPEL has advisories of its own
        ("rhel", "Fedora Project", "1-1.fc39", "Fedora"),  # and they are not about Fedora's builds
        ("amzn", "Fedora Project", "1-1.fc39", "Fedora"),
        ("rocky", "Rocky Enterprise Software Foundation", "5-284.el9_2.ciqlts.10.1", "CIQ"),
        ("rhel", "", "6.4.15-release1.el9", "Zabbix"),
        ("rocky", "Rocky Special Interest Group", "1-1.el9", "Rocky Special Interest Group"),
        ("cloudlinux", "Remi Collet", "7.0.0-1.el8.remi", "Remi"),
        ("almalinux", "CentOS", "1-1.el8", ""),  # a converted machine
        ("rhel", "NGINX Packaging", "1:1.28.0-1.el9.ngx", "NGINX"),
        ("rhel", "Remi Collet <https://rpms.remirepo.net/>", "7.0.0-1.el9.remi", "Remi"),
        ("rhel", "", "7.0.0-1.el9.remi", "Remi"),
        ("rhel", "Docker", "3:24-1.el9", "Docker"),
        ("rocky", "The ELRepo Community Project (https://elrepo.org)", "6.1-1.el9.elrepo",
         "ELRepo"),
        ("rocky", "Rocky Enterprise Software Foundation", "1-1.el9", ""),
        ("rocky", "infrastructure@rockylinux.org", "1-1.el8", ""),
        ("rocky", "CIQ", "5.14.0-284.1.el9_2.ciqfips", "CIQ"),
        ("almalinux", "AlmaLinux", "5.14.0-284.el9_2.tuxcare.5", "TuxCare"),
        ("centos", "CentOS", "1-1.el8s", "CentOS SIG"),
        ("centos", "CentOS", "1-1.el7.centos.2", ""),
        ("ol", "Oracle America", "1-1.el9", ""),
        ("ol", "Oracle and/or its affiliates", "8.0.36-1.el9", "Oracle and/or its affiliates"),
        ("rhel", "PostgreSQL Global Development Group", "16-1PGDG.rhel9", "PostgreSQL"),
        ("amzn", "Amazon Linux", "1-1.amzn2", ""),
        ("amzn", "Amazon.com", "1-1", ""),
        ("amzn", "Fedora Project", "1-1.el7", ""),
        ("amzn", "NodeSource", "18-1nodesource", "NodeSource"),
        ("fedora", "Fedora Project", "1-1.fc40", ""),
        ("fedora", "Fedora Copr - user x", "1-1.fc40", "Fedora Copr - user x"),
        ("fedora", "RPM Fusion", "1-1.fc40", "RPM Fusion"),
        ("sles", "SUSE LLC <https://www.suse.com/>", "1-150000.1", ""),
        ("sles", "https://www.suse.com/", "1-150000.1", ""),
        ("opensuse-leap", "openSUSE", "1-lp156.1", ""),
        ("opensuse-leap", "obs://build.opensuse.org/home:x", "1-1", "obs://build.opensuse.org/home:x"),
        ("mariner", "Microsoft Corporation", "1-1.cm2", ""),
        ("photon", "VMware, Inc.", "1-1.ph5", ""),
        ("openeuler", "http://openeuler.org", "1-1.oe2403", ""),
        ("some-other", "Anyone", "1-1", ""),
    ],
)  # fmt: skip
def test_an_rpm_is_the_distributions_by_its_vendor_and_its_release(
    identity: str, vendor: str, version: str, expected: str
) -> None:
    assert supplier("rpm", vendor, version, OperatingSystem(id=identity)) == expected


@pytest.mark.parametrize(
    ("vendor", "name"),
    [
        ("Red Hat, Inc.", "Red Hat"),
        ("CentOS", "Red Hat"),
        ("AlmaLinux", "AlmaLinux"),
        ("Oracle America", "Oracle Linux"),
        ("Fedora Project", "EPEL"),
        ("Fedora Copr - group centos", ""),
        ("Docker", ""),
        ("", ""),
    ],
)
def test_a_builder_is_known_by_its_vendor(vendor: str, name: str) -> None:
    assert builder(vendor) == name


def test_apks_are_the_distributions_but_those_of_known_vendors() -> None:
    os = OperatingSystem(id="alpine", version_id="3.20")
    assert supplier("apk", "NGINX Packaging <nginx-packaging@f5.com>", "1.27-r1", os)
    assert supplier("apk", "Natanael Copa <ncopa@alpinelinux.org>", "1.27-r1", os) == ""
    assert supplier("apk", "psykose <alice@ayaya.dev>", "1.27-r1", os) == ""
