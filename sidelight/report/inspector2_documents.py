"""Findings and their events in the shapes of Amazon Inspector's API and EventBridge.

Sources: botocore's service model `inspector2` (Finding), and Inspector's user guide, "Amazon
EventBridge schema for Amazon Inspector events". An event's ARN and source are Sidelight's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from sidelight.advisories.rating import cvss
from sidelight.model import NetworkFinding
from sidelight.report import inspector_terms
from sidelight.suppression import UNNAMED_SOURCE

if TYPE_CHECKING:
    from sidelight.documents.inspector2 import (
        AdjustedCvss,
        Ec2InstanceDetails,
        EventEnvelope,
        FindingEventDocument,
        InspectorFinding,
        InspectorResource,
        PackageVulnerabilityDetails,
        VulnerablePackage,
    )
    from sidelight.model import (
        CoverageEvent,
        Finding,
        FindingEvent,
        FindingRow,
        Instance,
        ScanEvent,
    )

    _PackageMember = Literal[
        "name", "version", "release", "arch", "filePath", "packageManager", "remediation",
        "sourceLayer",
    ]  # fmt: skip

MOST_STEPS = 30  # of a network path, by the service's model
MOST_TEXT = 1024  # characters of a description, by the service's model
MOST_RELATED = 100  # by the service's model; a month's update of Windows may fix more


def event_document(
    event: FindingEvent, instance: Instance | None, deployment: str
) -> FindingEventDocument:
    """Return an EventBridge event; `id` is the event's number in the store.

    EventBridge replaces an event's id, account and region with its own. So the original values are
    also in the detail, under `sidelight`.
    """
    detail = finding_document(event.row, instance)
    detail["sidelight"] = {
        "eventId": f"{deployment}-{event.sequence}",
        "sequence": event.sequence,
        "event": event.kind,
        "region": event.row.region,
    }
    row = event.row
    kept = envelope(event, "Inspector2 Finding", row.account, row.region, row.instance)
    return {**kept, "detail": detail}


def envelope(
    event: FindingEvent | CoverageEvent | ScanEvent,
    kind: str,
    account: str,
    region: str,
    instance: str,
) -> EventEnvelope:
    """Return what is around the detail of an event of an instance; `kind` is its type."""
    return {
        "version": "0",
        "id": str(event.sequence),
        "detail-type": kind,
        "source": "sidelight",
        "account": account,
        "time": event.at.isoformat(),
        "region": region,
        "resources": [instance],
    }


def finding_document(row: FindingRow, instance: Instance | None) -> InspectorFinding:
    """Return Inspector's Finding; unknown fields are left out, times are ISO 8601."""
    finding = row.finding
    if isinstance(finding, NetworkFinding):
        return _network_document(row, finding, instance)
    return _package_document(row, finding, instance)


def _common(
    row: FindingRow, instance: Instance | None, description: str, remediation: str
) -> InspectorFinding:
    """Return the members of every type of finding."""
    finding = row.finding
    return {
        "findingArn": row.arn,
        "awsAccountId": row.account,
        "type": finding.type,
        "title": finding.headline,
        "description": description[:MOST_TEXT],
        "severity": finding.severity,
        "status": row.status,
        "firstObservedAt": row.first_observed.isoformat(),
        "lastObservedAt": row.last_observed.isoformat(),
        "updatedAt": row.updated_at.isoformat(),
        "resources": [_resource(row, instance)],
        "remediation": {"recommendation": {"text": remediation or "None Provided"}},
    }


def _network_document(
    row: FindingRow, finding: NetworkFinding, instance: Instance | None
) -> InspectorFinding:
    document = _common(row, instance, finding.description, finding.remediation)
    document["networkReachabilityDetails"] = {
        "protocol": finding.protocol,
        "openPortRange": {"begin": finding.port_begin, "end": finding.port_end},
        "networkPath": {
            "steps": [
                {"componentId": step.id, "componentType": step.type}
                for step in finding.steps[:MOST_STEPS]
            ]
        },
    }
    return document


