"""What `--skip-dirs` left out is in every document: no result looks complete in silence."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest

from dispatcher.cli.scan_result import ScanResult
from sidelight.completeness import assess
from sidelight.model import Inventory, OperatingSystem, Status
from sidelight.report.formats.format_names import FINDING_FORMATS, JUNIT, SARIF
from sidelight.report.sbom.format_names import SBOM_FORMATS
from sidelight.sbom_import.sbom_files import inventory_of
from tests.fixtures.boms import FLASK, SSL, finding

LINE = "/opt/**/node_modules: 12 directories"
INVENTORY = Inventory(
    Status.COMPLETE, OperatingSystem(id="debian"), (SSL, FLASK), skipped=(LINE,)
)  # fmt: skip


def written(form: str, inventory: Inventory = INVENTORY, *, clean: bool = False) -> str:
    file = io.StringIO()
    findings = () if clean else (finding(SSL),)
    ScanResult("disk.img", inventory, findings, (), assess(inventory, ())).write(form, file, None)
    return file.getvalue()


@pytest.mark.parametrize("form", ["table", "json", *FINDING_FORMATS, *SBOM_FORMATS])
def test_every_format_reports_what_was_left_out(form: str) -> None:
    assert LINE in written(form)
    assert "node_modules" not in written(form, replace(INVENTORY, skipped=()))


def test_a_machine_without_a_finding_still_has_a_passed_test_and_what_was_left_out() -> None:
    document = written(JUNIT, clean=True)
    assert 'tests="2" failures="0" errors="0" skipped="1"' in document
    assert "2 packages without a finding" in document


def test_it_is_a_note_and_no_warning_of_a_sarif_run() -> None:
    (run,) = json.loads(written(SARIF))["runs"]
    (notice,) = run["invocations"][0]["toolExecutionNotifications"]
    assert notice["level"] == "note"


def test_coverage_reports_it_and_the_machine_is_complete() -> None:
    assessment = assess(INVENTORY, ())
    assert assessment.status is Status.COMPLETE
    assert assessment.detail == f"left out by skip-dirs: {LINE}"


@pytest.mark.parametrize("form", SBOM_FORMATS)
def test_a_bill_of_materials_that_is_read_again_still_reports_it(form: str) -> None:
    assert inventory_of(written(form).encode()).skipped == (LINE,)
