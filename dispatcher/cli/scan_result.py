"""The result of `sidelight scan`, written in the format that was chosen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sidelight.report.sbom.format_names import SBOM_FORMATS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from sidelight.completeness import Assessment
    from sidelight.model import Finding, Inventory, SuppressedFinding
    from sidelight.report.formats.scanned_machine import ScannedMachine
    from sidelight.report.user_templates import UserTemplate


@dataclass(frozen=True, slots=True)
class ScanResult:
    """A machine by its name, with its selected findings and those that VEX suppresses.

    `instance` and `region` are empty for a machine that is not an instance.
    """

    name: str
    machine: Inventory
    findings: Sequence[Finding]
    suppressed: Sequence[SuppressedFinding]
    assessment: Assessment
    instance: str = ""
    region: str = ""

    def write(self, form: str, file: TextIO, limit: int | None) -> None:
        """Write the document; `limit` is the most findings, the worst first."""
        from sidelight.report import as_json
        from sidelight.report.as_table import worst_first
        from sidelight.report.formats.format_names import CSV, FINDING_FORMATS

        ordered = sorted(self.findings, key=worst_first)
        shown = self.findings if limit is None else ordered[:limit]
        if form == "json":
            document = as_json.scan_document(
                self.machine, shown, self.assessment.not_covered, self.suppressed
            )
            file.write(as_json.dumps(document))
        elif form in SBOM_FORMATS:
            write_bom(self, form, shown, file)
        elif form == CSV:
            self._write_csv(ordered[:limit], file)
        elif form in FINDING_FORMATS:
            self._write_report(form, ordered[:limit], file)
        else:
            self._write_table(file, limit)

    def write_template(self, template: UserTemplate, file: TextIO, limit: int | None) -> None:
        """Write the document of a template. Raises UsageError and LimitError with its line."""
        from sidelight.report.as_table import worst_first
        from sidelight.report.template_model import template_model

        machine = self._scanned_machine(sorted(self.findings, key=worst_first)[:limit])
        template.write(template_model([machine], machine.at), file)

    def _write_table(self, file: TextIO, limit: int | None) -> None:
        from sidelight.report import as_table
        from sidelight.report.tables import Report

        as_table.print_findings(self.name, self.machine, self.findings, file, limit)
        report = Report(file)
        as_table.print_suppressed(report, self.suppressed)
        for line in self.assessment.not_covered_lines():
            report.line(f"not covered: {line}")

    def _write_csv(self, findings: Sequence[Finding], file: TextIO) -> None:
        from sidelight.model import Status
        from sidelight.report.finding_reports import write_machine_csv
        from sidelight.report.output import complain

        write_machine_csv(self._scanned_machine(findings), file)
        if self.machine.status is not Status.COMPLETE:  # which no column says
            count = len(self.machine.problems)
            problems = f"{count} problem{'s' * (count != 1)}"
            what = f"not all was read ({self.machine.status}, {problems})"
            complain(f"sidelight: {self.name}: {what}: see --format table")

    def _write_report(self, form: str, findings: Sequence[Finding], file: TextIO) -> None:
        from sidelight.report.formats import documents

        documents.write(form, self._scanned_machine(findings), file)

    def _scanned_machine(self, findings: Sequence[Finding]) -> ScannedMachine:
        from sidelight import __version__
        from sidelight.report.formats.scanned_machine import ScannedMachine

        now = datetime.now(UTC)
        return ScannedMachine(self.name, self.machine, findings, now, __version__, self.suppressed)


def write_bom(
    result: ScanResult, form: str, findings: Sequence[Finding] | None, file: TextIO
) -> None:
    """Write a bill of materials; `findings` is None where the software was not matched."""
    from sidelight.model import platform_name
    from sidelight.report.sbom import documents
    from sidelight.report.sbom.machine_boms import MachineBom

    bom = MachineBom(
        result.name,
        result.machine,
        datetime.now(UTC),
        findings,
        region=result.region,
        instance=result.instance,
        platform=platform_name(result.machine.os),
        suppressed=result.suppressed,
    )
    documents.write(form, bom, file)
