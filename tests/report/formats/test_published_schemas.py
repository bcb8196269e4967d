"""SARIF, OCSF and JUnit XML by their published schemas, and by readers that others wrote."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from defusedxml import ElementTree
from hypothesis import given
from junitparser import JUnitXml

from sidelight.model import (
    Inventory,
    OperatingSystem,
    Problem,
    Severity,
    Status,
    SuppressedFinding,
    VexStatus,
)
from sidelight.report.formats import documents
from sidelight.report.formats.format_names import JUNIT, OCSF, SARIF
from sidelight.report.formats.scanned_machine import ScannedMachine
from tests.fixtures.boms import FLASK, HOSTILE, NOW, SSL, finding
from tests.fixtures.network_findings import port
from tests.fixtures.other_readers import program
from tests.fixtures.published_schemas import FAULTS, junit_faults, ocsf_faults, sarif_faults

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.report.sbom.machine_boms import MachineBom

LEVELS = ("error", "warning", "note")
FORMATS = (SARIF, OCSF, JUNIT)  # the others have tests of their own
FINDINGS = (
    finding(SSL),
    finding(FLASK, "GHSA-m2qf-hxjv-5gpq", severity=Severity.LOW, fixed_version="", remediation=""),
    finding(FLASK, "CVE-2026-2", severity=Severity.UNTRIAGED, cvss_vectors=(), references=()),
)


def machine(status: Status = Status.PARTIAL) -> ScannedMachine:
    """An instance with all that a document may have."""
    inventory = Inventory(
        status,
        OperatingSystem("debian", "12", "Debian 12"),
        (SSL, FLASK),
        (Problem("p1", "a damaged directory"),),
        skipped=("/opt/**: 3 directories",),
    )
    suppressed = SuppressedFinding(
        finding(SSL, "CVE-2026-3"), VexStatus.NOT_AFFECTED, "component_not_present", "", "vex.json"
    )
    return ScannedMachine(
        "i-1", inventory, FINDINGS, NOW, "1.0", [suppressed], [port(22)], "1" * 12, "eu-west-1"
    )


def hostile(bom: MachineBom) -> ScannedMachine:
    """A machine whose texts are an attacker's; of its findings the first is suppressed."""
    found = list(bom.findings or ())
    suppressed = [
        SuppressedFinding(item, VexStatus.FIXED, "", bom.name, bom.platform) for item in found[:1]
    ]
    return ScannedMachine(
        bom.name, bom.inventory, found[1:], NOW, "1.0", suppressed, [], bom.account, bom.region
    )


def written(form: str, *machines: ScannedMachine) -> str:
    """The document of one machine, or of a fleet."""
    file = io.StringIO()
    if len(machines) == 1:
        documents.write(form, machines[0], file)
    else:
        documents.write_fleet(form, iter(machines), file, NOW)
    return file.getvalue()


def test_the_schemas_refuse_what_is_not_of_them() -> None:
    assert sarif_faults('{"version": "2.1.0", "runs": [{"results": []}]}')
    event = json.loads(written(OCSF, machine()).splitlines()[1])
    for member, value in (("severity_id", 77), ("finding", {}), ("severity", "Low")):
        assert ocsf_faults(json.dumps(event | {member: value})), member
    del event["vulnerabilities"]
    assert ocsf_faults(json.dumps(event))
    assert junit_faults(ElementTree.fromstring("<testsuites><testsuite/><x/></testsuites>"))


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("form", FORMATS)
def test_a_document_is_valid_by_its_published_schema(form: str, status: Status) -> None:
    of = machine(status)
    target = replace(of, account="", region="", network=(), name="disk.img")
    bare = replace(
        target, findings=(), suppressed=(), inventory=Inventory(status, OperatingSystem())
    )
    for text in (written(form, of), written(form, target), written(form, of, bare, target)):
        assert FAULTS[form](text) == []


@pytest.mark.parametrize("form", FORMATS)
@given(bom=HOSTILE)
def test_documents_of_hostile_machines_are_valid(form: str, bom: MachineBom) -> None:
    assert FAULTS[form](written(form, hostile(bom))) == []


@pytest.mark.slow
def test_sarif_tools_reads_each_result_of_a_fleet(tmp_path: Path) -> None:
    path, table = tmp_path / "fleet.sarif", tmp_path / "fleet.csv"
    path.write_text(written(SARIF, machine(), replace(machine(), name="i-2")))
    summary = subprocess.run(
        [program("sarif"), "summary", path], check=True, timeout=120, capture_output=True, text=True
    )
    counts = [line for line in summary.stdout.splitlines() if line.split(":")[0] in LEVELS]
    assert counts == ["error: 4", "warning: 4", "note: 2"]
    subprocess.run([program("sarif"), "csv", path, "-o", table], check=True, timeout=120)
    rows = list(csv.DictReader(io.StringIO(table.read_text("utf-8"))))
    assert {row["Tool"] for row in rows} == {"Sidelight"}
    assert len(rows) == 2 * 5
    assert {row["Code"] for row in rows} == {
        "CVE-2024-5535", "GHSA-m2qf-hxjv-5gpq", "CVE-2026-2", "CVE-2026-3", "NETWORK_REACHABILITY",
    }  # fmt: skip
    assert "var/lib/dpkg/status" in {row["Location"] for row in rows}


def test_junitparser_reads_the_counts_and_each_case() -> None:
    read = JUnitXml.fromstring(written(JUNIT, machine(), replace(machine(), name="i-2")).encode())
    suites = list(read)
    assert [suite.name for suite in suites] == ["i-1", "i-2"]
    for suite in suites:
        counts = (suite.tests, suite.failures, suite.errors, suite.skipped)
        suite.update_statistics()  # type: ignore[no-untyped-call]
        assert counts == (suite.tests, suite.failures, suite.errors, suite.skipped) == (7, 4, 1, 2)
    case = next(iter(suites[0]))
    assert case.classname == "deb.libssl3"
    assert [item.type for item in case.result] == ["CRITICAL"]
