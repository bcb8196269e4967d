"""What scanning cost, as a document and as a table."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from sidelight.errors import UsageError
from sidelight.report.as_table import printable, table
from sidelight.store.costs import BY

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rich.table import Table

    from sidelight.store import CostSum

FIGURES = ("scans", "get_calls", "list_calls", "blocks", "bytes", "seconds", "cpu_seconds", "usd")


def moment(text: str) -> datetime:
    """A date or a time in ISO 8601; without a zone it is UTC's. Raises UsageError."""
    try:
        given = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no date as 2026-01-31") from error
    return given if given.tzinfo is not None else given.replace(tzinfo=UTC)


def costs_document(sums: Sequence[CostSum], by: Collection[str]) -> list[dict[str, Any]]:
    """One object a sum: what it was summed by, and the figures."""
    return [
        {name: value for name, value in asdict(row).items() if name in FIGURES or name in by}
        for row in sums
    ]


def costs_table(sums: Sequence[CostSum], by: Collection[str]) -> Table:
    """One line a sum, and one for all where there are several."""
    chosen = [name for name in BY if name in by]
    made = table(*(name.capitalize() for name in chosen), "Scans", "Get", "List", "Blocks", "MiB",
                 "Seconds", "CPU s", "USD", "USD a scan")  # fmt: skip
    for row in sums:
        made.add_row(*(Text(printable(getattr(row, name))) for name in chosen), *_figures(row))
    if len(sums) > 1:
        made.add_section()
        made.add_row(*("all" if not n else "" for n, _ in enumerate(chosen)), *_figures(_all(sums)))
    return made


def _all(sums: Sequence[CostSum]) -> CostSum:
    kind = type(sums[0])
    return kind(**{name: sum(getattr(row, name) for row in sums) for name in FIGURES})


def _figures(row: CostSum) -> tuple[str, ...]:
    return (
        f"{row.scans}", f"{row.get_calls}", f"{row.list_calls}", f"{row.blocks}",
        f"{row.bytes / (1 << 20):.1f}", f"{row.seconds:.1f}", f"{row.cpu_seconds:.1f}",
        f"{row.usd:.4f}", f"{row.usd / max(1, row.scans):.6f}",
    )  # fmt: skip
