"""The costs of scanning, as a document."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

from sidelight.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sidelight.documents.fleet import CostSumDocument
    from sidelight.model import CostSum

KEYS: Final[tuple[Literal["account", "region", "instance", "day"], ...]] = (
    "account", "region", "instance", "day",
)  # fmt: skip
FIGURES = ("scans", "get_calls", "list_calls", "blocks", "bytes", "seconds", "cpu_seconds", "usd")


def moment(text: str) -> datetime:
    """Parse a date or a time in ISO 8601 as UTC; without a zone it is in UTC. Raises UsageError."""
    try:
        parsed = datetime.fromisoformat(text)
        # At the ends of the calendar another zone's time does not exist in UTC.
        return parsed.astimezone(UTC) if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{text[:100]!r} is not a date like 2026-01-31") from error


def costs_document(sums: Sequence[CostSum], by: Collection[str]) -> list[CostSumDocument]:
    """Return one object per sum: its keys, and the figures."""
    return [_document(row, by) for row in sums]


def _document(row: CostSum, by: Collection[str]) -> CostSumDocument:
    document: CostSumDocument = {
        "scans": row.scans,
        "get_calls": row.get_calls,
        "list_calls": row.list_calls,
        "blocks": row.blocks,
        "bytes": row.bytes,
        "seconds": row.seconds,
        "cpu_seconds": row.cpu_seconds,
        "usd": row.usd,
    }
    for key in KEYS:
        if key in by:
            document[key] = getattr(row, key)
    return document
