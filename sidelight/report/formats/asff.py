"""Findings of instances in AWS's security finding format (ASFF), for Security Hub.

Source: botocore's service model `securityhub` (AwsSecurityFinding) and its documented limits: the
lengths of texts, 100 findings and 240 kB. A finding's id is its ARN, the same in each later state.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sidelight.batches import batches as in_batches
from sidelight.model import Finding, FindingStatus, NetworkFinding, Severity, partition_of
from sidelight.report import inspector_terms
from sidelight.report.escape import printable
from sidelight.report.formats.scanned_machine import links_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from typing import TextIO

    from sidelight.model import FindingRow, Instance

SCHEMA: Final = "2018-10-08"
PRODUCT: Final = "Sidelight"
VULNERABILITY: Final = "Software and Configuration Checks/Vulnerabilities/CVE"
REACHABILITY: Final = (
    "Software and Configuration Checks/AWS Security Best Practices/Network Reachability"
)
# The label, and the normalized severity that Security Hub derives from it.
SEVERITIES: Final = {
    Severity.CRITICAL: ("CRITICAL", 90),
    Severity.HIGH: ("HIGH", 70),
    Severity.MEDIUM: ("MEDIUM", 40),
    Severity.LOW: ("LOW", 1),
    Severity.INFORMATIONAL: ("INFORMATIONAL", 0),
    Severity.UNTRIAGED: ("INFORMATIONAL", 0),
}
WORKFLOWS: Final = {
    FindingStatus.ACTIVE: "NEW",
    FindingStatus.SUPPRESSED: "SUPPRESSED",
    FindingStatus.CLOSED: "RESOLVED",
}
MOST_ID: Final = 512  # characters; so are the other limits
MOST_TITLE: Final = 256
MOST_DESCRIPTION: Final = 1024
MOST_TEXT: Final = 512  # of a recommendation, and of texts without a documented limit
MOST_URLS: Final = 20
MOST_RELATED: Final = 100
MOST_STEPS: Final = 30
MOST_TAGS: Final = 50
MOST_TAG_KEY, MOST_TAG_VALUE = 128, 256
AT_ONCE: Final = 100  # findings of a call
BYTES: Final = 240_000  # of a call, and of a finding


def asff_document(row: FindingRow, instance: Instance | None) -> dict[str, Any]:
    """Return an AwsSecurityFinding under the account's default product.

    `RecordState` is ACTIVE for an active finding, else ARCHIVED.
    """
    finding = row.finding
    label, normalized = SEVERITIES[finding.severity]
    kinds = [REACHABILITY if isinstance(finding, NetworkFinding) else VULNERABILITY]
    partition = partition_of(row.region)
    document: dict[str, Any] = {
        "SchemaVersion": SCHEMA,
        "Id": row.arn[:MOST_ID],
        "ProductArn": product_arn(row.account, row.region),
        "ProductName": PRODUCT,
        "CompanyName": PRODUCT,
        "Region": row.region,
        "GeneratorId": f"{PRODUCT}/{finding.type.value}",
        "AwsAccountId": row.account,
        "Types": kinds,
        "FirstObservedAt": _time(row.first_observed),
        "LastObservedAt": _time(max(row.first_observed, row.last_observed)),
        "CreatedAt": _time(row.first_observed),
        "UpdatedAt": _time(max(row.first_observed, row.last_observed, row.updated_at)),
        "Severity": {
            "Label": label, "Normalized": normalized, "Original": finding.severity.value
        },
        "Title": _text(finding.headline, MOST_TITLE),
        "Description": _text(_description(finding), MOST_DESCRIPTION),
        "Remediation": {
            "Recommendation": {"Text": _text(finding.remediation or "None Provided", MOST_TEXT)}
        },
        "ProductFields": {
            "sidelight/FindingStatus": row.status.value,
            "sidelight/instanceId": _text(row.instance, MOST_TEXT),
        },
        "Resources": [_resource(row, instance, partition)],
        "RecordState": "ACTIVE" if row.status is FindingStatus.ACTIVE else "ARCHIVED",
        "Workflow": {"Status": WORKFLOWS[row.status]},
        "FindingProviderFields": {
            "Severity": {"Label": label, "Original": finding.severity.value}, "Types": kinds
        },
    }  # fmt: skip
    if isinstance(finding, NetworkFinding):
        return document | _network(finding)
    if finding.score is not None:
        document["ProductFields"]["sidelight/score"] = str(finding.score)
    return document | {"Vulnerabilities": [_vulnerability(finding)]}


def asff_text(document: Mapping[str, Any]) -> str:
    """Return a finding as JSON in ASCII."""
    return json.dumps(document, separators=(",", ":"))


def batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """Yield findings in calls of at most AT_ONCE and BYTES."""
    return in_batches(texts, lambda text: len(text) + 1, AT_ONCE, BYTES)


def write_asff(described: Iterable[tuple[FindingRow, Instance | None]], file: TextIO) -> int:
    """Write a line for each batch of an account and Region; return the number of findings.

    A line is the input of one BatchImportFindings call: `{"Findings": […]}`. The findings must be
    sorted by account and Region.
    """
    count = 0
    place: tuple[str, str] | None = None
    texts: list[str] = []
    for row, instance in described:
        if place != (row.account, row.region):
            _write_batches(texts, file)
            place, texts = (row.account, row.region), []
        texts.append(asff_text(asff_document(row, instance)))
        count += 1
    _write_batches(texts, file)
    return count


def _write_batches(texts: Iterable[str], file: TextIO) -> None:
    file.writelines(f'{{"Findings":[{",".join(batch)}]}}\n' for batch in batches(texts))


def product_arn(account: str, region: str) -> str:
    """Return the ARN of the account's default product."""
    partition = partition_of(region)
    return f"arn:{partition}:securityhub:{region}:{account}:product/{account}/default"


