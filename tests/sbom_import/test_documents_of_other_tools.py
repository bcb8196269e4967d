"""Documents that Trivy and Syft wrote give the packages and the system that a disk gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidelight.matching import MachineLookups
from sidelight.model import OperatingSystem, Status
from sidelight.sbom_import.sbom_files import inventory_of, read_sbom

DOCUMENTS = Path(__file__).parent / "documents"
DEBIAN = {
    ("bash", "5.2.15-2+b7", "bash", "5.2.15-2"),
    ("git", "1:2.39.2-1.1", "git", "1:2.39.2-1.1"),
    ("libgcc-s1", "12.2.0-14", "gcc-12", "12.2.0-14"),
    ("libssl3", "3.0.11-1~deb12u2", "openssl", "3.0.11-1~deb12u2"),
    ("linux-image-6.1.0-18-amd64", "6.1.76-1", "linux-signed-amd64", "6.1.76+1"),
    ("openssl", "3.0.11-1~deb12u2", "openssl", "3.0.11-1~deb12u2"),
    ("tzdata", "2024a-0+deb12u1", "tzdata", "2024a-0+deb12u1"),
}
ALPINE = {
    ("busybox", "1.36.1-r5", "busybox", "1.36.1-r5"),
    ("libcrypto3", "3.1.4-r1", "openssl", "3.1.4-r1"),
    ("musl", "1.2.4-r2", "musl", "1.2.4-r2"),
    ("ssl_client", "1.36.1-r5", "busybox", "1.36.1-r5"),
}


@pytest.mark.parametrize("path", sorted(DOCUMENTS.glob("*-debian.*")), ids=lambda path: path.name)
def test_a_document_of_debian_has_its_packages_with_their_sources(path: Path) -> None:
    read = read_sbom(path)
    debs = {
        (item.name, item.version, item.source_name, item.source_version)
        for item in read.packages
        if item.type == "deb"
    }
    assert debs == DEBIAN
    assert (read.status, read.problems) == (Status.COMPLETE, ())
    assert read.os.id == "debian"
    assert read.os.version_id.partition(".")[0] == "12"
    others = {(item.type, item.name, item.version) for item in read.packages if item.type != "deb"}
    trivy = {("npm", "@babel/traverse", "7.22.0"), ("npm", "minimist", "1.2.5")}
    assert others - trivy == {("pypi", "requests", "2.28.1")}
    machine = MachineLookups(read.os)
    assert {machine.ecosystem_asked(item) for item in read.packages} >= {"Debian:12", "PyPI"}


@pytest.mark.parametrize("path", sorted(DOCUMENTS.glob("*-alpine.*")), ids=lambda path: path.name)
def test_a_document_of_alpine_has_its_packages_with_their_sources(path: Path) -> None:
    read = read_sbom(path)
    found = {
        (item.name, item.version, item.source_name, item.source_version) for item in read.packages
    }
    assert found == ALPINE
    machine = MachineLookups(read.os)
    assert {machine.ecosystem_asked(item) for item in read.packages} == {"Alpine:v3.18"}


def test_xml_gives_what_json_gives() -> None:
    json, xml = (read_sbom(DOCUMENTS / f"syft-debian.cdx.{kind}") for kind in ("json", "xml"))
    assert xml == json


# What drivers of Trivy and Grype call a system, and os-release's ID and version.
NAMES = [
    ("redhat", "9.3", "rhel", "Red Hat:9"),
    ("amazon", "2 (Karoo)", "amzn", "Amazon Linux:2"),
    ("amazon", "2023.3.20240108 (Amazon Linux)", "amzn", "Amazon Linux:2023"),
    ("amzn", "2018.03", "amzn", "Amazon Linux:2018.03"),
    ("alma", "8.9", "almalinux", "AlmaLinux:8"),
    ("rocky", "9.3", "rocky", "Rocky Linux:9"),
    ("oracle", "8.9", "ol", "Oracle Linux:8"),
    ("cbl-mariner", "2.0", "mariner", "Azure Linux:2"),
    ("opensuse.leap", "15.5", "opensuse-leap", "openSUSE:Leap 15.5"),
    ("suse linux enterprise server", "15.5", "sles", "SUSE:15.5"),
    ("sles", "15.3", "sles", "SUSE:15.3"),
    ("ubuntu", "22.04", "ubuntu", "Ubuntu:22.04"),
    ("ubuntu", "jammy", "ubuntu", "Ubuntu:22.04"),
    ("openeuler", "24.03-LTS-SP1", "openeuler", "openEuler:24.03-LTS-SP1"),
    ("wolfi", "20230201", "wolfi", "Wolfi"),
]


@pytest.mark.parametrize(("name", "version", "identity", "ecosystem"), NAMES)
def test_a_system_is_known_by_the_names_of_other_tools(
    name: str, version: str, identity: str, ecosystem: str
) -> None:
    from sidelight.advisories.ecosystems import of_machine
    from sidelight.sbom_import.systems import named_system

    system = named_system(name, version)
    assert (system.id, of_machine(system)) == (identity, ecosystem)


@pytest.mark.parametrize(
    ("purl", "system"),
    [
        ("pkg:deb/debian/zlib1g@1?distro=debian-12", OperatingSystem("debian", "12")),
        ("pkg:deb/debian/zlib1g@1?distro=bookworm", OperatingSystem("debian", "12")),
        ("pkg:apk/alpine/musl@1?distro=3.18.5", OperatingSystem("alpine", "3.18.5")),
        ("pkg:rpm/amzn/bash@5?distro=amzn-2023", OperatingSystem("amzn", "2023")),
        (
            "pkg:rpm/opensuse/a@5?distro=opensuse-leap-15.5",
            OperatingSystem("opensuse-leap", "15.5"),
        ),
        ("pkg:deb/ubuntu/zlib1g@1", OperatingSystem()),
    ],
)
def test_without_a_system_the_purls_distro_names_it(purl: str, system: OperatingSystem) -> None:
    text = (
        f'{{"bomFormat": "CycloneDX", "specVersion": "1.5", "components": [{{"purl": "{purl}"}}]}}'
    )
    assert inventory_of(text.encode()).os == system


@pytest.mark.conformance
def test_other_tools_documents_give_their_packages(shared_data: Path) -> None:
    folder = shared_data / "manifests/osv-scalibr/sbom"
    npm = read_sbom(folder / "cdx/testdata/sbom-with-locations.cdx.json")
    assert [(item.name, item.version) for item in npm.packages] == [("@gar/promisify", "1.1.3")]
    nested = read_sbom(folder / "cdx/testdata/sbom-with-nested-comps.cdx.json")
    assert len(nested.packages) > 1
    spdx = read_sbom(folder / "spdx/testdata/sbom.spdx.json")
    assert [(item.type, item.name, item.version) for item in spdx.packages] == [
        ("generic", "openssl", "1.1.1l")
    ]
    # nginx has a CPE alone.
    assert spdx.status is Status.PARTIAL
    assert "Nginx" in spdx.problems[0].what
    for path in folder.glob("*/testdata/**/*.json"):
        assert read_sbom(path).status
