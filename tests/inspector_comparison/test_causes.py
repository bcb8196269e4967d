"""Each difference between Inspector and Sidelight has its cause."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sidelight.inspector_comparison import CAUSE_TEXTS, Cause, Comparison, ReportedBy
from sidelight.model import FindingStatus, FixAvailable, NetworkStep, Package, Severity, Status
from tests.fixtures.network_findings import SSH
from tests.inspector_comparison.sides import (
    CVE,
    EARLY,
    LATE,
    OPENSSL,
    compared,
    covered,
    machine,
    own_coverage,
    package_finding,
    port_finding,
    reported,
    row,
)

if TYPE_CHECKING:
    from sidelight.model import Finding, FindingRow

LATER = LATE + timedelta(hours=1)
JAR = Package("maven", "org.x:y", "1", "/opt/app/y.jar", "pkg:maven/org.x/y@1")
GO = Package("golang", "x.org/y", "1.0.0", "/usr/lib/y", "pkg:golang/x.org/y@1.0.0")


def only(result: Comparison) -> tuple[ReportedBy, list[Cause]]:
    (found,) = result.findings
    return found.verdict, [item.cause for item in found.causes]


def of(package: Package, **members: Any) -> FindingRow:
    return row(replace(CVE, package=package, **members))


@pytest.mark.parametrize(
    ("finding", "change", "cause"),
    [
        (CVE, {}, Cause.SAME),
        (CVE, {"fixedInVersion": "1:3.0.2-3"}, Cause.FIXED_VERSION_DIFFERS),
        (CVE, {"release": "9"}, Cause.VERSION_DIFFERS),
        (CVE, {"severity": "HIGH", "vendorSeverity": "high"}, Cause.SEVERITY_DIFFERS),
        (CVE, {"status": "SUPPRESSED"}, Cause.SUPPRESSED_BY_INSPECTOR),
        (CVE, {"vulnerabilityId": "DSA-1"}, Cause.OTHER_ID),
        (
            CVE,
            {"vulnerabilityId": "GHSA-1", "relatedVulnerabilities": ["CVE-2026-1"]},
            Cause.OTHER_ID,
        ),
        (
            replace(CVE, vulnerability="ALAS2-1", advisories=("ALAS2-1", "CVE-2026-1")),
            {},
            Cause.OTHER_ID,
        ),
        (
            replace(CVE, package=replace(OPENSSL, name="libssl3", source_name="openssl")),
            {},
            Cause.OTHER_NAME,
        ),
    ],
)
def test_a_finding_of_both_has_what_differs(
    finding: Finding, change: dict[str, Any], cause: Cause
) -> None:
    assert only(compared([row(finding)], [reported(**change)])) == (ReportedBy.BOTH, [cause])


def test_the_severities_evidence_names_whose_score_each_is() -> None:
    own = row(replace(CVE, severity=Severity.HIGH, cvss_score=7.5))
    (found,) = compared([own], [reported(vendorSeverity="medium")]).findings
    assert found.causes[0].evidence == (
        "Sidelight HIGH by NVD (7.5); Inspector MEDIUM by UBUNTU_CVE, vendor: medium"
    )


def test_a_suppression_of_sidelights_alone_is_named() -> None:
    result = compared([row(status=FindingStatus.SUPPRESSED)], [reported()])
    assert only(result) == (ReportedBy.BOTH, [Cause.SUPPRESSED_BY_SIDELIGHT])


def test_each_package_of_a_finding_is_compared_by_itself() -> None:
    result = compared([row()], [package_finding()])
    assert result.totals() == {
        (ReportedBy.BOTH, Cause.SAME): 1,
        (ReportedBy.ONLY_INSPECTOR, Cause.PACKAGE_NOT_INSTALLED): 1,
    }


AGENTLESS = covered(scanMode="EC2_AGENTLESS")
NO_CVE = replace(CVE, vulnerability="GHSA-1", advisories=("GHSA-1",))


@pytest.mark.parametrize(
    ("own", "facts", "cause"),
    [
        (row(), {"coverage": []}, Cause.NOT_COVERED_BY_INSPECTOR),
        (row(), {"coverage": [covered("EXCLUDED_BY_TAG")]}, Cause.NOT_COVERED_BY_INSPECTOR),
        (
            row(),
            {"coverage": [covered("PENDING_INITIAL_SCAN", lastScannedAt=None)]},
            Cause.NOT_COVERED_BY_INSPECTOR,
        ),
        (
            of(OPENSSL, ecosystem="Amazon Linux:2023", fix_available=FixAvailable.NO),
            {},
            Cause.NO_FIX,
        ),
        (
            of(OPENSSL, ecosystem="Ubuntu:24.04", state="ignored", fix_available=FixAvailable.NO),
            {},
            Cause.NO_FIX,
        ),
        (
            row(),
            {"coverage": [AGENTLESS], "inventory": machine(OPENSSL, disk="vg0/root")},
            Cause.LVM,
        ),
        (
            row(),
            {
                "coverage": [covered("UNSUPPORTED_OS", scanMode="EC2_AGENTLESS")],
                "inventory": machine(OPENSSL, disk="vg0/root"),
            },
            Cause.LVM,
        ),
        (of(replace(OPENSSL, layer="docker")), {}, Cause.OTHER_ROOT),
        (of(JAR), {}, Cause.OUTSIDE_DEEP_INSPECTION),
        (of(GO), {}, Cause.TYPE_NOT_COLLECTED),
        (row(), {"ssm_names": {"bash"}}, Cause.NOT_IN_SSM_INVENTORY),
        (
            of(Package("apk", "musl", "1-r0", "/lib/apk/db/installed", "")),
            {},
            Cause.NOT_IN_SSM_INVENTORY,
        ),
        (row(NO_CVE), {}, Cause.NO_CVE),
        (row(first=LATER), {}, Cause.NEWER_IN_SIDELIGHT),
    ],
)
def test_a_finding_of_sidelight_alone_has_its_cause(
    own: FindingRow, facts: dict[str, Any], cause: Cause
) -> None:
    verdict, causes = only(compared([own], [], **facts))
    assert (verdict, causes[0]) == (ReportedBy.ONLY_SIDELIGHT, cause)


@pytest.mark.parametrize(
    ("own", "facts"),
    [
        (row(), {}),
        # Debian's and Ubuntu's unfixed vulnerabilities are reported by Inspector too.
        (of(OPENSSL, fix_available=FixAvailable.NO), {}),
        (of(OPENSSL, ecosystem="Ubuntu:24.04", state="needed", fix_available=FixAvailable.NO), {}),
        # A logical volume is nothing to an agent, and no cause where the tag excludes it.
        (row(), {"inventory": machine(OPENSSL, disk="vg0/root")}),
        (of(JAR), {"custom_paths": ("/opt/app",)}),
        (of(replace(JAR, path="/usr/lib/x/y.jar")), {}),
        (of(GO), {"coverage": [AGENTLESS]}),
        (row(), {"ssm_names": {"openssl"}}),
    ],
)
def test_what_no_record_explains_is_unexplained_with_evidence(
    own: FindingRow, facts: dict[str, Any]
) -> None:
    (found,) = compared([own], [], **facts).findings
    assert found.cause is Cause.UNEXPLAINED
    assert "scanned by Sidelight 2026-11-02T00:00:00+00:00" in found.causes[0].evidence


def test_a_logical_volume_is_no_cause_where_a_tag_excludes_the_instance() -> None:
    coverage = [covered("EXCLUDED_BY_TAG", scanMode="EC2_AGENTLESS")]
    result = compared([row()], [], coverage, inventory=machine(OPENSSL, disk="vg0/root"))
    assert only(result)[1] == [Cause.NOT_COVERED_BY_INSPECTOR]


def test_without_inspectors_coverage_nothing_is_claimed_of_it() -> None:
    from sidelight.inspector_comparison import InspectorSide, SidelightSide, compare

    side = InspectorSide(unread={(row().account, row().region)})
    result = compare(SidelightSide([row()], [own_coverage()]), side)
    assert [found.cause for found in result.findings] == [Cause.UNEXPLAINED]
    assert result.coverage == []


def test_what_inspector_closed_is_not_open_there() -> None:
    verdict, causes = only(compared([row()], [reported(status="CLOSED")]))
    assert (verdict, causes) == (ReportedBy.ONLY_SIDELIGHT, [Cause.CLOSED_BY_INSPECTOR])


def test_what_both_closed_is_not_compared() -> None:
    closed = row(status=FindingStatus.CLOSED)
    assert compared([closed], [reported(status="CLOSED")]).findings == []


def test_an_open_finding_is_paired_with_the_open_one_of_two() -> None:
    rows = [row(status=FindingStatus.CLOSED), row(number=2)]
    assert only(compared(rows, [reported()])) == (ReportedBy.BOTH, [Cause.SAME])


def test_another_path_of_a_reported_vulnerability_is_another_copy() -> None:
    copies = [row(replace(CVE, package=replace(JAR, path=f"/srv/{name}.jar")), number=number)
              for number, name in enumerate("ab", 1)]  # fmt: skip
    there = reported(name="org.x:y", version="1", epoch=0, release="", filePath="/srv/a.jar")
    result = compared(copies, [there])
    causes = {found.verdict: [item.cause for item in found.causes] for found in result.findings}
    assert causes[ReportedBy.ONLY_SIDELIGHT] == [Cause.OUTSIDE_DEEP_INSPECTION, Cause.OTHER_COPY]
    (both,) = [found for found in result.findings if found.verdict is ReportedBy.BOTH]
    assert both.row is not None
    assert both.row.package_finding.package.path == "/srv/a.jar"


@pytest.mark.parametrize(
    ("facts", "change", "cause"),
    [
        ({"own": []}, {}, Cause.NOT_COVERED_BY_SIDELIGHT),
        (
            {"own": [own_coverage("INACTIVE", "EC2_INSTANCE_STOPPED")]},
            {},
            Cause.NOT_COVERED_BY_SIDELIGHT,
        ),
        (
            {"own": [own_coverage("INACTIVE", "ACCESS_DENIED", instance="eu-west-1:*")]},
            {},
            Cause.NOT_COVERED_BY_SIDELIGHT,
        ),
        ({"inventory": machine()}, {}, Cause.PACKAGE_NOT_INSTALLED),
        ({"inventory": machine(status=Status.PARTIAL)}, {}, Cause.PARTIAL_INVENTORY),
        ({"inventory": machine(replace(OPENSSL, version="1:3.0.2-2"))}, {}, Cause.VERSION_DIFFERS),
        ({}, {"fixedInVersion": "1:3.0.2-1"}, Cause.NOT_BELOW_FIXED),
        ({}, {"firstObservedAt": LATER}, Cause.NEWER_IN_INSPECTOR),
        ({"advisories_newest": EARLY - timedelta(days=1)}, {}, Cause.NEWER_IN_INSPECTOR),
        ({}, {"vulnerabilityId": "GHSA-1"}, Cause.NO_CVE),
        ({}, {}, Cause.UNEXPLAINED),
    ],
)
def test_a_finding_of_inspector_alone_has_its_cause(
    facts: dict[str, Any], change: dict[str, Any], cause: Cause
) -> None:
    verdict, causes = only(compared([], [reported(**change)], **facts))
    assert (verdict, causes[0]) == (ReportedBy.ONLY_INSPECTOR, cause)


def test_what_sidelight_closed_has_the_time_of_it() -> None:
    (found,) = compared([row(status=FindingStatus.CLOSED)], [reported()]).findings
    assert found.causes[0] == (Cause.CLOSED_BY_SIDELIGHT, f"closed {EARLY.isoformat()}")


NARROW = replace(SSH, port_begin=20, port_end=30)
LAN = replace(SSH, edge_id="tgw-1", edge_kind="TRANSIT_GATEWAY",
              steps=(NetworkStep("tgw-1", "AWS::EC2::TransitGateway"),))  # fmt: skip


@pytest.mark.parametrize(
    ("finding", "verdict", "cause"),
    [
        (SSH, ReportedBy.BOTH, Cause.SAME),
        (NARROW, ReportedBy.BOTH, Cause.PORT_RANGE_DIFFERS),
        (replace(SSH, interface="eni-2"), ReportedBy.BOTH, Cause.INTERFACE_DIFFERS),
        (LAN, ReportedBy.BOTH, Cause.EDGE_DIFFERS),
        (replace(SSH, severity=Severity.LOW), ReportedBy.BOTH, Cause.SEVERITY_DIFFERS),
    ],
)
def test_ports_are_compared_by_protocol_range_and_interface(
    finding: Any, verdict: ReportedBy, cause: Cause
) -> None:
    assert only(compared([row(finding)], [port_finding()])) == (verdict, [cause])


def test_open_ports_of_one_side_alone_have_their_cause() -> None:
    udp = replace(SSH, protocol="UDP")
    result = compared([row(LAN), row(replace(udp, edge_id="vgw-1"), number=2)], [port_finding()])
    causes = {found.row and found.row.id: found.cause for found in result.findings}
    assert causes == {1: Cause.EDGE_DIFFERS, 2: Cause.UNEXPLAINED}
    assert only(compared([row(LAN)], [])) == (ReportedBy.ONLY_SIDELIGHT, [Cause.EDGE_NOT_EVALUATED])
    inactive = [covered(), covered("EXCLUDED_BY_TAG", scanType="NETWORK")]
    assert only(compared([row(SSH)], [], inactive))[1] == [Cause.NOT_COVERED_BY_INSPECTOR]
    unseen = compared([], [port_finding()], own=[own_coverage()])
    assert only(unseen) == (ReportedBy.ONLY_INSPECTOR, [Cause.NOT_COVERED_BY_SIDELIGHT])


@pytest.mark.parametrize(
    ("coverage", "own", "verdict"),
    [
        ([covered()], [own_coverage()], ReportedBy.BOTH),
        ([], [own_coverage()], ReportedBy.ONLY_SIDELIGHT),
        ([covered("NO_INVENTORY")], [own_coverage()], ReportedBy.ONLY_SIDELIGHT),
        ([covered()], [], ReportedBy.ONLY_INSPECTOR),
        (
            [covered("EXCLUDED_BY_TAG")],
            [own_coverage("INACTIVE", "EXCLUDED_BY_TAG")],
            ReportedBy.NEITHER,
        ),
        # An older answer names no Region: the instance's own is known.
        ([covered(providerRegion=None)], [own_coverage()], ReportedBy.BOTH),
    ],
)
def test_coverage_is_compared_by_instance_and_scan_type(
    coverage: list[dict[str, Any]], own: list[Any], verdict: ReportedBy
) -> None:
    (entry,) = compared([], [], coverage, own).coverage
    assert (entry.verdict, entry.scan_type) == (verdict, "PACKAGE")


def test_every_cause_has_a_text() -> None:
    assert set(CAUSE_TEXTS) == set(Cause)