def _description(finding: Finding | NetworkFinding) -> str:
    if isinstance(finding, NetworkFinding):
        return finding.description or finding.headline
    return finding.title or finding.headline


def _resource(row: FindingRow, instance: Instance | None, partition: str) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "Type": "AwsEc2Instance",
        "Id": f"arn:{partition}:ec2:{row.region}:{row.account}:instance/{row.instance}"[:MOST_ID],
        "Partition": partition,
        "Region": row.region,
    }
    details: dict[str, Any] = {}
    if instance is not None:
        tags = {
            _text(key, MOST_TAG_KEY): printable(value)[:MOST_TAG_VALUE]
            for key, value in instance.tags[:MOST_TAGS]
            if key.strip()
        }
        if tags:
            resource["Tags"] = tags
        details = _instance(instance)
    if details:
        resource["Details"] = {"AwsEc2Instance": details}
    return resource


def _instance(instance: Instance) -> dict[str, Any]:
    texts = {
        "Type": instance.type,
        "ImageId": instance.image_id,
        "KeyName": instance.key_name,
        "IamInstanceProfileArn": instance.instance_profile,
        "VpcId": instance.vpc_id,
        "SubnetId": instance.subnet_id,
    }
    details: dict[str, Any] = {
        name: _text(value, MOST_TEXT) for name, value in texts.items() if value.strip()
    }
    addresses = [*instance.public_ipv4, *instance.private_ipv4]
    if addresses:
        details["IpV4Addresses"] = addresses[:MOST_URLS]
    if instance.ipv6_addresses:
        details["IpV6Addresses"] = list(instance.ipv6_addresses[:MOST_URLS])
    if instance.launched_at:
        details["LaunchedAt"] = _time(instance.launched_at)
    return details


def _network(finding: NetworkFinding) -> dict[str, Any]:
    return {
        "Network": {
            "Direction": "IN",
            "Protocol": finding.protocol,
            "OpenPortRange": {"Begin": finding.port_begin, "End": finding.port_end},
        },
        "NetworkPath": [
            {
                "ComponentId": _text(step.id, MOST_TEXT),
                "ComponentType": _text(step.type, MOST_TEXT),
            }
            for step in finding.steps[:MOST_STEPS]
        ],
    }


def _vulnerability(finding: Finding) -> dict[str, Any]:
    related = [name for name in finding.advisories if name != finding.vulnerability]
    links = [link[:MOST_DESCRIPTION] for link in links_of(finding, MOST_URLS)]
    document: dict[str, Any] = {
        "Id": _text(finding.vulnerability, MOST_TEXT),
        "VulnerablePackages": [_package(inspector_terms.affected(finding))],
        "Vendor": {
            "Name": _text(finding.source or PRODUCT, MOST_TEXT),
            "VendorSeverity": finding.severity.value,
        },
        "FixAvailable": finding.fix_available.value,
        "ExploitAvailable": "YES" if finding.exploit_available else "NO",
    }
    scores = [score for score in inspector_terms.scores(finding) if score.base_score is not None]
    if scores:
        document["Cvss"] = [
            {
                "Version": score.version,
                "BaseScore": score.base_score,
                "BaseVector": _text(score.vector, MOST_TEXT),
                "Source": _text(score.source, MOST_TEXT),
            }
            for score in scores[:MOST_URLS]
        ]
    if related:
        document["RelatedVulnerabilities"] = [
            _text(name, MOST_TEXT) for name in related[:MOST_RELATED]
        ]
    if links:
        document["ReferenceUrls"] = links
        document["Vendor"]["Url"] = links[0]
    if finding.epss is not None:
        document["EpssScore"] = finding.epss
    if finding.exploited_since:
        document["LastKnownExploitAt"] = f"{finding.exploited_since[:10]}T00:00:00Z"
    return document


def _package(package: inspector_terms.AffectedPackage) -> dict[str, str]:
    members = {
        "Name": package.name,
        "Version": package.version,
        "Epoch": str(package.epoch),
        "Release": package.release,
        "Architecture": package.arch,
        "PackageManager": package.package_manager,
        "FilePath": package.path,
        "FixedInVersion": package.fixed_version or "NotAvailable",
        "Remediation": package.remediation,
    }
    return {name: _text(value, MOST_TEXT) for name, value in members.items() if value.strip()}


def _text(text: str, most: int) -> str:
    """Return a text that a person may see, with at most `most` characters and not blank."""
    shown = printable(text)[:most]
    return shown if shown.strip() else "unknown"


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
