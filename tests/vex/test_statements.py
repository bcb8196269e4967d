"""Which findings a VEX statement suppresses, in each of the three formats."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from sidelight.errors import FormatError
from sidelight.model import OperatingSystem, VexStatus
from sidelight.purls import parse_purl
from sidelight.vex import ignore_file, vex_documents
from sidelight.vex.statements import apply, is_of, is_system
from tests.fixtures.boms import FLASK, SSL, finding
from tests.vex.small_documents import CVE, JUSTIFICATION, MACHINE, applied, csaf, cyclonedx, openvex


@pytest.mark.parametrize(
    "document", [openvex(), cyclonedx(), csaf()], ids=("openvex", "cdx", "csaf")
)
def test_not_affected_suppresses_with_its_justification(document: dict[str, Any]) -> None:
    result = applied(document, findings=(finding(SSL), finding(FLASK, "CVE-2020-1")))
    assert [item.vulnerability for item in result.active] == ["CVE-2020-1"]
    (suppressed,) = result.suppressed
    assert (suppressed.status, suppressed.justification, suppressed.source) == (
        VexStatus.NOT_AFFECTED, JUSTIFICATION, "vex-1.json",
    )  # fmt: skip
    assert result.unmatched == []


VERSION = "pkg:deb/debian/libssl3@3.0.11-1~deb12u2"


def of_version(document: dict[str, Any]) -> dict[str, Any]:
    """The same about a version of the package."""
    text = json.dumps(document).replace('"pkg:deb/debian/libssl3"', json.dumps(VERSION))
    whole: dict[str, Any] = json.loads(text)
    return whole


FIXED = [openvex(status="fixed"), cyclonedx(state="resolved"), csaf("fixed")]
OPEN = [
    openvex(status="affected"),
    openvex(status="under_investigation"),
    cyclonedx(state="exploitable"),
    cyclonedx(state="in_triage"),
    csaf("known_affected"),
    csaf("under_investigation"),
]


@pytest.mark.parametrize("document", FIXED, ids=("openvex", "cdx", "csaf"))
def test_fixed_suppresses(document: dict[str, Any]) -> None:
    found = applied(of_version(document)).suppressed
    assert [item.status for item in found] == [VexStatus.FIXED]
    # That a package is fixed, in some version, says nothing about this one.
    result = applied(document)
    assert result.suppressed == []
    assert len(result.unmatched) == 1


@pytest.mark.parametrize("document", OPEN)
def test_affected_and_under_investigation_do_not_suppress(document: dict[str, Any]) -> None:
    result = applied(document)
    assert len(result.active) == 1
    # The statement is about the finding, and so is not reported as about none.
    assert (result.suppressed, result.unmatched) == ([], [])


def test_the_latest_statement_decides() -> None:
    late = openvex(status="affected", timestamp="2026-03-01T00:00:00+02:00")
    early = openvex(timestamp="2026-02-28T21:59:59Z")
    assert applied(late, early).active
    assert applied(openvex(timestamp="2026-02-28T22:00:01Z"), late).suppressed
    assert applied(late, openvex(timestamp="2026-02-28T22:00:01Z")).suppressed


def test_an_alias_names_the_vulnerability() -> None:
    by_id = openvex(vulnerability={"name": "GHSA-x", "aliases": [CVE.lower()]})
    by_address = openvex(
        vulnerability={"name": "x", "@id": f"https://nvd.nist.gov/vuln/detail/{CVE}"}
    )
    of_advisory = openvex(vulnerability={"name": "DSA-5764-1"})
    for document in (by_id, by_address, of_advisory):
        assert applied(document).suppressed
    assert applied(openvex(vulnerability={"name": "CVE-2024-553"})).active


PRODUCTS = [
    ("pkg:deb/debian/libssl3", True),
    ("pkg:deb/debian/libssl3@3.0.11-1~deb12u2", True),
    ("pkg:deb/debian/libssl3@3.0.11-1~deb12u2?arch=amd64", True),
    ("pkg:deb/debian/libssl3?distro=debian-12&arch=amd64", True),
    ("pkg:deb/debian/libssl3?epoch=0", True),
    ("pkg:deb/debian/libssl3@3.0.11-1~deb12u3", False),
    ("pkg:deb/debian/libssl3?arch=arm64", False),
    ("pkg:deb/debian/libssl3?repository_url=example.org", False),
    ("pkg:deb/debian/openssl", False),
    ("pkg:deb/ubuntu/libssl3", False),
    ("pkg:generic/debian/libssl3", False),
]


@pytest.mark.parametrize(("product", "suppresses"), PRODUCTS)
def test_a_product_is_the_package_in_all_that_its_purl_has(product: str, suppresses: bool) -> None:
    assert bool(applied(openvex(products=[{"@id": product}])).suppressed) is suppresses
    by_identifier = openvex(products=[{"@id": "x", "identifiers": {"purl": product}}])
    assert bool(applied(by_identifier).suppressed) is suppresses


def test_an_epoch_may_be_a_qualifier() -> None:
    one, other = (parse_purl(f"pkg:rpm/redhat/openssl@{v}") for v in ("1:3.0-1", "3.0-1?epoch=1"))
    assert is_of(one, other)
    assert is_of(other, one)
    assert not is_of(one, parse_purl("pkg:rpm/redhat/openssl@3.0-1"))


def test_a_subcomponent_is_meant_within_its_product_alone() -> None:
    part = [{"@id": "pkg:deb/debian/libssl3"}]
    for product, suppresses in (
        ("disk.img", True), ("pkg:pypi/flask", True), ("pkg:oci/other", False), ("x", False),
    ):  # fmt: skip
        document = openvex(products=[{"@id": product, "subcomponents": part}])
        result = applied(document)
        assert bool(result.suppressed) is suppresses
        assert bool(result.unmatched) is not suppresses


def test_a_statement_about_the_machine_is_about_all_its_packages() -> None:
    assert applied(openvex(products=[{"@id": "disk.img"}])).suppressed
    assert applied(openvex(products=[{"@id": "other.img"}])).active
    # Without any product it is about nothing.
    assert applied(openvex(products=[])).active


def test_a_statement_about_no_finding_is_unmatched() -> None:
    other = {"name": "CVE-1999-1", "aliases": ["2226586"]}
    result = applied(openvex(), openvex(vulnerability=other))
    assert [item.shown for item in result.unmatched] == ["CVE-1999-1 (debian/libssl3)"]


def test_a_csaf_product_of_a_platform_is_meant_there_alone() -> None:
    for cpe, suppresses in (
        ("cpe:/o:redhat:enterprise_linux:9::baseos", True),
        ("cpe:2.3:o:redhat:enterprise_linux:9:*:*:*:*:*:*:*", True),
        ("cpe:/a:redhat:enterprise_linux:9::appstream", True),
        ("cpe:/o:redhat:enterprise_linux:8::baseos", False),
        ("cpe:/a:redhat:rhel_aus:8.2::appstream", False),
        ("cpe:/a:redhat:openshift:4", False),
    ):
        document = csaf()
        platform = {
            "product_id": "P2",
            "name": "a platform",
            "product_identification_helper": {"cpe": cpe},
        }
        document["product_tree"]["full_product_names"] = [platform]
        document["product_tree"]["relationships"] = [
            {
                "category": "default_component_of",
                "product_reference": "P1",
                "relates_to_product_reference": "P2",
                "full_product_name": {"product_id": "P2:P1", "name": "P1 on P2"},
            }
        ]
        document["vulnerabilities"][0]["product_status"] = {"known_not_affected": ["P2:P1"]}
        assert bool(applied(document).suppressed) is suppresses, cpe


def test_a_system_is_its_cpe_by_whole_numbers() -> None:
    system = OperatingSystem("rhel", "19.3")
    assert not is_system("cpe:/o:redhat:enterprise_linux:1", system)
    assert is_system("cpe:/o:redhat:enterprise_linux:19", system)
    assert not is_system("cpe:/o:redhat:enterprise_linux", system)


def test_a_cyclonedx_reference_may_be_a_link_or_a_purl_with_versions() -> None:
    document = cyclonedx()
    affects = document["vulnerabilities"][0]["affects"]
    for reference in (
        "urn:cdx:f08a6ccd-4dce-4759-bd84-c626675d60a7/1#ssl",
        "urn:cdx:f08a6ccd-4dce-4759-bd84-c626675d60a7/1#pkg%3Adeb%2Fdebian%2Flibssl3",
        "pkg:deb/debian/libssl3",
    ):
        affects[0] = {"ref": reference}
        assert applied(document).suppressed
    affects[0] = {"ref": "ssl", "versions": [{"version": "3.0.11-1~deb12u2"}]}
    assert applied(document).suppressed
    affects[0] = {"ref": "ssl", "versions": [{"version": "1"}]}
    assert applied(document).active
    affects[0] = {"ref": "ssl", "versions": [{"range": "vers:deb/>=1"}]}
    assert applied(document).unmatched


IGNORED = """
[[ignore]]
vulnerability = "cve-2024-5535"
package = "pkg:deb/debian/libssl3"
reason = "ALPN is not used"
expires = 2026-12-31
"""


def test_an_ignored_finding_is_suppressed_until_its_day_has_passed() -> None:
    for day, count in ((date(2026, 12, 31), 1), (date(2027, 1, 1), 0)):
        statements, expired = ignore_file.ignored(IGNORED.encode(), "ignore.toml", day)
        result = apply([finding(SSL)], statements, MACHINE, ())
        assert len(result.suppressed) == count
        assert len(expired) == 1 - count
        for item in result.suppressed:
            assert (item.status, item.reason) == (VexStatus.IGNORED, "ALPN is not used")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("ignore = 1", "entries alone"),
        ("[[ignore]]\nvulnerability = 'CVE-1'", "entry 1: needs a reason"),
        ("[[ignore]]\nreason = 'x'", "entry 1: needs a vulnerability"),
        ("[[ignore]]\nvulnerability = 'CVE-1'\nreason = ' '", "needs a reason"),
        ("[[ignore]]\nvulnerability = 'CVE-1'\nreason = 'x'\nuntil = 1", "not until"),
        ("[[ignore]]\nvulnerability = 'C'\nreason = 'x'\nexpires = '2026-01-01'", "is a day"),
        ("[[ignore]]\nvulnerability = 'C'\nreason = 'x'\npackage = 'libssl3'", "not a package URL"),
        ("[[ignore]", "no TOML"),
    ],
)
def test_an_ignore_file_of_another_form_is_an_error(text: str, what: str) -> None:
    with pytest.raises(FormatError, match=what):
        ignore_file.ignored(text.encode(), "ignore.toml", date(2026, 1, 1))


@pytest.mark.parametrize(
    "document",
    ["", "[]", "{}", '{"bomFormat": "CycloneDX"}', '{"document": {"csaf_version": "3.0"}}',
     '{"@context": "https://openvex.dev/ns", "statements": []}',
     '{"@context": "https://openvex.dev/ns", "statements": [{"status": "ok"}]}'],
)  # fmt: skip
def test_a_document_without_a_statement_is_an_error(document: str) -> None:
    with pytest.raises(FormatError):
        vex_documents.vex_statements(document.encode(), "x")
