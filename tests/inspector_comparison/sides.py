"""Both sides' records of one instance, with one difference at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sidelight.inspector_comparison import Comparison, InspectorSide, SidelightSide, compare
from sidelight.model import (
    Coverage,
    FilesystemSummary,
    Finding,
    FindingRow,
    FindingStatus,
    FixAvailable,
    Inventory,
    NetworkFinding,
    OperatingSystem,
    Package,
    Severity,
    Status,
)

ACCOUNT, REGION = "123456789012", "eu-west-1"
EARLY = datetime(2026, 11, 1, tzinfo=UTC)
LATE = datetime(2026, 11, 2, tzinfo=UTC)
OPENSSL = Package(
    "deb", "openssl", "1:3.0.2-1", "/var/lib/dpkg/status", "pkg:deb/debian/openssl@3.0.2-1"
)
CVE = Finding(
    "CVE-2026-1", Severity.MEDIUM, OPENSSL, "1:3.0.2-2", ("DSA-1",), severity_source="NVD",
    fix_available=FixAvailable.YES, ecosystem="Debian:12",
)  # fmt: skip


def package_finding(**members: Any) -> dict[str, Any]:
    """A finding of ListFindings with two packages."""
    packages = [
        {"name": "openssl", "version": "3.0.2", "epoch": 1, "release": "1", "arch": "AMD64",
         "fixedInVersion": "1:3.0.2-2", "packageManager": "OS"},
        {"name": "libssl3", "version": "3.0.2", "epoch": 0, "fixedInVersion": "NotAvailable",
         "packageManager": "OS"},
    ]  # fmt: skip
    return {
        "findingArn": f"arn:aws:inspector2:{REGION}:{ACCOUNT}:finding/{'0' * 31}1",
        "awsAccountId": ACCOUNT, "type": "PACKAGE_VULNERABILITY", "status": "ACTIVE",
        "severity": "MEDIUM", "title": "CVE-2026-1 - openssl, libssl3",
        "firstObservedAt": EARLY, "lastObservedAt": EARLY, "updatedAt": EARLY,
        "resources": [{"type": "AWS_EC2_INSTANCE", "id": "i-1", "region": REGION}],
        "inspectorScoreDetails": {"adjustedCvss": {"cvssSource": "UBUNTU_CVE"}},
        "packageVulnerabilityDetails": {
            "vulnerabilityId": "CVE-2026-1", "source": "UBUNTU_CVE",
            "relatedVulnerabilities": [], "vulnerablePackages": packages,
        },
    } | members  # fmt: skip


def port_finding(**members: Any) -> dict[str, Any]:
    """A finding of ListFindings with an open port."""
    steps = [
        {"componentId": "igw-1", "componentType": "AWS::EC2::InternetGateway"},
        {"componentId": "eni-1", "componentType": "AWS::EC2::NetworkInterface"},
        {"componentId": "i-1", "componentType": "AWS::EC2::Instance"},
    ]
    return {
        "findingArn": f"arn:aws:inspector2:{REGION}:{ACCOUNT}:finding/{'0' * 31}2",
        "awsAccountId": ACCOUNT, "type": "NETWORK_REACHABILITY", "status": "ACTIVE",
        "severity": "MEDIUM", "title": "Port 22 is reachable from an Internet Gateway - TCP",
        "firstObservedAt": EARLY, "lastObservedAt": EARLY, "updatedAt": EARLY,
        "resources": [{"type": "AWS_EC2_INSTANCE", "id": "i-1", "region": REGION}],
        "networkReachabilityDetails": {
            "protocol": "TCP", "openPortRange": {"begin": 22, "end": 22},
            "networkPath": {"steps": steps},
        },
    } | members  # fmt: skip


def reported(**details: Any) -> dict[str, Any]:
    """The finding of the package that Sidelight's `row` is of, with these details changed."""
    finding = package_finding()
    packages = finding["packageVulnerabilityDetails"]["vulnerablePackages"][:1]
    package = {name: details.pop(name) for name in list(details) if name in PACKAGE_MEMBERS}
    packages[0] |= package
    finding["packageVulnerabilityDetails"] |= {"vulnerablePackages": packages}
    for name in ("vulnerabilityId", "relatedVulnerabilities", "vendorSeverity", "source"):
        if name in details:
            finding["packageVulnerabilityDetails"][name] = details.pop(name)
    return finding | details


PACKAGE_MEMBERS = ("name", "version", "epoch", "release", "fixedInVersion", "filePath")


def covered(reason: str = "SUCCESSFUL", **members: Any) -> dict[str, Any]:
    """An entry of ListCoverage."""
    code = "ACTIVE" if reason in ("SUCCESSFUL", "PENDING_INITIAL_SCAN") else "INACTIVE"
    return {
        "resourceType": "AWS_EC2_INSTANCE", "resourceId": "i-1", "accountId": ACCOUNT,
        "scanType": "PACKAGE", "scanStatus": {"statusCode": code, "reason": reason},
        "scanMode": "EC2_SSM_AGENT_BASED", "providerRegion": REGION, "lastScannedAt": LATE,
    } | members  # fmt: skip


def row(
    finding: Finding | NetworkFinding = CVE,
    status: FindingStatus = FindingStatus.ACTIVE,
    first: datetime = EARLY,
    number: int = 1,
) -> FindingRow:
    """Sidelight's finding."""
    closed = EARLY if status is FindingStatus.CLOSED else None
    return FindingRow(number, ACCOUNT, REGION, "i-1", status, first, first, finding, first, closed)


def own_coverage(code: str = "ACTIVE", reason: str = "SUCCESSFUL", **members: Any) -> Coverage:
    return replace(
        Coverage(ACCOUNT, REGION, "i-1", "web", code, reason, scanned_at=LATE), **members
    )


def machine(
    *packages: Package, status: Status = Status.COMPLETE, disk: str = "snap-1/p1"
) -> Inventory:
    filesystems = (FilesystemSummary(disk, "ext4", "/", "clean"),)
    return Inventory(status, OperatingSystem("debian", "12"), packages, (), filesystems)


def compared(
    rows: list[FindingRow],
    findings: list[dict[str, Any]],
    coverage: list[dict[str, Any]] | None = None,
    own: list[Coverage] | None = None,
    **facts: Any,
) -> Comparison:
    """Compare; both sides scan the instance unless `coverage` or `own` say something else."""
    side = InspectorSide()
    side.add_findings(findings, "here")
    network = covered(scanType="NETWORK", scanMode="")
    side.add_coverage([covered(), network] if coverage is None else coverage, "here")
    assert side.problems == []
    inventory = facts.pop("inventory", machine(OPENSSL))
    names = facts.pop("ssm_names", None)
    default = [own_coverage(), own_coverage(scan_type="NETWORK", scan_mode="")]
    return compare(
        SidelightSide(
            rows, default if own is None else own, lambda _: inventory, lambda _: names, **facts
        ),
        side,
    )
