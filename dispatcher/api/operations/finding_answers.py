"""Findings in the shapes of the API: times are datetimes, and the members that events lack."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final, cast

from sidelight.model import Finding
from sidelight.report.inspector2_documents import finding_document
from sidelight.suppression import api_arn

if TYPE_CHECKING:
    from sidelight.model import FindingRow, Instance

_TIMES: Final = frozenset(
    {"firstObservedAt", "lastObservedAt", "updatedAt", "launchedAt", "vendorCreatedAt",
     "vendorUpdatedAt", "lastKnownExploitAt"}
)  # fmt: skip
_MOST_TEXT: Final = 1024  # characters of title and description, by the model
_MOST_PURL: Final = 2048
UNKNOWN: Final = "unknown"
MOST_GROUPS: Final = 5  # security groups of a Vm, by the model


def finding_answer(
    row: FindingRow, instance: Instance | None, platform: str = ""
) -> dict[str, object]:
    """Return a Finding. `platform` is the operating system's name, empty if unknown."""
    document = cast("dict[str, object]", _with_times(finding_document(row, instance)))
    document["findingArn"] = api_arn(row.arn)
    for name in ("title", "description"):
        document[name] = str(document.get(name) or UNKNOWN)[:_MOST_TEXT]
    resource = cast("list[dict[str, object]]", document["resources"])[0]
    resource |= {"provider": "AWS", "providerAccountId": row.account}
    details = cast("dict[str, dict[str, object]]", resource.get("details", {}))
    if platform:
        details.setdefault("awsEc2Instance", {})["platform"] = platform
    if instance is not None:
        details["vm"] = _vm(instance, platform)
    if details:
        resource["details"] = details
    if isinstance(row.finding, Finding):
        _complete(document, row.finding)
    return document


def _vm(instance: Instance, platform: str) -> dict[str, object]:
    """Return Vm, which newer answers have next to awsEc2Instance; empty members are left out."""
    members: dict[str, object] = {
        "type": instance.type,
        "vmName": instance.name,
        "vmImageReference": instance.image_id,
        "ipV4Addresses": [*instance.public_ipv4, *instance.private_ipv4],
        "ipV6Addresses": list(instance.ipv6_addresses),
        "networkId": instance.vpc_id,
        "subnetIds": [instance.subnet_id] if instance.subnet_id else [],
        "securityGroupIds": list(instance.security_groups[:MOST_GROUPS]),
        "launchedAt": instance.launched_at,
        "platform": platform,
        "executionRole": instance.instance_profile,
        "keyName": instance.key_name,
    }
    return {name: value for name, value in members.items() if value}


def _complete(document: dict[str, object], finding: Finding) -> None:
    details = cast("dict[str, list[dict[str, object]]]", document["packageVulnerabilityDetails"])
    for package in details["vulnerablePackages"]:
        # Required by the model; a damaged package database may have neither.
        package["name"] = str(package.get("name") or UNKNOWN)[:_MOST_TEXT]
        package["version"] = str(package.get("version") or UNKNOWN)[:_MOST_TEXT]
        for name in ("release", "arch", "filePath", "fixedInVersion", "remediation"):
            if name in package:
                package[name] = str(package[name])[: 64 if name == "arch" else _MOST_TEXT]
        if finding.package.purl:
            package["purl"] = finding.package.purl[:_MOST_PURL]
        # Disks show no processes.
        package["runtimeReachability"] = "UNKNOWN"
    if finding.exploited_since:
        since = datetime.fromisoformat(f"{finding.exploited_since[:10]}T00:00:00+00:00")
        document["exploitabilityDetails"] = {"lastKnownExploitAt": since}


def _with_times(value: object, name: str = "") -> object:
    """Return a copy whose times are datetimes."""
    if isinstance(value, dict):
        return {key: _with_times(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_times(item) for item in value]
    if name in _TIMES and isinstance(value, str):
        return datetime.fromisoformat(value)
    return value
