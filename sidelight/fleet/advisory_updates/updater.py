"""Update the advisory database from its publishers: download, build, put in place.

A killed update is continued by the next: downloads go on where they ended. Readers have the old
database until the new one is whole. A feed that cannot be downloaded, is damaged, or has lost most
of its records keeps its last good edition, and the update says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sidelight.advisories import build
from sidelight.download import SOURCES, chosen, fetch
from sidelight.errors import DatabaseError, DownloadError, FormatError, UsageError
from sidelight.fleet.advisory_updates.feed_folders import FeedFolders
from sidelight.fleet.advisory_updates.placing import (
    alone,
    candidate_of,
    current_state,
    put_in_place,
)
from sidelight.fleet.advisory_updates.update_state import (
    FeedState,
    UpdateState,
    failed,
    write_state,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from sidelight.advisories import BuildSummary
    from sidelight.download import FetchOutcome, Progress, Source
    from sidelight.download.fetch import PublisherAccess

# A feed of at least so many records that has less than half of them is a mistake of its publisher.
LEAST_COMPARED: Final = 100


@dataclass(frozen=True, slots=True)
class UpdatePlan:
    """What to update: the database, the directory of its feeds, and the sources by name.

    No sources: the usual ones, and those that the database already has.
    """

    database: Path
    feeds: Path
    sources: tuple[str, ...] = ()
    mirrors: Mapping[str, str] = field(default_factory=dict)
    accept_smaller: bool = False


@dataclass(frozen=True, slots=True)
class UpdateHooks:
    """What an update calls while it runs, and how it reaches publishers."""

    report: Callable[[FetchOutcome], None] | None = None
    building: Callable[[str, int], None] | None = None  # a file or step, records so far
    progress: Progress | None = None
    network: PublisherAccess | None = None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class UpdateOutcome:
    """The result: whether the database changed, and its state. `summary`: of a build."""

    database: Path
    changed: bool
    state: UpdateState
    summary: BuildSummary | None = None

    @property
    def failures(self) -> list[FeedState]:
        """The feeds whose update failed."""
        return [feed for feed in self.state.feeds if feed.error]


def sources_of(plan: UpdatePlan) -> list[Source]:
    """Return the sources that an update of this plan downloads. Raises UsageError."""
    return _chosen(plan, current_state(plan.database))


def update(plan: UpdatePlan, hooks: UpdateHooks | None = None) -> UpdateOutcome:
    """Bring the database up to date.

    Raises UsageError (another update runs, unknown sources), DownloadError where no feed could be
    had, DatabaseError where the new database would lack a feed of the current one, and
    FormatError; then the current database is unchanged.
    """
    hooks = hooks or UpdateHooks()
    with alone(plan.database):
        before = current_state(plan.database)
        sources = _chosen(plan, before)
        outcomes = fetch(
            sources, plan.feeds, mirrors=plan.mirrors, network=hooks.network, report=hooks.report,
            progress=hooks.progress,
        )  # fmt: skip
        now = hooks.clock()
        names = [source.name for source in sources]
        folders = FeedFolders(plan.feeds, names, [source.name for source in SOURCES])
        feeds = _after_download(outcomes, before, now)
        if not folders.current() and not folders.added():
            raise DownloadError(outcomes[0].error or "it has no file", where=outcomes[0].source)
        inputs = folders.digest()
        if before is not None and inputs == before.inputs:
            state = replace(before, checked_at=now, feeds=_unchanged(feeds, before))
            write_state(plan.database, state)
            return UpdateOutcome(plan.database, changed=False, state=state)
        return _Build(plan, hooks, folders, before, feeds).run(inputs, now)


def _chosen(plan: UpdatePlan, before: UpdateState | None) -> list[Source]:
    """Return the sources, sorted. Raises UsageError for a source that would be lost."""
    known = {source.name: source for source in SOURCES}
    had = [feed.name for feed in before.feeds if feed.name in known] if before else []
    named = {source.name for source in chosen(plan.sources)}
    if not plan.sources:
        named |= set(had)
    missing = sorted(set(had) - named)
    if missing and not plan.accept_smaller:
        what = (
            f"the current database also has {', '.join(missing)}: name them as well, or no source,"
            " or leave them out by --accept-smaller"
        )
        raise UsageError(what, where=str(plan.database))
    return [source for source in SOURCES if source.name in named]


def _after_download(
    outcomes: Sequence[FetchOutcome], before: UpdateState | None, now: datetime
) -> dict[str, FeedState]:
    earlier = before.by_name() if before else {}
    feeds = {}
    for outcome in outcomes:
        feed = earlier.get(outcome.source, FeedState(outcome.source))
        if outcome.error:
            feeds[feed.name] = failed(feed, outcome.error)
        else:
            changed = now if outcome.changed or feed.changed_at is None else feed.changed_at
            feeds[feed.name] = replace(
                feed, confirmed_at=now, changed_at=changed, error="", is_kept=False
            )
    return feeds


def _unchanged(feeds: Mapping[str, FeedState], before: UpdateState) -> tuple[FeedState, ...]:
    """Return the feeds of an unchanged database: an edition that was refused still is."""
    earlier = before.by_name()
    return tuple(
        earlier[name] if name in earlier and earlier[name].is_kept and not feed.error else feed
        for name, feed in sorted(feeds.items())
    )


class _Build:
    """A build of all feeds, again without each edition that turns out to be damaged."""

    def __init__(
        self,
        plan: UpdatePlan,
        hooks: UpdateHooks,
        folders: FeedFolders,
        before: UpdateState | None,
        feeds: dict[str, FeedState],
    ) -> None:
        self._plan = plan
        self._hooks = hooks
        self._folders = folders
        self._earlier = before.by_name() if before else {}
        self._feeds = {name: replace(feed, is_kept=False) for name, feed in feeds.items()}
        self._used = folders.current()

    def run(self, inputs: str, now: datetime) -> UpdateOutcome:
        """Build, and put the database in place. Raises DatabaseError, FormatError."""
        for name in self._feeds.keys() - self._used.keys():
            self._fall_back(name, self._feeds[name].error or "it has no file")
        with candidate_of(self._plan.database) as candidate:
            summary = self._built(candidate)
            while shrunk := self._shrunk(summary):
                for name, error in shrunk.items():
                    self._fall_back(name, error)
                summary = self._built(candidate)
            self._refuse_lost()
            feeds = tuple(self._feeds[name] for name in sorted(self._feeds))
            state = UpdateState(summary.sha256, now, now, inputs, "", feeds)
            # Before the database is in place: a killed update leaves no older edition as good.
            kept = [name for name in self._used if not self._feeds[name].is_kept]
            self._folders.keep_good(kept)
            put_in_place(candidate, self._plan.database, state)
        return UpdateOutcome(self._plan.database, changed=True, state=state, summary=summary)

    def _built(self, candidate: Path) -> BuildSummary:
        while True:
            paths = [*self._used.values(), *self._folders.added()]
            if not paths:
                raise DownloadError("no feed can be read", where=str(self._plan.feeds))
            try:
                summary = build(paths, candidate, self._hooks.building, skip_unknown=True)
            except FormatError as error:
                name = self._source_of(error)
                if not name:
                    raise
                self._fall_back(name, str(error))
            else:
                for name, count in self._counts(summary).items():
                    self._feeds[name] = replace(self._feeds[name], records=count)
                return summary

    def _source_of(self, error: FormatError) -> str:
        """Return the source whose file an error names; empty for somebody's own file."""
        for name, path in self._used.items():
            if error.where == str(path) or error.where.startswith(f"{path}/"):
                return name
        return ""

    def _fall_back(self, name: str, error: str) -> None:
        """Use a source's last good edition, or none of it."""
        good = self._folders.good(name)
        earlier = self._earlier.get(name, FeedState(name))
        if good is not None and self._used.get(name) != good:
            self._used[name] = good
            self._feeds[name] = failed(replace(earlier, is_kept=True), error)
        else:
            self._used.pop(name, None)
            self._feeds[name] = failed(replace(earlier, records=0), error)

    def _counts(self, summary: BuildSummary) -> dict[str, int]:
        return {
            name: sum(count for file, count in summary.records if file.is_relative_to(path))
            for name, path in self._used.items()
        }

    def _shrunk(self, summary: BuildSummary) -> dict[str, str]:
        """Return the new editions that have lost most of their feed, with the reason."""
        if self._plan.accept_smaller:
            return {}
        found = {}
        for name, count in self._counts(summary).items():
            had = self._earlier[name].records if name in self._earlier else 0
            if not self._feeds[name].is_kept and had >= LEAST_COMPARED and count < had / 2:
                found[name] = (
                    f"its new edition has {count} records, and the one before has {had}:"
                    " --accept-smaller uses it"
                )
        return found

    def _refuse_lost(self) -> None:
        lost = sorted(
            name
            for name, feed in self._earlier.items()
            if feed.records and name in self._feeds and name not in self._used
        )
        if lost and not self._plan.accept_smaller:
            reasons = "; ".join(f"{name}: {self._feeds[name].error}" for name in lost)
            what = f"the new database would lack feeds of the current one, which stays: {reasons}"
            raise DatabaseError(what, where=str(self._plan.database))
