"""Principals and times in the tables and documents of `sidelight access`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from sidelight.model import Principal


def shown_scope(principal: Principal) -> str:
    """Return the accounts whose data a principal sees, besides its own: `own` for none."""
    if principal.accounts is None:
        return "fleet"
    return ", ".join(sorted(principal.accounts)) or "own"


def shown_time(moment: datetime | None) -> str:
    """Return a time in UTC to the second; empty for None."""
    return moment.isoformat(sep=" ", timespec="seconds").removesuffix("+00:00") if moment else ""


def iso_time(moment: datetime | None) -> str | None:
    """Return a time in ISO 8601, as documents have it."""
    return None if moment is None else moment.isoformat()
