"""How old the advisory database and its feeds are, read in a millisecond."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sidelight.advisories.database.reader import digest_of_file
from sidelight.errors import DatabaseError
from sidelight.fleet.advisory_updates.update_state import age_text, old_feeds_text, read_state

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.fleet.advisory_updates.update_state import FeedState

OLD_BUILD: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class AdvisoryAges:
    """When a database was built, and its feeds: none where it was made without `update`."""

    built_at: datetime
    feeds: tuple[FeedState, ...]

    def complaint(self, now: datetime) -> str:
        """Return what is old, in one line; empty where nothing is.

        Feeds that are confirmed do not make a database old: it does not change while they don't.
        """
        old = [feed for feed in self.feeds if feed.is_old(now)]
        if old:
            text = old_feeds_text(sorted(old, key=lambda feed: feed.name), now)
            return f"{len(old)} of {len(self.feeds)} feeds not confirmed for 2 days: {text}"
        age = now - self.built_at
        if not self.feeds and age > OLD_BUILD:
            return f"the advisory database was built {age_text(age)} ago"
        return ""


def ages_of(database: Path) -> AdvisoryAges | None:
    """Return the ages of a database; None where there is none that can be read."""
    try:
        state = read_state(database, digest_of_file(database))
        built = datetime.fromtimestamp(database.stat().st_mtime, UTC)
    except (DatabaseError, OSError):
        return None
    return AdvisoryAges(state.built_at if state else built, state.feeds if state else ())
