"""VEX statements of any shape, about parts and versions: none suppresses by mistake."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.errors import FormatError, LimitError
from sidelight.vex import csaf as csaf_documents
from sidelight.vex import vex_documents
from tests.fixtures.boms import SSL, finding
from tests.vex.small_documents import CVE, applied, csaf, cyclonedx, openvex


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
