"""Findings and their events in the shapes of Amazon Inspector's API and EventBridge.

Sources: botocore's service model `inspector2` (Finding), and Inspector's user guide, "Amazon
EventBridge schema for Amazon Inspector events". The ARN and the source of an event are our own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidelight.advisories import cvss
from sidelight.report import terms

if TYPE_CHECKING:
    from sidelight.model import Finding, Instance
    from sidelight.store import FindingEvent, FindingRow


def event_document(
    event: FindingEvent, instance: Instance | None, deployment: str
) -> dict[str, Any]:
    """An EventBridge event; `id` is the event's number in the store.

    EventBridge gives an event an id, an account and a region of its own: so those that tell are in
    the detail as well, under `sidelight`.
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
    """Inspector's Finding; what is not known is left out, times are ISO 8601."""
    found = row.finding
    document: dict[str, Any] = {
        "findingArn": row.arn,
        "awsAccountId": row.account,
        "type": found.type.value,
        "title": found.headline,
        "description": found.title or found.headline,
        "severity": found.severity.value,
        "status": row.status.value,
        "firstObservedAt": row.first_observed.isoformat(),
        "lastObservedAt": row.last_observed.isoformat(),
        "updatedAt": row.updated_at.isoformat(),
        "resources": [_resource(row, instance)],
        "packageVulnerabilityDetails": _details(found),
        "remediation": {"recommendation": {"text": found.remediation or "None Provided"}},
        "fixAvailable": found.fix_available.value,
        "exploitAvailable": "YES" if found.exploit_available else "NO",
    }
    if found.score is not None:
        document["inspectorScore"] = found.score
        document["inspectorScoreDetails"] = {"adjustedCvss": _adjusted(found)}
    if found.epss is not None:
        document["epss"] = {"score": found.epss}
    return document


def _resource(row: FindingRow, instance: Instance | None) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "type": "AWS_EC2_INSTANCE",
        "id": row.instance,
        "partition": "aws",
        "region": row.region,
    }
    if instance is not None:
        told = {
            "type": instance.type,
            "imageId": instance.image_id,
            "vpcId": instance.vpc_id,
            "subnetId": instance.subnet_id,
            "launchedAt": instance.launched_at.isoformat() if instance.launched_at else "",
        }
        resource["tags"] = dict(instance.tags)
        resource["details"] = {"awsEc2Instance": {k: v for k, v in told.items() if v}}
    return resource


def _details(found: Finding) -> dict[str, Any]:
    return {
        "vulnerabilityId": found.vulnerability,
        "source": found.source or "Sidelight",
        "vulnerablePackages": [_package(terms.affected(found))],
        "cvss": [
            {
                "source": one.source,
                "scoringVector": one.vector,
                "version": one.version,
                "baseScore": one.base_score,
            }
            for one in terms.scores(found)
            if one.base_score is not None
        ],
        "relatedVulnerabilities": [n for n in found.advisories if n != found.vulnerability],
        "vendorSeverity": found.severity.value,
        "referenceUrls": list(found.references),
        **({"sourceUrl": found.references[0]} if found.references else {}),
    }


def _package(package: terms.AffectedPackage) -> dict[str, Any]:
    told = {
        "name": package.name,
        "version": package.version,
        "release": package.release,
        "arch": package.arch,
        "filePath": package.path,
        "packageManager": package.package_manager,
        "fixedInVersion": package.fixed_version or "NotAvailable",
        "remediation": package.remediation,
        # Inspector's sourceLayerHash is of an image's layer; a volume tells whose layer it is.
        "sourceLayer": package.source_layer,
    }
    return {"epoch": package.epoch} | {name: value for name, value in told.items() if value}


def _adjusted(found: Finding) -> dict[str, Any]:
    metrics = {"E": "exploit maturity", "MAV": "network reachability"}
    words = dict(word.split(":", 1) for word in found.score_vector.split("/"))
    return {
        "scoreSource": "Sidelight",
        "cvssSource": found.cvss_vectors[0][0] if found.cvss_vectors else "Sidelight",
        "version": cvss.version_of(found.score_vector),
        "score": found.score,
        "scoringVector": found.score_vector,
        "adjustments": [
            {"metric": name, "reason": f"{why}: {words[name]}"}
            for name, why in metrics.items()
            if name in words
        ],
    }
