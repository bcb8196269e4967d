"""Assess whether a machine was scanned completely, for `scan`, coverage and the console alike.

A machine is partial if another scan or another advisory database may improve the result: it has
unreadable files, or packages of an ecosystem without advisories in the database. Packages of a type
that no feed covers are listed as not covered: they would make their machine partial for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidelight.model import Problem, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.matching import Unmatched
    from sidelight.model import Inventory


# The coverage's reason for an ACTIVE instance.
COMPLETE_SCAN, PARTIAL_SCAN = "SUCCESSFUL", "PARTIAL"


@dataclass(frozen=True, slots=True)
class Assessment:
    """A machine's status after matching, all its problems, and packages that no feed covers."""

    status: Status
    problems: tuple[Problem, ...]
    not_covered: tuple[Unmatched, ...]
    skipped: tuple[str, ...] = ()  # what `skip_dirs` left out

    def not_covered_lines(self) -> list[str]:
        """Return one sentence for each type."""
        return [sentence(item) for item in self.not_covered]

    @property
    def reason(self) -> str:
        """The reason for coverage."""
        return COMPLETE_SCAN if self.status is Status.COMPLETE else PARTIAL_SCAN

    @property
    def detail(self) -> str:
        """One line for coverage: empty for a complete scan of everything, all packages covered."""
        parts = []
        if self.status is not Status.COMPLETE:
            first = self.problems[0]
            count = len(self.problems)
            parts.append(
                f"{self.status.value}: {count} problem{'s' * (count != 1)}, the first: {first.what}"
                + (f" ({first.where})" if first.where else "")
            )
        parts += [f"not covered: {line}" for line in self.not_covered_lines()]
        if self.skipped:
            parts.append(f"left out by skip-dirs: {', '.join(self.skipped)}")
        return "; ".join(parts)


def assess(machine: Inventory, unmatched: Sequence[Unmatched]) -> Assessment:
    """Combine the inventory's own status and problems with its unmatched packages."""
    missing = [item for item in unmatched if item.coverable]
    problems = machine.problems + tuple(Problem("advisories", sentence(item)) for item in missing)
    status = machine.status
    if missing and status is Status.COMPLETE:
        status = Status.PARTIAL
    not_covered = tuple(item for item in unmatched if not item.coverable)
    return Assessment(status, problems, not_covered, machine.skipped)


def sentence(item: Unmatched) -> str:
    """`15 packages of Alpine:v3.18: the database has no advisories for it`."""
    return f"{item.packages} package{'s' * (item.packages != 1)} of {item.ecosystem}: {item.why}"
