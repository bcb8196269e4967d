"""Whether the advisory database says what is exploited: without its feed, none is not 0."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from sidelight.advisories import AdvisoryDatabase
from sidelight.errors import SidelightError

if TYPE_CHECKING:
    from pathlib import Path

    from dispatcher.console.page import PageRequest

REMEDY: Final = "“sidelight advisories update” reads both feeds."


@dataclass(frozen=True, slots=True)
class SignalFeeds:
    """Why it is unknown whether findings are exploited (`kev`), and scored (`epss`).

    Both are empty where the database has the feed.
    """

    kev: str
    epss: str


def signal_feeds(request: PageRequest) -> SignalFeeds:
    """Return what the advisory database of the fleet's findings lacks."""
    try:
        path = request.services.settings.findings.advisories_path
        changed = path.stat()
        sha256, exploited, scored = _contents(path, changed.st_mtime_ns, changed.st_size)
    except (SidelightError, OSError):
        why = "the advisory database cannot be read here"
        return SignalFeeds(why, why)
    registered = request.store.registered_advisories.latest(1)
    if not registered or registered[0].sha256 != sha256:
        why = "nothing was evaluated with this advisory database yet"
        return SignalFeeds(why, why)
    return SignalFeeds(missing(exploited, "KEV"), missing(scored, "EPSS"))


def missing(number: int | None, name: str) -> str:
    """Return why a feed with so many vulnerabilities says nothing; empty where it does."""
    if number is None:
        return f"an older advisory database, which does not say whether it has {name}"
    return "" if number else f"no {name} feed"


@lru_cache(maxsize=4)
def _contents(path: Path, _changed: int, _size: int) -> tuple[str, int | None, int | None]:
    """Return the digest of the database, and how many are exploited and scored."""
    with AdvisoryDatabase.open(path) as opened:
        info = opened.info()
    return info.sha256, info.exploited, info.scored
