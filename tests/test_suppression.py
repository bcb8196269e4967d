"""Criteria are Inspector's own: botocore's service model is the oracle for names and shapes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.errors import FormatError
from sidelight.model import Finding, FixAvailable, Instance, Package, Severity
from sidelight.suppression import (
    FIELDS,
    PACKAGE_FIELDS,
    Level,
    detail_values,
    instance_values,
    parse,
    row_values,
)

PACKAGE = Package("rpm", "openssl", "1:3.0.7-27.el9", "/var/lib/rpm", "pkg:rpm/x", arch="x86_64")
FOUND = Finding(
    "CVE-2026-1", Severity.HIGH, PACKAGE, "1:3.0.7-28.el9", ("CVE-2026-1", "RHSA-2026:1"),
    severity_source="Red Hat", epss=0.25, fix_available=FixAvailable.YES, ecosystem="Red Hat:9",
    score=7.5,
)  # fmt: skip
MACHINE = Instance(
    "i-1", "1", "eu-west-1", "running", (), tags=(("env", "test"), ("team", "a"), ("empty", "")),
    image_id="ami-1",
)  # fmt: skip
FIRST, LAST = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)


def agrees(criteria: dict[str, Any]) -> bool:
    parsed = parse(criteria)
    return (
        parsed.agree(Level.DETAIL, detail_values(FOUND))
        and parsed.agree(Level.INSTANCE, instance_values("1", "eu-west-1", "i-1", MACHINE))
        and parsed.agree(Level.ROW, row_values("arn:1", "ACTIVE", FIRST, LAST, LAST))
    )


def string(value: str, comparison: str = "EQUALS") -> list[dict[str, str]]:
    return [{"comparison": comparison, "value": value}]


def service_model() -> Any:
    return botocore.session.get_session().get_service_model("inspector2")


def test_the_criteria_are_the_services() -> None:
    kinds = {
        "StringFilterList": "string", "NumberFilterList": "number", "DateFilterList": "date",
        "MapFilterList": "map", "PackageFilterList": "package", "PortRangeFilterList": "ports",
    }  # fmt: skip
    members = service_model().shape_for("FilterCriteria").members
    assert {name: kind for name, (kind, _) in FIELDS.items()} == {
        name: kinds[shape.name] for name, shape in members.items()
    }


def test_a_package_filter_is_the_services() -> None:
    members = service_model().shape_for("PackageFilter").members
    kinds = {"StringFilter": "string", "NumberFilter": "number"}
    assert {name: kinds[shape.name] for name, shape in members.items()} == PACKAGE_FIELDS


@pytest.mark.parametrize(
    "criteria",
    [
        {"vulnerabilityId": string("CVE-2026-1")},
        {"vulnerabilityId": string("CVE-2026", "PREFIX")},
        {"vulnerabilityId": string("CVE-2026-2", "NOT_EQUALS")},
        {"severity": string("HIGH"), "resourceId": string("i-1")},
        {"severity": [*string("LOW"), *string("HIGH")]},
        {"title": string("CVE-2026-1 - openssl")},
        {"relatedVulnerabilities": string("RHSA-2026:1")},
        {"fixAvailable": string("YES"), "exploitAvailable": string("NO")},
        {"findingType": string("PACKAGE_VULNERABILITY"), "findingStatus": string("ACTIVE")},
        {"inspectorScore": [{"lowerInclusive": 7.5, "upperInclusive": 7.5}]},
        {"epssScore": [{"upperInclusive": 0.25}]},
        {"resourceTags": [{"comparison": "EQUALS", "key": "env", "value": "test"}]},
        {"resourceTags": [{"comparison": "EQUALS", "key": "team"}]},
        {"ec2InstanceImageId": string("ami-1"), "awsAccountId": string("1")},
        {"firstObservedAt": [{"endInclusive": FIRST.timestamp()}]},
        {"lastObservedAt": [{"startInclusive": "2026-02-01T00:00:00Z"}]},
        {"vulnerablePackages": [{"name": string("openssl")[0], "epoch": {"lowerInclusive": 1}}]},
        {"vulnerablePackages": [{"version": string("3.0.7")[0], "release": string("27.el9")[0]}]},
        {"vulnerablePackages": [{"architecture": string("arm64", "NOT_EQUALS")[0]}]},
        {"vulnerablePackages": [{"filePath": string("/var/", "PREFIX")[0]}]},
        {"ecrImageHash": string("sha256:1", "NOT_EQUALS")},
        {"resourceTags": [{"comparison": "EQUALS", "key": "empty", "value": ""}]},
    ],
)
def test_what_agrees(criteria: dict[str, Any]) -> None:
    assert agrees(criteria)


@pytest.mark.parametrize(
    "criteria",
    [
        {"vulnerabilityId": string("CVE-2026")},
        {"vulnerabilityId": string("CVE-2026-1", "NOT_EQUALS")},
        {"vulnerabilityId": [*string("CVE-2026", "PREFIX"), *string("CVE-2026-1", "NOT_EQUALS")]},
        {"severity": string("HIGH"), "resourceId": string("i-2")},
        {"inspectorScore": [{"lowerInclusive": 7.6}]},
        {"resourceTags": [{"comparison": "EQUALS", "key": "env", "value": "a"}]},
        {"resourceTags": [{"comparison": "EQUALS", "key": "env", "value": ""}]},
        {"firstObservedAt": [{"startInclusive": LAST.timestamp()}]},
        {"vulnerablePackages": [{"name": string("openssl")[0], "epoch": {"upperInclusive": 0}}]},
        {"ecrImageHash": string("sha256:1")},
        {"portRange": [{"beginInclusive": 0, "endInclusive": 65535}]},
    ],
)
def test_what_does_not_agree(criteria: dict[str, Any]) -> None:
    assert not agrees(criteria)


@pytest.mark.parametrize(
    "criteria",
    [
        {},
        [],
        {"nonsense": string("x")},
        {"severity": []},
        {"severity": "HIGH"},
        {"severity": string("x") * 11},
        {"severity": string("")},
        {"severity": string("x", "MATCHES")},
        {"severity": [{"comparison": "EQUALS", "value": "x", "more": 1}]},
        {"epssScore": [{"lowerInclusive": 1, "upperInclusive": 0}]},
        {"epssScore": [{"lowerInclusive": True}]},
        {"epssScore": [{"lowerInclusive": float("nan")}]},
        {"updatedAt": [{"startInclusive": "yesterday"}]},
        {"updatedAt": [{"startInclusive": 1e300}]},
        {"resourceTags": [{"comparison": "PREFIX", "key": "a"}]},
        {"vulnerablePackages": [{"flavour": string("x")[0]}]},
    ],
)
def test_what_is_no_criterion_is_refused(criteria: Any) -> None:
    with pytest.raises(FormatError):
        parse(criteria)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), json_values, min_size=1))
def test_any_document_is_criteria_or_refused(document: dict[str, Any]) -> None:
    try:
        parse(document)
    except FormatError:
        return


@given(st.sampled_from(["vulnerabilityId", "severity", "resourceId"]), st.text(min_size=1))
def test_not_equals_is_the_opposite_of_equals(field: str, value: str) -> None:
    assert agrees({field: string(value)}) != agrees({field: string(value, "NOT_EQUALS")})
