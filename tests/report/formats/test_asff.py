"""ASFF: valid by botocore's model and by Security Hub's limits, whatever a disk names."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from sidelight.model import FindingStatus, FixAvailable, Package, Severity
from sidelight.report.formats.asff import (
    AT_ONCE,
    BYTES,
    asff_document,
    asff_text,
    batches,
    product_arn,
    write_asff,
)
from tests.fixtures.described_findings import AT, CVE, PACKAGE, WEB, row
from tests.fixtures.hostile_text import ONE_OF_EACH as HOSTILE
from tests.fixtures.network_findings import SSH

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SHAPES = "control-plane/inspector-shapes/defectdojo/unittests/scans/awssecurityhub"
# The documented limits: the path of a member -> characters.
LIMITS = {
    r"Id": 512, r"ProductArn": 2048, r"Region": 16, r"GeneratorId": 512, r"Title": 256,
    r"Description": 1024, r"Severity\.Original": 64, r"ProductFields\..{1,128}": 2048,
    r"Remediation\.Recommendation\.Text": 512, r"Resources\.\d+\.Id": 512,
    r"Resources\.\d+\.Tags\..{1,128}": 256,
}  # fmt: skip


@cache
def shape() -> Any:
    session = botocore.session.get_session()
    return session.get_service_model("securityhub").shape_for("BatchImportFindingsRequest")


def valid(document: Mapping[str, Any]) -> None:
    """Fail unless Security Hub's model and its documented limits allow the finding."""
    report = ParamValidator().validate({"Findings": [document]}, shape())
    assert not report.has_errors(), report.generate_report()
    for path, value in texts(document):
        assert value.strip(), f"{path} is blank"
        for pattern, most in LIMITS.items():
            if re.fullmatch(pattern, path):
                assert len(value) <= most, path
    assert len(asff_text(document)) <= BYTES
    assert document["FirstObservedAt"] <= document["LastObservedAt"]
    assert document["CreatedAt"] <= document["UpdatedAt"]
    for name in ("FirstObservedAt", "LastObservedAt", "CreatedAt", "UpdatedAt"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", document[name])
    assert all(kind.startswith("Software and Configuration Checks/") for kind in document["Types"])


def texts(value: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [found for name, item in value.items() for found in texts(item, f"{path}.{name}")]
    if isinstance(value, list):
        return [found for n, item in enumerate(value) for found in texts(item, f"{path}.{n}")]
    if not isinstance(value, str) or ".Tags." in path:
        return []
    return [(path.removeprefix("."), value)]


@pytest.mark.parametrize("status", list(FindingStatus))
@pytest.mark.parametrize("severity", list(Severity))
@pytest.mark.parametrize("finding", [CVE, SSH])
def test_every_type_severity_and_state_is_valid(
    finding: Any, severity: Severity, status: FindingStatus
) -> None:
    valid(asff_document(row(replace(finding, severity=severity), status), WEB))


@given(st.text(max_size=3000), st.sampled_from(list(FixAvailable)), st.integers(0, 3000))
def test_hostile_texts_and_many_members_stay_valid(text: str, fix: FixAvailable, many: int) -> None:
    package = Package("deb", text, text, text, text, arch=text, layer=text)
    finding = replace(
        CVE, vulnerability=text, package=package, fixed_version=text, title=text, remediation=text,
        advisories=tuple(f"{text}{n}" for n in range(many)), ecosystem=text, fix_available=fix,
        references=tuple(f"https://x/{text}{n}" for n in range(many)),
    )  # fmt: skip
    machine = replace(
        WEB, tags=tuple((f"{text}{n}", text) for n in range(100)), type=text, image_id=text
    )
    valid(asff_document(row(finding), machine))


def test_hostile_names_are_inert() -> None:
    finding = replace(CVE, title=HOSTILE, package=replace(PACKAGE, name=HOSTILE))
    document = asff_document(row(finding), None)
    valid(document)
    assert "\x1b" not in document["Title"] + document["Description"]
    assert "\u202e" not in document["Title"]


def test_the_states_are_records_and_workflows() -> None:
    found = {
        status: (document["RecordState"], document["Workflow"]["Status"])
        for status in FindingStatus
        for document in [asff_document(row(status=status), WEB)]
    }
    assert found == {
        FindingStatus.ACTIVE: ("ACTIVE", "NEW"),
        FindingStatus.SUPPRESSED: ("ARCHIVED", "SUPPRESSED"),
        FindingStatus.CLOSED: ("ARCHIVED", "RESOLVED"),
    }


def test_a_finding_keeps_its_id_and_names_instance_and_package() -> None:
    document = asff_document(row(), WEB)
    assert document["Id"] == asff_document(row(status=FindingStatus.CLOSED), None)["Id"]
    (resource,) = document["Resources"]
    assert resource["Id"] == f"arn:aws:ec2:eu-west-1:{'1' * 12}:instance/i-1"
    assert resource["Tags"] == {"Name": "web"}
    assert resource["Details"]["AwsEc2Instance"]["ImageId"] == "ami-1"
    (vulnerability,) = document["Vulnerabilities"]
    assert vulnerability["VulnerablePackages"] == [
        {"Name": "openssl", "Version": "3.0", "Epoch": "1", "Release": "1",
         "Architecture": "amd64", "PackageManager": "OS", "FilePath": "/var/lib/dpkg/status",
         "FixedInVersion": "1:3.0-2", "Remediation": "apt upgrade"},
    ]  # fmt: skip
    assert vulnerability["RelatedVulnerabilities"] == ["DSA-1"]
    assert document["Severity"] == {"Label": "HIGH", "Normalized": 70, "Original": "HIGH"}


def test_open_ports_have_their_path() -> None:
    document = asff_document(row(SSH), WEB)
    assert document["Network"]["OpenPortRange"] == {"Begin": 22, "End": 22}
    assert document["NetworkPath"][0] == {
        "ComponentId": "igw-1", "ComponentType": "AWS::EC2::InternetGateway",
    }  # fmt: skip
    assert "Vulnerabilities" not in document


@pytest.mark.parametrize(
    ("region", "partition"),
    [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")],
)
def test_arns_are_of_the_regions_partition(region: str, partition: str) -> None:
    document = asff_document(row(region=region), WEB)
    valid(document)
    arn = f"arn:{partition}:securityhub:{region}:{'1' * 12}:product/{'1' * 12}/default"
    assert document["ProductArn"] == product_arn("1" * 12, region) == arn
    assert document["Resources"][0]["Partition"] == partition


@given(st.lists(st.integers(1, BYTES), max_size=300))
def test_batches_keep_order_count_and_size(lengths: list[int]) -> None:
    items = ["x" * length for length in lengths]
    found = list(batches(items))
    assert [text for batch in found for text in batch] == items
    assert all(len(batch) <= AT_ONCE for batch in found)
    assert all(len(batch) == 1 or sum(map(len, batch)) <= BYTES for batch in found)


def test_a_line_is_one_call_of_one_account_and_region() -> None:
    rows = [row(region=region) for region in ("eu-west-1", "us-east-1") for _ in range(150)]
    file = io.StringIO()
    assert write_asff([(item, WEB) for item in rows], file) == 300
    lines = [json.loads(line)["Findings"] for line in file.getvalue().splitlines()]
    assert [len(findings) for findings in lines if len(findings) > AT_ONCE] == []
    assert [{item["Region"] for item in findings} for findings in lines if findings]
    assert all(len({item["Region"] for item in findings}) == 1 for findings in lines)
    assert sum(map(len, lines)) == 300


@pytest.mark.conformance
def test_the_members_are_those_of_inspectors_own_findings(shared_data: Path) -> None:
    folder = shared_data / SHAPES
    real = json.loads((folder / "inspector_ec2_cve.json").read_text())["Findings"][0]
    document = asff_document(row(), WEB)
    # Inspector's older documents have a member that its model calls deprecated.
    assert set(real) - set(document) <= {"WorkflowState"}
    own, other = document["Vulnerabilities"][0], real["Vulnerabilities"][0]
    assert set(other) - set(own) == set()


def test_a_finding_that_is_observed_again_is_an_update() -> None:
    later = AT + timedelta(days=30)
    document = asff_document(replace(row(), last_observed=later), WEB)
    assert document["UpdatedAt"] == document["LastObservedAt"] == "2026-12-01T00:00:00.000Z"
