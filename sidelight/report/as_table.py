"""Inventories and findings for people, on a terminal or in a file."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sidelight.model import Severity, Status
from sidelight.report.escape import printable
from sidelight.report.tables import Cell, Column, Report, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import TextIO

    from sidelight.model import Finding, Inventory, NetworkFinding, SuppressedFinding

__all__ = ["print_findings", "print_inventory", "printable"]

SHOWN_AT_TOP = 3  # problems shown at the top; all of them are listed below the table

COLOURS = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
    Severity.INFORMATIONAL: "dim",
    Severity.UNTRIAGED: "dim",
}
FINDING_COLUMNS = (
    Column("Severity"),
    Column("Score", rank=3, right=True),
    Column("Vulnerability"),
    Column("Package"),
    Column("Installed", rank=1),
    Column("Fixed in", rank=2),
    Column("Path", rank=8),
    Column("Title", rank=9, prose=True, extra=True),
    Column("URL", piped=True),
)


def severity_cell(severity: Severity) -> Cell:
    """Return the severity in its colour."""
    return Cell(severity.value, COLOURS[severity])


def score_text(finding: Finding) -> str:
    """Return the score; with a mark if the vulnerability is known to be exploited."""
    score = "-" if finding.score is None else f"{finding.score:.1f}"
    return score + "!" * finding.exploit_available


def url_of(finding: Finding) -> str:
    """Return the first reference, which is the publisher's own; "" if there is none."""
    return finding.references[0] if finding.references else ""


