"""docs/inspector.md: its example is what the command prints, and it explains every cause."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from dispatcher.cli.inspector import views
from sidelight.inspector_comparison import Cause, InspectorSide
from sidelight.model import Package, Severity
from sidelight.report.tables import Report
from tests.inspector_comparison.sides import CVE, LATE, OPENSSL, compared, machine, reported, row

if TYPE_CHECKING:
    import pytest

    from sidelight.model import Finding

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "inspector.md").read_text()
SPRING = Package(
    "maven", "org.springframework:spring-web", "6.1.4", "/srv/shop/lib/spring-web-6.1.4.jar",
    "pkg:maven/org.springframework/spring-web@6.1.4",
)  # fmt: skip


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def example() -> list[str]:
    """The output for one machine: three equal findings, and one of each of three causes."""

    def own(number: int, **members: object) -> Finding:
        name = f"CVE-2026-100{number}"
        return replace(CVE, vulnerability=name, **members)  # type: ignore[arg-type] # of Finding

    spring = replace(CVE, vulnerability="CVE-2024-22259", package=SPRING, ecosystem="Maven")
    findings = [*map(own, range(3)), own(3, severity=Severity.HIGH, cvss_score=7.5), spring]
    rows = [row(finding, number=number) for number, finding in enumerate(findings)]
    answers = [
        reported(vulnerabilityId=f"CVE-2026-100{number}", findingArn=f"arn:{number}",
                 vendorSeverity="medium")
        for number in range(4)
    ]  # fmt: skip
    later = LATE + timedelta(hours=17)
    answers.append(
        reported(vulnerabilityId="CVE-2026-4111", findingArn="arn:4", firstObservedAt=later)
    )
    result = compared(rows, answers, inventory=machine(OPENSSL, SPRING))
    terminal = Terminal()
    views.show(Report(terminal), result, InspectorSide(), None, equal=False)
    return [Text.from_ansi(line).plain.rstrip() for line in terminal.getvalue().splitlines()]


def test_the_example_is_what_the_command_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    (block,) = re.findall(r"```\n\$ sidelight inspector compare .*?\n(.*?)```", PAGE, re.DOTALL)
    assert block.splitlines() == example()


def test_every_cause_is_explained() -> None:
    assert {cause.value for cause in Cause} <= set(re.findall(r"`([A-Z_]+)`", PAGE))
