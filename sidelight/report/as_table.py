"""Inventories and findings for people, on a terminal or in a file."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sidelight.model import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from sidelight.model import Finding, Inventory

# A pipe has no width of its own: wide enough that purls and paths are not cut.
WIDTH_OF_A_PIPE = 160

COLOURS = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
    Severity.INFORMATIONAL: "dim",
    Severity.UNTRIAGED: "dim",
}


def console_for(file: TextIO) -> Console:
    """A console on `file`; colours only on a terminal."""
    width = None if file.isatty() or "COLUMNS" in os.environ else WIDTH_OF_A_PIPE
    return Console(file=file, width=width, highlight=False)


def table(*columns: str) -> Table:
    """A table with this project's look."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def severity_text(severity: Severity) -> Text:
    """The severity in its colour."""
    return Text(severity.value, style=COLOURS[severity])


def score_text(finding: Finding) -> str:
    """The score; with a mark where the vulnerability is known to be exploited."""
    score = "-" if finding.score is None else f"{finding.score:.1f}"
    return score + "!" * finding.exploit_available


def print_findings(
    name: str, inventory: Inventory, findings: Sequence[Finding], file: TextIO
) -> None:
    """The machine, its findings (worst first), and what could not be read."""
    console = console_for(file)
    _heading(console, name, inventory)
    if findings:
        rows = table(
            "Severity", "Score", "Vulnerability", "Package", "Installed", "Fixed in", "Path"
        )
        for item in sorted(findings, key=worst_first):
            package = item.package
            rows.add_row(
                severity_text(item.severity),
                score_text(item),
                item.vulnerability,
                Text(package.name),
                Text(package.version),
                Text(item.fixed_version or "-"),
                Text(printable(package.path)),
            )
        console.print(rows)
    counts = Counter(item.severity for item in findings)
    parts = [
        f"{counts[level]} {level.value.lower()}" for level in reversed(Severity) if counts[level]
    ]
    console.print(f"{len(findings)} findings" + (f": {', '.join(parts)}" if parts else ""))
    _problems(console, inventory)


def print_inventory(name: str, inventory: Inventory, file: TextIO) -> None:
    """The machine, its packages, and what could not be read."""
    console = console_for(file)
    _heading(console, name, inventory)
    rows = table("Type", "Package", "Version", "Path")
    for package in inventory.packages:
        rows.add_row(
            package.type, Text(package.name), Text(package.version), Text(printable(package.path))
        )
    if inventory.packages:
        console.print(rows)
    console.print(f"{len(inventory.packages)} packages")
    _problems(console, inventory)


def worst_first(finding: Finding) -> tuple[int, str, str, str]:
    """The order in which people want to read findings."""
    package = finding.package
    return (-finding.severity.rank, package.name, finding.vulnerability, package.path)


def printable(path: str) -> str:
    """A path from a disk with control characters and undecodable bytes escaped.

    A hostile file name must not drive the terminal.
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in path
    )


def _heading(console: Console, name: str, inventory: Inventory) -> None:
    system = inventory.os.pretty_name or inventory.os.id or "unknown system"
    console.print(Text(f"{name}: {printable(system)}, {inventory.status.value}", style="bold"))
    for item in inventory.filesystems:
        mount = item.mount or "not mounted"
        console.print(
            Text(f"  {item.source}: {item.type}, {printable(mount)}, journal {item.journal}")
        )


def _problems(console: Console, inventory: Inventory) -> None:
    if not inventory.problems:
        return
    console.print(f"{len(inventory.problems)} problems:")
    for problem in inventory.problems:
        console.print(Text(f"  {printable(problem.where)}: {printable(problem.what)}"))