def _package_document(
    row: FindingRow, finding: Finding, instance: Instance | None
) -> InspectorFinding:
    document = _common(row, instance, finding.title or finding.headline, finding.remediation)
    document["packageVulnerabilityDetails"] = _details(finding)
    document["fixAvailable"] = finding.fix_available
    document["exploitAvailable"] = "YES" if finding.exploit_available else "NO"
    if finding.score is not None:
        document["inspectorScore"] = finding.score
    if finding.score is not None and finding.score_vector:
        document["inspectorScoreDetails"] = {"adjustedCvss": _adjusted(finding, finding.score)}
    if finding.epss is not None:
        document["epss"] = {"score": finding.epss}
    return document


def _resource(row: FindingRow, instance: Instance | None) -> InspectorResource:
    resource: InspectorResource = {
        "type": "AWS_EC2_INSTANCE",
        "id": row.instance,
        "partition": "aws",
        "region": row.region,
    }
    if instance is not None:
        resource["tags"] = dict(instance.tags)
        resource["details"] = {"awsEc2Instance": _instance(instance)}
    return resource


def _instance(instance: Instance) -> Ec2InstanceDetails:
    details: Ec2InstanceDetails = {
        # Inspector has these two also where they are empty.
        "ipV4Addresses": [*instance.public_ipv4, *instance.private_ipv4],
        "ipV6Addresses": list(instance.ipv6_addresses),
    }
    if instance.type:
        details["type"] = instance.type
    if instance.image_id:
        details["imageId"] = instance.image_id
    if instance.vpc_id:
        details["vpcId"] = instance.vpc_id
    if instance.subnet_id:
        details["subnetId"] = instance.subnet_id
    if instance.key_name:
        details["keyName"] = instance.key_name
    if instance.instance_profile:
        details["iamInstanceProfileArn"] = instance.instance_profile
    if instance.launched_at:
        details["launchedAt"] = instance.launched_at.isoformat()
    return details


def _details(finding: Finding) -> PackageVulnerabilityDetails:
    details: PackageVulnerabilityDetails = {
        "vulnerabilityId": finding.vulnerability,
        "source": finding.source or UNNAMED_SOURCE,
        "vulnerablePackages": [_package(inspector_terms.affected(finding))],
        "cvss": [
            {
                "source": cvss_score.source,
                "scoringVector": cvss_score.vector,
                "version": cvss_score.version,
                "baseScore": cvss_score.base_score,
            }
            for cvss_score in inspector_terms.scores(finding)
            if cvss_score.base_score is not None
        ],
        "relatedVulnerabilities": [n for n in finding.advisories if n != finding.vulnerability][
            :MOST_RELATED
        ],
        "referenceUrls": list(finding.references),
    }
    if finding.severity_source:  # as its criterion: a severity that nobody gave is not a vendor's
        details["vendorSeverity"] = finding.severity.value
    if finding.references:
        details["sourceUrl"] = finding.references[0]
    return details


# Members that are left out if they are empty, with their names in Inspector's terms.
_OPTIONAL: Final[tuple[tuple[_PackageMember, str], ...]] = (
    ("name", "name"), ("version", "version"), ("release", "release"), ("arch", "arch"),
    ("filePath", "path"), ("packageManager", "package_manager"), ("remediation", "remediation"),
    # Inspector's sourceLayerHash is an image layer's hash; here it is the container storage.
    ("sourceLayer", "source_layer"),
)  # fmt: skip


def _package(package: inspector_terms.AffectedPackage) -> VulnerablePackage:
    document: VulnerablePackage = {
        "epoch": package.epoch,
        "fixedInVersion": package.fixed_version or "NotAvailable",
    }
    for member, name in _OPTIONAL:
        if value := getattr(package, name):
            document[member] = value
    return document


def _adjusted(finding: Finding, score: float) -> AdjustedCvss:
    metrics = {"E": "exploit maturity", "MAV": "network reachability"}
    words = dict(word.split(":", 1) for word in finding.score_vector.split("/"))
    return {
        "scoreSource": "Sidelight",
        "cvssSource": finding.cvss_vectors[0][0] if finding.cvss_vectors else "Sidelight",
        "version": cvss.version_of(finding.score_vector),
        "score": score,
        "scoringVector": finding.score_vector,
        "adjustments": [
            {"metric": name, "reason": f"{why}: {words[name]}"}
            for name, why in metrics.items()
            if name in words
        ],
    }
