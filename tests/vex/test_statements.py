"""Which findings a VEX statement suppresses, in each of the three formats."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.errors import FormatError, LimitError
from sidelight.model import Inventory, OperatingSystem, Status, VexStatus
from sidelight.purls import parse_purl
from sidelight.vex import csaf as csaf_documents
from sidelight.vex import ignore_file, vex_documents
from sidelight.vex.statements import apply, is_of, is_system
from tests.fixtures.boms import CHRONY, FLASK, SSL, finding

if TYPE_CHECKING:
    from sidelight.model import Finding
    from sidelight.vex.statements import VexResult

CVE = "CVE-2024-5535"
MACHINE = Inventory(Status.COMPLETE, OperatingSystem("rhel", "9.3"), (SSL, FLASK, CHRONY))
JUSTIFICATION = "vulnerable_code_not_in_execute_path"


def openvex(**statement: object) -> dict[str, Any]:
    usual: dict[str, object] = {
        "vulnerability": {"name": CVE},
        "products": [{"@id": "pkg:deb/debian/libssl3"}],
        "status": "not_affected",
        "justification": JUSTIFICATION,
    }
    return {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://example.org/vex/1",
        "author": "Example",
        "timestamp": "2026-01-02T00:00:00Z",
        "version": 1,
        "statements": [usual | statement],
    }


def cyclonedx(**analysis: object) -> dict[str, Any]:
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "components": [{"bom-ref": "ssl", "name": "libssl3", "purl": "pkg:deb/debian/libssl3"}],
        "vulnerabilities": [
            {
                "id": CVE,
                "analysis": {"state": "not_affected", "justification": "code_not_reachable"}
                | analysis,
                "affects": [{"ref": "ssl"}],
            }
        ],
    }


def csaf(status: str = "known_not_affected", **vulnerability: object) -> dict[str, Any]:
    product = {
        "product_id": "P1",
        "name": "libssl3",
        "product_identification_helper": {"purl": "pkg:deb/debian/libssl3"},
    }
    return {
        "document": {
            "category": "csaf_vex",
            "csaf_version": "2.0",
            "tracking": {"current_release_date": "2026-01-02T00:00:00Z"},
        },
        "product_tree": {"branches": [{"branches": [{"product": product}]}]},
        "vulnerabilities": [
            {
                "cve": CVE,
                "product_status": {status: ["P1"]},
                "flags": [{"label": JUSTIFICATION, "product_ids": ["P1"]}],
            }
            | vulnerability
        ],
    }


def applied(*documents: dict[str, Any], findings: tuple[Finding, ...] = ()) -> VexResult:
    statements = [
        statement
        for number, document in enumerate(documents, 1)
        for statement in vex_documents.vex_statements(
            json.dumps(document).encode(), f"vex-{number}.json"
        )
    ]
    return apply(findings or (finding(SSL),), statements, MACHINE, ("disk.img",))


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


def test_bounds_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    data = json.dumps(openvex()).encode()
    for name, value in (("MAX_STATEMENTS", 0), ("MAX_NODES", 3), ("MAX_BYTES", 9)):
        with monkeypatch.context() as patched:
            patched.setattr(vex_documents, name, value)
            with pytest.raises(FormatError):
                vex_documents.vex_statements(data, "x")


VALUES = st.recursive(
    st.none() | st.booleans() | st.text(max_size=6) | st.just("P1") | st.just("ssl"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("product_id", "purl", "@id", "ref", "bom-ref")), inner)
    ),
    max_leaves=8,
)
MEMBERS = ("vulnerability", "products", "status", "affects", "analysis", "product_status", "flags",
           "threats", "timestamp", "ids", "references")  # fmt: skip


@given(
    st.sampled_from([openvex, cyclonedx, csaf]), st.dictionaries(st.sampled_from(MEMBERS), VALUES)
)
def test_members_of_any_type_never_suppress_by_mistake(make: Any, members: dict[str, Any]) -> None:
    document = make()
    key = "statements" if "statements" in document else "vulnerabilities"
    document[key] = [members | {"cve": CVE, "id": CVE}]
    other = replace(SSL, purl="pkg:deb/debian/another@1")
    try:
        assert len(applied(document, findings=(finding(other),)).active) == 1
    except FormatError:
        return


@pytest.mark.parametrize(
    ("identified", "suppresses"),
    [
        ({"identifiers": {"cpe23": "cpe:2.3:o:redhat:enterprise_linux:9:*:*:*:*:*:*:*"}}, True),
        ({"identifiers": {"cpe22": "cpe:/o:redhat:enterprise_linux:9"}}, True),
        ({"identifiers": {"cpe23": "cpe:2.3:o:redhat:enterprise_linux:8:*:*:*:*:*:*:*"}}, False),
        ({"identifiers": {"cpe23": "cpe:2.3:a:vendor:appliance:1:*:*:*:*:*:*:*"}}, False),
        ({"hashes": {"sha-256": "00"}}, False),
        ({}, False),
    ],
    ids=["cpe23", "cpe22", "other-version", "other-product", "hash", "nothing"],
)
def test_a_subcomponent_of_a_product_that_is_not_here_suppresses_nothing(
    identified: dict[str, Any], suppresses: bool
) -> None:
    part = {"identifiers": {"purl": "pkg:deb/debian/libssl3"}}
    document = openvex(products=[identified | {"subcomponents": [part]}])
    assert bool(applied(document).suppressed) is suppresses


@pytest.mark.parametrize(
    ("versions", "suppresses"),
    [
        ([{"version": "3.0.11-1~deb12u2", "status": "unaffected"}], True),
        ([{"version": "3.0.11-1~deb12u2"}], True),
        ([{"version": "3.0.11-1~deb12u2", "status": "affected"}], False),
        ([{"version": "3.0.11-1~deb12u2", "status": "unknown"}], False),
        (
            [
                {"version": "3.0.11-1~deb12u2", "status": "affected"},
                {"version": "3.0.11-1~deb12u3", "status": "unaffected"},
            ],
            False,
        ),
    ],
)
@pytest.mark.parametrize("state", ["not_affected", "resolved"])
def test_a_version_that_is_affected_is_not_acquitted(
    state: str, versions: list[dict[str, str]], suppresses: bool
) -> None:
    document = cyclonedx(state=state)
    document["vulnerabilities"][0]["affects"] = [
        {"ref": "pkg:deb/debian/libssl3", "versions": versions}
    ]
    assert bool(applied(document).suppressed) is suppresses


@pytest.mark.parametrize("whole", ["", "P9", "P2:P1"], ids=["no-name", "not-listed", "a-part"])
def test_a_part_of_what_is_not_known_suppresses_nothing(whole: str) -> None:
    document = csaf()
    document["product_tree"]["relationships"] = [
        {
            "category": "default_component_of",
            "product_reference": "P1",
            "relates_to_product_reference": whole,
            "full_product_name": {
                "product_id": "P2:P1",
                "name": "P1 on P2",
                "product_identification_helper": {"purl": "pkg:deb/debian/libssl3"},
            },
        }
    ]
    document["vulnerabilities"][0]["product_status"] = {"known_not_affected": ["P2:P1"]}
    assert applied(document).suppressed == []


def test_what_a_short_csaf_document_may_name_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One list of products in each of many statements, and one group in each of many flags."""
    monkeypatch.setattr(csaf_documents, "_MAX_NAMED", 500)
    purls = [f"pkg:npm/a{number}" for number in range(100)]
    product = {"product_id": "p", "product_identification_helper": {"purls": purls}}
    groups = [{"group_id": "g", "product_ids": ["p"] * 100}]
    status = {"product_status": {"known_not_affected": ["p"]}}
    flag = {"label": "component_not_present", "group_ids": ["g"]}

    def document(*vulnerabilities: dict[str, Any]) -> bytes:
        tree = {"full_product_names": [product], "product_groups": groups}
        named = [{"cve": f"CVE-{number}"} | item for number, item in enumerate(vulnerabilities)]
        head = {"csaf_version": "2.0"}
        whole = {"document": head, "product_tree": tree, "vulnerabilities": named}
        return json.dumps(whole).encode()

    assert len(vex_documents.vex_statements(document(*[status] * 5), "v")) == 5
    for many in ([status] * 6, [{**status, "flags": [flag] * 5}]):
        with pytest.raises(LimitError, match="more than 500 products"):
            vex_documents.vex_statements(document(*many), "v")
