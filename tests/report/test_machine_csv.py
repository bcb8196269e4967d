"""`scan --format csv`: one machine's findings in the columns of Inspector's reports."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from hypothesis import given

from sidelight.model import Inventory, OperatingSystem, Status, SuppressedFinding, VexStatus
from sidelight.report.finding_reports import COLUMNS, write_machine_csv
from sidelight.report.formats.scanned_machine import ScannedMachine
from tests.fixtures.boms import FLASK, HOSTILE, NOW, SSL, finding
from tests.fixtures.hostile_text import is_inert

if TYPE_CHECKING:
    from sidelight.report.sbom.machine_boms import MachineBom


def rows_of(machine: ScannedMachine) -> tuple[str, list[dict[str, str]]]:
    file = io.StringIO()
    write_machine_csv(machine, file)
    return file.getvalue(), list(csv.DictReader(io.StringIO(file.getvalue())))


def test_a_row_has_what_a_scan_knows_and_nothing_of_an_instance_s_history() -> None:
    inventory = Inventory(Status.COMPLETE, OperatingSystem("debian", "12"), (SSL, FLASK))
    stated = SuppressedFinding(finding(FLASK, "CVE-2026-3"), VexStatus.FIXED, "", "", "vex.json")
    _text, rows = rows_of(
        ScannedMachine("disk.img", inventory, [finding(SSL)], NOW, "1.0", [stated])
    )
    first, second = rows
    assert tuple(first) == COLUMNS
    assert (first["Vulnerability Id"], first["Status"]) == ("CVE-2024-5535", "ACTIVE")
    assert (second["Vulnerability Id"], second["Status"]) == ("CVE-2026-3", "SUPPRESSED")
    assert (first["Resource ID"], first["Platform"]) == ("disk.img", "DEBIAN_12")
    assert first["Fixed in Version"] == "3.0.15-1~deb12u1"
    assert first["Last Seen"] == NOW.isoformat()
    for name in ("AWS Account Id", "Finding ARN", "First Seen", "Last Updated", "Resource Type"):
        assert first[name] == ""


@given(HOSTILE)
def test_hostile_texts_are_cells_that_no_spreadsheet_runs(bom: MachineBom) -> None:
    found = list(bom.findings or ())
    text, rows = rows_of(ScannedMachine(bom.name, bom.inventory, found, NOW, "1.0"))
    assert len(rows) == len(found)
    assert is_inert(text)
    for row in rows:
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row.values())
