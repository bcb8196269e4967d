"""Sentences about the age and the source of what a scan read. PURE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.model import SourceKind

if TYPE_CHECKING:
    from datetime import datetime

    from sidelight.model import Coverage

SOURCES: Final = {
    SourceKind.EXISTING.value: "existing snapshots",
    SourceKind.UNCHANGED.value: "no write since the last read",
}


def source_note(source: str, data_at: datetime | None) -> str:
    """Return `existing snapshots, as of 2026-01-31 02:00 UTC`; empty for new snapshots."""
    if not source:
        return ""
    at = f", as of {data_at:%Y-%m-%d %H:%M} UTC" if data_at is not None else ""
    return f"{SOURCES.get(source, source)}{at}"


def detailed(row: Coverage) -> str:
    """Return a coverage row's detail, with the source and the age of its data."""
    return "; ".join(filter(None, (source_note(row.data_source, row.data_at), row.detail)))
