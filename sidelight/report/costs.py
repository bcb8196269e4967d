"""The costs of scanning, as a document."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sidelight.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sidelight.model import CostSum

KEYS = ("account", "region", "instance", "day")
FIGURES = ("scans", "get_calls", "list_calls", "blocks", "bytes", "seconds", "cpu_seconds", "usd")


def moment(text: str) -> datetime:
    """Parse a date or a time in ISO 8601 as UTC; without a zone it is in UTC. Raises UsageError."""
    try:
        parsed = datetime.fromisoformat(text)
        # At the ends of the calendar another zone's time does not exist in UTC.
        return parsed.astimezone(UTC) if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{text[:100]!r} is not a date like 2026-01-31") from error


def costs_document(sums: Sequence[CostSum], by: Collection[str]) -> list[dict[str, Any]]:
    """Return one object per sum: its keys, and the figures."""
    return [
        {name: getattr(row, name) for name in (*(key for key in KEYS if key in by), *FIGURES)}
        for row in sums
    ]
