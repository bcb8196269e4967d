"""Inspector's answers as records: real ones, every form of times, and damaged ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.inspector_comparison import InspectorSide, ReportedPackage, ReportedPort
from sidelight.inspector_comparison.reported import MOST_PROBLEMS
from sidelight.model import InstanceRef
from tests.inspector_comparison.sides import ACCOUNT, REGION, covered, package_finding, port_finding

if TYPE_CHECKING:
    from pathlib import Path

SHAPES = "control-plane/inspector-shapes"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


def read(*findings: object) -> InspectorSide:
    side = InspectorSide()
    side.add_findings(findings, "here")
    return side


def test_a_package_finding_keeps_what_is_compared() -> None:
    (finding,) = read(package_finding()).findings.values()
    assert finding.place == InstanceRef(ACCOUNT, REGION, "i-1")
    assert finding.vulnerability == "CVE-2026-1"
    assert finding.packages == (
        ReportedPackage("openssl", "1:3.0.2-1", "1:3.0.2-2", "", "OS"),
        ReportedPackage("libssl3", "3.0.2", "", "", "OS"),
    )
    assert (finding.severity, finding.severity_source) == ("MEDIUM", "UBUNTU_CVE")


def test_a_network_finding_has_its_ports_interface_and_edge() -> None:
    (finding,) = read(port_finding()).findings.values()
    assert finding.port == ReportedPort("TCP", 22, 22, "eni-1", "igw-1")


@pytest.mark.parametrize(
    "time",
    [
        "2026-11-01T10:00:00+00:00",
        "2026-11-01T10:00:00Z",
        1793527200,
        1793527200.0,
        datetime(2026, 11, 1, 10, tzinfo=UTC),
    ],
)
def test_times_of_boto3_and_of_both_versions_of_the_cli_are_read(time: object) -> None:
    (finding,) = read(package_finding(firstObservedAt=time)).findings.values()
    assert finding.first_observed == datetime(2026, 11, 1, 10, tzinfo=UTC)


def test_of_two_answers_with_one_arn_the_later_update_counts() -> None:
    newer = package_finding(status="CLOSED", updatedAt="2026-11-03T00:00:00Z")
    older = package_finding(status="ACTIVE", updatedAt="2026-11-02T00:00:00Z")
    for items in ((newer, older), (older, newer)):
        (finding,) = read(*items).findings.values()
        assert finding.status == "CLOSED"


def test_other_resources_and_types_are_counted_and_not_compared() -> None:
    image = package_finding()
    image["resources"][0]["type"] = "AWS_ECR_CONTAINER_IMAGE"
    code = package_finding(type="CODE_VULNERABILITY")
    code["packageVulnerabilityDetails"] = None
    side = read(image, code)
    assert side.skipped == {"AWS_ECR_CONTAINER_IMAGE": 1, "CODE_VULNERABILITY": 1}
    assert not side.findings


@pytest.mark.parametrize(
    "change",
    [
        {"findingArn": ""},
        {"findingArn": 7},
        {"awsAccountId": None},
        {"resources": {}},
        {"resources": ["i-1"]},
        {"packageVulnerabilityDetails": []},
        {"status": None},
        {"firstObservedAt": "yesterday"},
        {"firstObservedAt": True},
        {"updatedAt": 1e300},
        {
            "packageVulnerabilityDetails": {
                "vulnerabilityId": "X",
                "vulnerablePackages": [{"epoch": "1"}],
            }
        },
    ],
)
def test_a_damaged_finding_is_a_problem_and_the_next_one_is_read(change: dict[str, Any]) -> None:
    side = read(package_finding(**change), port_finding())
    assert [finding.type for finding in side.findings.values()] == ["NETWORK_REACHABILITY"]
    assert side.unreadable == 1
    assert side.problems[0].where == "here: finding 1"


@given(st.dictionaries(st.sampled_from(sorted(package_finding())), JSON), JSON)
def test_no_answer_raises(change: dict[str, Any], other: object) -> None:
    side = read(package_finding(**change), port_finding(networkReachabilityDetails=other), other)
    side.add_coverage([{**covered(), **change}, other], "here")
    assert len(side.problems) <= MOST_PROBLEMS


def test_a_flood_of_damaged_items_keeps_a_bounded_number_of_problems() -> None:
    side = read(*[7] * 1000)
    assert side.unreadable == 1000
    assert len(side.problems) == MOST_PROBLEMS


@pytest.mark.conformance
def test_inspectors_real_answers_are_read_without_a_problem(shared_data: Path) -> None:
    folder = shared_data / SHAPES
    side, count = InspectorSide(), 0
    for path in sorted(
        [*folder.glob("custodian/*/*.json"), *folder.glob("defectdojo/**/aws_inspector2_*.json")]
    ):
        document = json.loads(path.read_text())
        findings = document.get("data", document).get("findings", [])
        count += side.add_findings([_times(item) for item in findings], path.name)
    assert count > 20
    assert side.problems == []
    assert side.findings


def _times(value: Any) -> Any:
    """The recorder's form of a datetime as a datetime."""
    if isinstance(value, list):
        return [_times(item) for item in value]
    if isinstance(value, dict):
        if value.get("__class__") == "datetime":
            parts = {name: part for name, part in value.items() if name != "__class__"}
            return datetime(**parts, tzinfo=UTC)
        return {name: _times(item) for name, item in value.items()}
    return value
