"""The advisory database: how old it is, what it covers, and what its last change brought."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from dispatcher.console.charts import Bar, horizontal_bars
from dispatcher.console.lists import ListColumn, Listing, ListRow
from dispatcher.console.page import ConsolePage, TemplateAnswer
from dispatcher.console.signals import REMEDY, missing
from sidelight.advisories import AdvisoryDatabase
from sidelight.errors import SidelightError
from sidelight.fleet.advisory_updates.update_state import old_feeds_text, read_state
from sidelight.model import Severity
from sidelight.store import measures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dispatcher.console.page import PageAnswer, PageRequest
    from sidelight.advisories.database.reader import DatabaseInfo

    # An ecosystem, its affected ranges, and the day of its newest advisory.
    FeedAge = tuple[str, int, datetime | None]

OLD: Final = timedelta(days=2)  # feeds change daily
MOST_ECOSYSTEMS: Final = 20
FILES: Final = (
    ListColumn("name", "Feed", kind="code", sort="name"),
    ListColumn("sha256", "SHA-256", kind="id"),
)


def advisories(request: PageRequest) -> PageAnswer:
    """Show the database of the settings, and the registered ones."""
    info, ages, built_at, error = _database(request)
    listing = Listing(request, "Feeds of this database", FILES, sort="name", size=200)
    files = info.files if info else ()
    rows = [ListRow({"name": name, "sha256": digest}) for name, digest in files]
    if listing.format:
        return listing.download_items(rows, "feeds")
    registered = request.store.registered_advisories.latest()
    changed = request.store.fleet_overview.sums([measures.CHANGED], None)[measures.CHANGED]
    newest = moment_of(info.newest if info else "")
    state = read_state(info.path, info.sha256) if info else None
    old = state.old_feeds(request.now) if state else []
    data = {
        "info": info,
        "error": error,
        "built_at": built_at,
        "newest": newest,
        # Feeds that are confirmed do not make a database old.
        "is_old": not state and built_at is not None and request.now - built_at > OLD,
        "is_used": bool(info and registered and registered[0].sha256 == info.sha256),
        "registered": [(item, moment_of(item.newest)) for item in registered],
        "added": _grades(changed.values, "added"),
        "withdrawn": _grades(changed.values, "withdrawn"),
        "ecosystems": horizontal_bars(_bars(info), "Affected ranges by ecosystem"),
        "ages": ages,
        "signals": _signals(info),
        "remedy": REMEDY,
        "feeds": state.feeds if state else (),
        "old_feeds": old_feeds_text(old, request.now) if old else "",
        "checked_at": state.checked_at if state else None,
        "list": listing.in_memory(rows),
    }
    fact = ""
    if info:
        fact = f"{info.advisories:,} advisories on {info.packages:,} packages."
    return TemplateAnswer("advisories.html", data, fact=fact)


def _database(
    request: PageRequest,
) -> tuple[DatabaseInfo | None, Sequence[FeedAge], datetime | None, str]:
    """Return what the file says, each ecosystem's age, when it was written, and what fails."""
    try:
        path = request.services.settings.findings.advisories_path
        with AdvisoryDatabase.open(path) as opened:
            info = opened.info()
            ages = [(name, rows, moment_of(opened.latest(name))) for name, rows in info.ecosystems]
        built = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (SidelightError, OSError) as error:
        return None, (), None, str(error)
    return info, sorted(ages, key=_oldest_first), built, ""


def _signals(info: DatabaseInfo | None) -> list[tuple[str, int | None, str]]:
    """Return what is known of exploitation: a label, how many vulnerabilities, what is missing."""
    if info is None:
        return []
    return [
        ("Exploited (KEV)", info.exploited, missing(info.exploited, "KEV")),
        ("With an EPSS score", info.scored, missing(info.scored, "EPSS")),
    ]


def _oldest_first(age: FeedAge) -> tuple[bool, float, str]:
    """Order ecosystems by their newest advisory; those without dates are last."""
    name, _, newest = age
    return newest is None, newest.timestamp() if newest else 0.0, name


def _bars(info: DatabaseInfo | None) -> list[Bar]:
    sums: dict[str, float] = {}
    for ecosystem, rows in info.ecosystems if info else ():
        name = ecosystem.partition(":")[0]
        sums[name] = sums.get(name, 0.0) + rows
    order = sorted(sums, key=lambda name: -sums[name])
    return [Bar(name, sums[name]) for name in order[:MOST_ECOSYSTEMS]]


def _grades(values: Mapping[str, float], what: str) -> dict[str, int]:
    return {
        grade.value: int(values[f"{what} {grade.value}"])
        for grade in Severity
        if values.get(f"{what} {grade.value}")
    }


def moment_of(text: str) -> datetime | None:
    """Return the moment of an advisory's date; None for a text that is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC)


PAGES = (ConsolePage("/advisories", "Advisories", advisories),)
