"""Findings and their events in the shapes of Amazon Inspector's API and EventBridge.

Sources: botocore's service model `inspector2` (Finding), and Inspector's user guide, "Amazon
EventBridge schema for Amazon Inspector events". An event's ARN and source are Sidelight's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidelight.advisories.rating import cvss
from sidelight.report import inspector_terms

if TYPE_CHECKING:
    from sidelight.model import Finding, FindingEvent, FindingRow, Instance


def event_document(
    event: FindingEvent, instance: Instance | None, deployment: str
) -> dict[str, Any]:
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
    return {
        "version": "0",
        "id": str(event.sequence),
        "detail-type": "Inspector2 Finding",
        "source": "sidelight",
        "account": event.row.account,
        "time": event.at.isoformat(),
        "region": event.row.region,
        "resources": [event.row.instance],
        "detail": detail,
    }


def finding_document(row: FindingRow, instance: Instance | None) -> dict[str, Any]:
    """Return Inspector's Finding; unknown fields are left out, times are ISO 8601."""
    finding = row.finding
    document: dict[str, Any] = {
        "findingArn": row.arn,
        "awsAccountId": row.account,
        "type": finding.type.value,
        "title": finding.headline,
        "description": finding.title or finding.headline,
        "severity": finding.severity.value,
        "status": row.status.value,
        "firstObservedAt": row.first_observed.isoformat(),
        "lastObservedAt": row.last_observed.isoformat(),
        "updatedAt": row.updated_at.isoformat(),
        "resources": [_resource(row, instance)],
        "packageVulnerabilityDetails": _details(finding),
        "remediation": {"recommendation": {"text": finding.remediation or "None Provided"}},
        "fixAvailable": finding.fix_available.value,
        "exploitAvailable": "YES" if finding.exploit_available else "NO",
    }
    if finding.score is not None:
        document["inspectorScore"] = finding.score
        document["inspectorScoreDetails"] = {"adjustedCvss": _adjusted(finding)}
    if finding.epss is not None:
        document["epss"] = {"score": finding.epss}
    return document


def _resource(row: FindingRow, instance: Instance | None) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "type": "AWS_EC2_INSTANCE",
        "id": row.instance,
        "partition": "aws",
        "region": row.region,
    }
    if instance is not None:
        fields = {
            "type": instance.type,
            "imageId": instance.image_id,
            "vpcId": instance.vpc_id,
            "subnetId": instance.subnet_id,
            "launchedAt": instance.launched_at.isoformat() if instance.launched_at else "",
        }
        resource["tags"] = dict(instance.tags)
        resource["details"] = {"awsEc2Instance": {k: v for k, v in fields.items() if v}}
    return resource


def _details(finding: Finding) -> dict[str, Any]:
    return {
        "vulnerabilityId": finding.vulnerability,
        "source": finding.source or "Sidelight",
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
        "relatedVulnerabilities": [n for n in finding.advisories if n != finding.vulnerability],
        "vendorSeverity": finding.severity.value,
        "referenceUrls": list(finding.references),
        **({"sourceUrl": finding.references[0]} if finding.references else {}),
    }


def _package(package: inspector_terms.AffectedPackage) -> dict[str, Any]:
    fields = {
        "name": package.name,
        "version": package.version,
        "release": package.release,
        "arch": package.arch,
        "filePath": package.path,
        "packageManager": package.package_manager,
        "fixedInVersion": package.fixed_version or "NotAvailable",
        "remediation": package.remediation,
        # Inspector's sourceLayerHash is an image layer's hash; here it is the container storage.
        "sourceLayer": package.source_layer,
    }
    return {"epoch": package.epoch} | {name: value for name, value in fields.items() if value}


def _adjusted(finding: Finding) -> dict[str, Any]:
    metrics = {"E": "exploit maturity", "MAV": "network reachability"}
    words = dict(word.split(":", 1) for word in finding.score_vector.split("/"))
    return {
        "scoreSource": "Sidelight",
        "cvssSource": finding.cvss_vectors[0][0] if finding.cvss_vectors else "Sidelight",
        "version": cvss.version_of(finding.score_vector),
        "score": finding.score,
        "scoringVector": finding.score_vector,
        "adjustments": [
            {"metric": name, "reason": f"{why}: {words[name]}"}
            for name, why in metrics.items()
            if name in words
        ],
    }
