"""OVAL of Ubuntu and Oracle, and CSAF: what their definitions and statements affect."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from sidelight.advisories.feeds.formats import csaf, oracle_oval, ubuntu_oval
from sidelight.errors import DamagedError, UnsupportedError
from sidelight.model import Affected, Interval, Severity
from tests.advisories.feeds.feed_documents import oval

if TYPE_CHECKING:
    from collections.abc import Mapping


def test_ubuntu_oval_joins_definitions_tests_and_states() -> None:
    (advisory,) = ubuntu_oval.parse(io.BytesIO(oval("oval:com.ubuntu.jammy:def:1")))
    assert (advisory.id, advisory.title, advisory.severity) == (
        "CVE-2023-0001",
        "Bad.",
        Severity.LOW,
    )
    assert [(row.ecosystem, row.name, row.intervals[0].end) for row in advisory.affected] == [
        ("Ubuntu:22.04", "a", "1.0-1"),
        ("Ubuntu:22.04", "b", ""),
    ]


def test_ubuntu_oval_of_another_distribution_is_unsupported() -> None:
    with pytest.raises(UnsupportedError):
        list(ubuntu_oval.parse(io.BytesIO(oval("oval:org.debian:def:1"))))


def _csaf(
    publisher: str, platform: tuple[str, str], package: Mapping[str, object]
) -> dict[str, object]:
    name, cpe = platform
    return {
        "document": {
            "category": "csaf_vex",
            "title": "t",
            "publisher": {"name": publisher},
            "tracking": {"id": "CVE-2023-0001"},
            "aggregate_severity": {"text": "Moderate"},
        },
        "product_tree": {
            "branches": [
                {
                    "branches": [
                        {
                            "category": "product_name",
                            "name": name,
                            "product": {
                                "name": name,
                                "product_id": "P",
                                "product_identification_helper": {"cpe": cpe},
                            },
                        },
                        {"category": "product_version", "product": package},
                    ]
                }
            ],
            "relationships": [
                {
                    "full_product_name": {"product_id": "P:x"},
                    "product_reference": "x",
                    "relates_to_product_reference": "P",
                }
            ],
        },
        "vulnerabilities": [
            {
                "cve": "CVE-2023-0001",
                "product_status": {"fixed": ["P:x"], "known_affected": ["P:x"]},
                "remediations": [{"category": "no_fix_planned", "product_ids": ["P:x"]}],
            }
        ],
    }


def test_csaf_a_fixed_build_ends_the_affected_versions() -> None:
    package = {
        "name": "x-1:2-3.module+el9.aarch64",
        "product_id": "x",
        "product_identification_helper": {"purl": "pkg:rpm/redhat/x@2-3?rpmmod=m:1:2"},
    }
    platform = ("RHEL AppStream EUS (v. 9.2)", "cpe:/a:redhat:rhel_eus:9.2::appstream")
    record = _csaf("Red Hat Product Security", platform, package)
    assert csaf.recognises(record)
    (advisory,) = csaf.parse(record)
    assert (advisory.source, advisory.severity) == ("Red Hat", Severity.MEDIUM)
    assert advisory.affected == (
        Affected(
            "Red Hat:9", "x", (Interval(end="1:2-3.module+el9"),), stream="eus:9.2", module="m:1"
        ),
    )


def test_csaf_an_affected_source_package_has_no_end() -> None:
    package = {
        "name": "x",
        "product_id": "x",
        "product_identification_helper": {"purl": "pkg:rpm/redhat/x?arch=src"},
    }
    platform = ("Red Hat Enterprise Linux 9", "cpe:/o:redhat:enterprise_linux:9")
    (advisory,) = csaf.parse(_csaf("Red Hat Product Security", platform, package))
    assert advisory.affected == (
        Affected("Red Hat:9", "src:x", (Interval(),), state="no-fix-planned"),
    )


def test_csaf_of_suse_names_platforms_in_words() -> None:
    package = {"name": "x-2-3.1.x86_64", "product_id": "x"}
    platform = ("SUSE Linux Enterprise Module for Basesystem 15 SP5", "cpe:/o:suse:sle:15:sp5")
    (advisory,) = csaf.parse(_csaf("SUSE Product Security Team", platform, package))
    assert [(row.ecosystem, row.name) for row in advisory.affected] == [("SUSE:15.5", "x")]


def test_csaf_that_nests_without_end_is_damage() -> None:
    node: dict[str, object] = {}
    for _depth in range(100):
        node = {"branches": [node]}
    with pytest.raises(Exception, match="deeper"):
        list(csaf.parse({"document": {"category": "csaf_vex"}, "product_tree": node}))


def _oracle(
    criteria: str, title: str = "ELSA-2024-1:  Moderate: a security update  (MODERATE)"
) -> str:
    return f"""<oval_definitions xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5">
    <definitions><definition id="oval:com.oracle.elsa:def:1"><metadata><title>
    {title}</title>
    <reference source="elsa" ref_url="https://linux.oracle.com/errata/ELSA-2024-1.html"/>
    <advisory><severity>MODERATE</severity><issued date="2024-01-02"/>
    <cve cvss3="9.8/CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H">CVE-2024-0001</cve>
    </advisory></metadata>{criteria}</definition></definitions></oval_definitions>"""


def _earlier(*packages: str, module: str = "", release: int = 8) -> str:
    criteria = "".join(f'<criterion comment="{text}"/>' for text in packages)
    enabled = f'<criterion comment="Module {module} is enabled"/>' if module else ""
    return f"""<criteria operator="AND"><criterion comment="Oracle Linux {release} is installed"/>
    {enabled}<criteria operator="OR"><criteria operator="AND">{criteria}</criteria></criteria>
    </criteria>"""


def test_oracle_oval_nests_release_module_and_builds() -> None:
    criteria = _earlier("a is earlier than 0:1-1.el8", "a is signed with the Oracle Linux 8 key")
    criteria += _earlier("b is earlier than 2:2-1.module+el8", module="b:ol")
    criteria += _earlier("c is earlier than 2:2-1.0.1.ksplice1.el9", release=9)
    criteria += _earlier("d is earlier than 10:3-1.el9_fips", release=9)
    (advisory,) = oracle_oval.parse(io.BytesIO(_oracle(criteria).encode()))
    assert (advisory.id, advisory.source) == ("ELSA-2024-1", "Oracle")
    assert advisory.vulnerabilities == ("CVE-2024-0001",)
    assert advisory.vectors == ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",)
    assert advisory.severity is Severity.MEDIUM
    assert advisory.affected == (
        Affected("Oracle Linux:8", "a", (Interval(end="1-1.el8"),)),
        Affected("Oracle Linux:8", "b", (Interval(end="2:2-1.module+el8"),), module="b:ol"),
        Affected(
            "Oracle Linux:9", "c", (Interval(end="2:2-1.0.1.ksplice1.el9"),), stream="ksplice"
        ),
        Affected("Oracle Linux:9", "d", (Interval(end="10:3-1.el9_fips"),), stream="fips"),
    )


def test_a_document_that_is_not_oracle_oval_is_refused() -> None:
    with pytest.raises(UnsupportedError):
        list(oracle_oval.parse(io.BytesIO(_oracle("", title="Something else").encode())))
    with pytest.raises(DamagedError):
        list(oracle_oval.parse(io.BytesIO(_oracle("")[:200].encode())))
    deep = "<criteria>" * 30 + "</criteria>" * 30
    with pytest.raises(DamagedError, match="deep"):
        list(oracle_oval.parse(io.BytesIO(_oracle(deep).encode())))