def counted(number: int, one: str, many: str = "") -> str:
    """`1 finding`, `2 findings`; `many` for nouns with another plural."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def totals(counts: Mapping[Severity, int], number: int) -> str:
    """`35 findings: 1 critical, 34 high`."""
    parts = [
        f"{counts[level]} {level.value.lower()}"
        for level in reversed(Severity)
        if counts.get(level)
    ]
    return counted(number, "finding") + (f": {', '.join(parts)}" if parts else "")


def finding_cells(finding: Finding, path: str) -> list[str | Cell]:
    """Return the cells of FINDING_COLUMNS."""
    package = finding.package
    return [
        severity_cell(finding.severity), score_text(finding), finding.vulnerability, package.name,
        package.version, finding.fixed_version or "-", path, finding.title,
        url_of(finding),
    ]  # fmt: skip


def network_cells(finding: NetworkFinding) -> list[str | Cell]:
    """Return the cells of FINDING_COLUMNS for a network finding.

    The edge is in the package's column; the path is the interface.
    """
    return [
        severity_cell(finding.severity), "-", f"{finding.protocol} {finding.ports}",
        finding.edge_id, "-", "-", finding.interface, finding.title, "",
    ]  # fmt: skip


def grouped(
    findings: Iterable[Finding], key: Callable[[Finding], object] = lambda _: None
) -> list[tuple[Finding, str]]:
    """Group findings that differ only by their path into one each with `/first/path +3 paths`.

    `key` is an additional criterion of the group. The order is that of each group's first finding.
    """
    paths: dict[object, list[str]] = {}
    first: dict[object, Finding] = {}
    for finding in findings:
        package = finding.package
        same = (
            key(finding), finding.severity, finding.vulnerability, package.type, package.name,
            package.version, finding.fixed_version,
        )  # fmt: skip
        first.setdefault(same, finding)
        paths.setdefault(same, []).append(package.path)
    return [(finding, _path_text(paths[same])) for same, finding in first.items()]


def _path_text(paths: Sequence[str]) -> str:
    more = len(paths) - 1
    return f"{min(paths)} +{counted(more, 'path')}" if more else paths[0]


def print_findings(
    name: str,
    inventory: Inventory,
    findings: Sequence[Finding],
    file: TextIO,
    limit: int | None = None,
) -> None:
    """Print the machine, its findings (most severe first), its problems, and the totals.

    On a terminal, findings that differ only by their path are one row. At most `limit` rows.
    """
    report = Report(file)
    _heading(report, name, inventory)
    ordered = sorted(findings, key=worst_first)
    rows = (
        grouped(ordered)
        if report.is_terminal
        else [(finding, finding.package.path) for finding in ordered]
    )
    table = Table(*FINDING_COLUMNS)
    for finding, path in rows[:limit]:
        table.add_row(*finding_cells(finding, path))
    if rows or not report.is_terminal:
        report.table(table)
    _problems(report, inventory)
    if limit is not None and limit < len(rows):
        report.line(f"The first {limit} of {len(rows)} rows are shown.")
    counts = Counter(item.severity for item in findings)
    report.line(f"{totals(counts, len(findings))}{_reading(inventory)}", style="bold")


def print_suppressed(report: Report, suppressed: Sequence[SuppressedFinding]) -> None:
    """Print each suppressed finding on a line, with the reason and the document."""
    if not suppressed:
        return
    report.line(f"{counted(len(suppressed), 'finding')} suppressed:", style="bold")
    for item in suppressed:
        package = item.finding.package
        what = f"{item.finding.vulnerability} {package.name} {package.version}"
        reason = f"{item.status.value}, {item.reason}" if item.reason else item.status.value
        report.line(f"  {what}: {reason} ({item.source})")


def print_inventory(name: str, inventory: Inventory, file: TextIO) -> None:
    """Print the machine, its packages, its problems, and the number of packages."""
    report = Report(file)
    _heading(report, name, inventory)
    table = Table(
        Column("Type"), Column("Package"), Column("Version"), Column("Path", rank=8),
        Column("PURL", piped=True),
    )  # fmt: skip
    for package in inventory.packages:
        table.add_row(package.type, package.name, package.version, package.path, package.purl)
    if inventory.packages or not report.is_terminal:
        report.table(table)
    _problems(report, inventory)
    report.line(f"{counted(len(inventory.packages), 'package')}{_reading(inventory)}", style="bold")


def worst_first(finding: Finding) -> tuple[int, str, str, str]:
    """Return a sort key: the most severe findings first."""
    package = finding.package
    return (-finding.severity.rank, package.name, finding.vulnerability, package.path)


def _heading(report: Report, name: str, inventory: Inventory) -> None:
    system = inventory.os.pretty_name or inventory.os.id or "unknown system"
    report.line(f"{name}: {system}, {inventory.status.value}", style="bold")
    for item in inventory.filesystems:
        mount = item.mount or "not mounted"
        report.line(f"  {item.source}: {item.type}, {mount}, journal {item.journal}")
    if inventory.left_out:
        shown = ", ".join(inventory.left_out[:4])
        more = ", …" if len(inventory.left_out) > 4 else ""
        report.line(f"  left out, not the machine's own: {shown}{more}")
    for line in inventory.skipped:
        report.line(f"  left out by --skip-dirs: {line}", style="yellow")
    if inventory.status is Status.COMPLETE or not inventory.problems:
        return
    problems = inventory.problems
    report.line(f"  Not all was read: {counted(len(problems), 'problem')}.", style="yellow")
    for problem in problems[:SHOWN_AT_TOP]:
        report.line(f"    {problem.where}: {problem.what}")
    if len(problems) > SHOWN_AT_TOP:
        report.line(f"    and {len(problems) - SHOWN_AT_TOP} more, listed at the end")


def _problems(report: Report, inventory: Inventory) -> None:
    """Print all problems, unless the heading has shown them all."""
    is_shown = inventory.status is not Status.COMPLETE
    if is_shown and len(inventory.problems) <= SHOWN_AT_TOP:
        return
    if inventory.problems:
        report.line(f"{counted(len(inventory.problems), 'problem')}:", style="yellow")
    for problem in inventory.problems:
        report.line(f"  {problem.where}: {problem.what}")


def _reading(inventory: Inventory) -> str:
    """Return the last line's addition for an incomplete inventory."""
    if inventory.status is Status.COMPLETE:
        return ""
    return f"; {inventory.status.value}: {counted(len(inventory.problems), 'problem')}"
