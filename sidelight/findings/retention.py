"""How long closed findings and their events are kept: as in Inspector."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

# A vulnerability that recurs within seven days is the same finding, reopened.
REOPENS_WITHIN = timedelta(days=7)
# A closed finding is deleted after thirty days, or three if its instance is gone or no longer
# scanned.
KEPT_CLOSED = timedelta(days=30)
KEPT_OF_RETIRED = timedelta(days=3)
EVENTS_KEPT = KEPT_CLOSED


def reopens(closed_at: datetime | None, now: datetime) -> bool:
    """Return whether a finding that was closed at that time is reopened if it is found now."""
    return closed_at is not None and closed_at >= now - REOPENS_WITHIN
