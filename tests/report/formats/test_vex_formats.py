"""VEX documents of a scan: valid by the standards' schemas, and read back with the same effect."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from csaf_vex.verification import Verifier
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation import make_schemabased_validator
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from sidelight.errors import SidelightError
from sidelight.model import (
    Inventory,
    OperatingSystem,
    Problem,
    Status,
    SuppressedFinding,
    VexStatus,
)
from sidelight.report.formats import documents
from sidelight.report.formats.format_names import VEX_FORMATS
from sidelight.report.formats.scanned_machine import ScannedMachine
from sidelight.vex.statements import JUSTIFICATIONS, apply
from sidelight.vex.vex_documents import vex_statements
from tests.fixtures.boms import CHRONY, FLASK, HOSTILE, NOW, SSL, TOOL, finding
from tests.fixtures.hostile_text import TEXT

if TYPE_CHECKING:
    from sidelight.model import Finding
    from sidelight.report.sbom.machine_boms import MachineBom

OPENVEX_SCHEMA = Path(__file__).parents[2] / "vex/schemas/openvex-0.2.0.schema.json"
STATED = [
    SuppressedFinding(
        finding(SSL, "CVE-2024-1"), VexStatus.NOT_AFFECTED, JUSTIFICATIONS[2], "", "v"
    ),
    SuppressedFinding(finding(SSL, "CVE-2024-2"), VexStatus.NOT_AFFECTED, "", "never called", "v"),
    SuppressedFinding(
        finding(FLASK, "CVE-2024-3"), VexStatus.NOT_AFFECTED, JUSTIFICATIONS[0], "why", "v"
    ),
    SuppressedFinding(finding(FLASK, "CVE-2024-4"), VexStatus.FIXED, "", "", "v"),
    SuppressedFinding(finding(TOOL, "CVE-2024-5"), VexStatus.NOT_AFFECTED, "", "", "v"),
]
ACTIVE = [
    finding(SSL),
    finding(FLASK),
    finding(CHRONY, "ALAS-2024-1", fixed_version="", remediation=""),
]
INVENTORY = Inventory(
    Status.PARTIAL, OperatingSystem("debian", "12"), (SSL, FLASK, CHRONY, TOOL),
    (Problem("p1", "damaged"),),
)  # fmt: skip


def machine(
    active: list[Finding] = ACTIVE, stated: list[SuppressedFinding] = STATED
) -> ScannedMachine:
    return ScannedMachine("disk.img", INVENTORY, active, NOW, "1.0", stated)


def written(form: str, of: ScannedMachine) -> str:
    file = io.StringIO()
    documents.write(form, of, file)
    return file.getvalue()


def check(form: str, text: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text)
    if form == "openvex":
        schema = json.loads(OPENVEX_SCHEMA.read_text())
        assert list(Draft202012Validator(schema).iter_errors(document)) == []
    elif form == "cyclonedx-vex":
        validator = make_schemabased_validator(OutputFormat.JSON, SchemaVersion.V1_6)
        assert validator.validate_str(text) is None
    else:
        report = Verifier(text).run_all()
        assert [f"{item.test_id}: {item.message}" for item in report.failures] == []
    return document


@pytest.mark.parametrize("form", VEX_FORMATS)
def test_a_document_is_valid_by_its_standards_schema(form: str) -> None:
    check(form, written(form, machine()))


@pytest.mark.parametrize("form", VEX_FORMATS)
def test_a_document_that_is_read_back_suppresses_the_same(form: str) -> None:
    statements = vex_statements(written(form, machine()).encode(), "v")
    every = [*ACTIVE, *(item.finding for item in STATED)]
    result = apply(every, statements, INVENTORY, ())
    assert result.active == ACTIVE
    assert [item.finding for item in result.suppressed] == [item.finding for item in STATED]
    assert [item.status for item in result.suppressed] == [item.status for item in STATED]
    reasons = [item.justification for item in result.suppressed]
    assert reasons == [item.justification for item in STATED]
    assert result.unmatched == []


@pytest.mark.parametrize("form", VEX_FORMATS)
def test_how_much_was_read_is_in_the_document(form: str) -> None:
    assert "partial" in written(form, machine())


@pytest.mark.parametrize("form", VEX_FORMATS)
def test_what_the_user_ignores_is_not_stated_to_be_unaffected(form: str) -> None:
    ignored = SuppressedFinding(finding(SSL), VexStatus.IGNORED, "", "accepted", "ignore.toml")
    text = written(form, machine([], [ignored]))
    check(form, text)
    assert "not_affected" not in text
    assert "accepted" in text


# CycloneDX names components, each with its path.
@pytest.mark.parametrize("form", ["openvex", "csaf"])
@pytest.mark.parametrize("status", [VexStatus.NOT_AFFECTED, VexStatus.FIXED])
def test_a_product_that_is_affected_at_one_path_is_stated_to_be_affected(
    form: str, status: VexStatus
) -> None:
    elsewhere = SuppressedFinding(finding(SSL), status, JUSTIFICATIONS[0], "", "v")
    one = machine([finding(SSL)], [elsewhere])
    text = written(form, one)
    check(form, text)
    result = apply([finding(SSL)], vex_statements(text.encode(), "v"), INVENTORY, ())
    assert (result.active, result.suppressed) == ([finding(SSL)], [])


def test_a_machine_without_findings_has_no_document_of_statements() -> None:
    for form in ("openvex", "csaf"):
        with pytest.raises(SidelightError, match="at least one statement"):
            written(form, machine([], []))
    assert (
        check("cyclonedx-vex", written("cyclonedx-vex", machine([], [])))["vulnerabilities"] == []
    )


@given(HOSTILE, st.sampled_from(list(VexStatus)[:2]), st.sampled_from(("", *JUSTIFICATIONS)), TEXT)
def test_documents_of_hostile_machines_are_valid(
    bom: MachineBom, status: VexStatus, justification: str, text: str
) -> None:
    findings = list(bom.findings or ())
    stated = [SuppressedFinding(item, status, justification, text, text) for item in findings[1:]]
    of = ScannedMachine(bom.name, bom.inventory, findings[:1], NOW, "1.0", stated)
    for form in VEX_FORMATS:
        try:
            shown = written(form, of)
        except SidelightError:
            assert not findings
            continue
        assert shown.isascii()
        check(form, shown)
