"""Network findings in Inspector's shape, checked with the service's own model."""

from __future__ import annotations

from datetime import UTC, datetime

import botocore.session
from botocore.validate import ParamValidator

from sidelight.model import FindingRow, FindingStatus
from sidelight.report.inspector2_documents import finding_document
from tests.fixtures.network_findings import SSH

NOW = datetime(2026, 11, 29, tzinfo=UTC)
ROW = FindingRow(
    1, "123456789012", "eu-west-1", "i-1", FindingStatus.ACTIVE, NOW, NOW, SSH, NOW
)  # fmt: skip


def test_a_network_finding_has_the_shape_of_inspectors() -> None:
    document = finding_document(ROW, None)
    assert document["networkReachabilityDetails"] == {
        "protocol": "TCP",
        "openPortRange": {"begin": 22, "end": 22},
        "networkPath": {
            "steps": [
                {"componentId": "igw-1", "componentType": "AWS::EC2::InternetGateway"},
                {"componentId": "acl-1", "componentType": "AWS::EC2::NetworkAcl"},
                {"componentId": "sg-1", "componentType": "AWS::EC2::SecurityGroup"},
                {"componentId": "eni-1", "componentType": "AWS::EC2::NetworkInterface"},
                {"componentId": "i-1", "componentType": "AWS::EC2::Instance"},
            ]
        },
    }
    assert document["title"] == "Port 22 is reachable from an Internet Gateway - TCP"
    absent = {"packageVulnerabilityDetails", "fixAvailable", "exploitAvailable", "inspectorScore"}
    assert not absent & document.keys()


def test_a_network_finding_is_valid_by_the_services_model() -> None:
    service = botocore.session.get_session().get_service_model("inspector2")
    report = ParamValidator().validate(finding_document(ROW, None), service.shape_for("Finding"))
    assert not report.has_errors(), report.generate_report()
