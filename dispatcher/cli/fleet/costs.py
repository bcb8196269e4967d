"""The costs of scanning, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.report.tables import Column, Table
from sidelight.store import COST_KEYS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sidelight.model import CostSum

_FIGURES = ("scans", "get_calls", "list_calls", "blocks", "bytes", "seconds", "cpu_seconds", "usd")


def costs_table(sums: Sequence[CostSum], by: Collection[str]) -> Table:
    """Return a table of one row per sum, and a row of totals if there are several."""
    chosen = [name for name in COST_KEYS if name in by]
    table = Table(
        *(Column(name.capitalize()) for name in chosen),
        Column("Scans", right=True), Column("Get calls", rank=5, right=True),
        Column("List calls", rank=6, right=True), Column("Blocks", rank=7, right=True),
        Column("MiB", rank=2, right=True), Column("Seconds", rank=3, right=True),
        Column("CPU seconds", rank=4, right=True), Column("USD", right=True),
        Column("USD per scan", rank=1, right=True),
    )  # fmt: skip
    for row in sums:
        table.add_row(*(getattr(row, name) for name in chosen), *_figures(row))
    if len(sums) > 1:
        table.add_row(
            *("all" if place == 0 else "" for place, _ in enumerate(chosen)), *_figures(_all(sums))
        )
    return table


def _all(sums: Sequence[CostSum]) -> CostSum:
    kind = type(sums[0])
    return kind(**{name: sum(getattr(row, name) for row in sums) for name in _FIGURES})


def _figures(row: CostSum) -> tuple[str, ...]:
    return (
        f"{row.scans}", f"{row.get_calls}", f"{row.list_calls}", f"{row.blocks}",
        f"{row.bytes / (1 << 20):.1f}", f"{row.seconds:.1f}", f"{row.cpu_seconds:.1f}",
        f"{row.usd:.4f}", f"{row.usd / max(1, row.scans):.6f}",
    )  # fmt: skip
