"""The state of an advisory database's updates: a file beside it, `advisories.db.feeds.json`.

It says when the database was built and when each feed was last confirmed to be current. The
database itself does not change while its feeds do not, so these times cannot be in it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sidelight.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sidelight.documents.advisories import FeedStateDocument, UpdateStateDocument

OLD: Final = timedelta(days=2)  # feeds change daily
MAX_STATE: Final = 1 << 20  # bytes
MAX_FEEDS: Final = 2_000
_TEXT: Final = 1_000  # characters of an error


@dataclass(frozen=True, slots=True)
class FeedState:
    """One feed. `confirmed_at`: when its publisher last confirmed it; None for never.

    `changed_at` is when its contents last changed, `records` their number, `error` the failure of
    the last update, empty after success. `is_kept`: its newest edition was refused, so that the
    database has the one before.
    """

    name: str
    confirmed_at: datetime | None = None
    changed_at: datetime | None = None
    records: int = 0
    error: str = ""
    is_kept: bool = False

    def age(self, now: datetime) -> timedelta | None:
        """Return the time since its publisher last confirmed it; None for never."""
        return None if self.confirmed_at is None else max(now - self.confirmed_at, timedelta())

    def is_old(self, now: datetime) -> bool:
        """Whether it was not confirmed for longer than OLD, or never."""
        age = self.age(now)
        return age is None or age > OLD


@dataclass(frozen=True, slots=True)
class UpdateState:
    """The state of a database with this SHA-256 of its contents.

    `built_at` is when its feeds were joined, on whatever machine; `checked_at` the last update,
    also one that changed nothing. `inputs` is a digest of the feeds' files; empty for a bundle.
    """

    sha256: str
    built_at: datetime
    checked_at: datetime
    inputs: str = ""
    bundle: str = ""  # the address that the database came from
    feeds: tuple[FeedState, ...] = ()

    def by_name(self) -> dict[str, FeedState]:
        """Return the feeds by their names."""
        return {feed.name: feed for feed in self.feeds}

    def old_feeds(self, now: datetime) -> list[FeedState]:
        """Return the feeds that are old, the oldest first."""
        old = [feed for feed in self.feeds if feed.is_old(now)]
        never = datetime.min.replace(tzinfo=UTC)
        return sorted(old, key=lambda feed: (feed.confirmed_at or never, feed.name))


def state_path(database: Path) -> Path:
    """Return the path of a database's state: beside its file, also where it is named by a link."""
    file = Path(os.path.realpath(database)) if database.is_symlink() else database
    return file.with_name(f"{file.name}.feeds.json")


def read_state(database: Path, sha256: str) -> UpdateState | None:
    """Return the state of the database with this digest.

    None where there is no such file, where it is damaged, and where it is another database's: one
    that was put in place by hand.
    """
    try:
        with state_path(database).open("rb") as stream:
            data = stream.read(MAX_STATE + 1)
        state = state_of(json.loads(data)) if len(data) <= MAX_STATE else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return state if state is not None and state.sha256 == sha256 else None


def write_state(database: Path, state: UpdateState) -> None:
    """Write a database's state atomically. Raises DatabaseError."""
    path = state_path(database)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        fresh.write_text(json.dumps(state_document(state), indent=1) + "\n", "utf-8")
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise DatabaseError(f"cannot be written: {error.strerror}", where=str(path)) from error


def state_document(state: UpdateState) -> UpdateStateDocument:
    """Return the state as its document."""
    return {
        "sha256": state.sha256,
        "built_at": state.built_at.isoformat(),
        "checked_at": state.checked_at.isoformat(),
        "inputs": state.inputs,
        "bundle": state.bundle,
        "feeds": [feed_document(feed) for feed in state.feeds],
    }


def feed_document(feed: FeedState) -> FeedStateDocument:
    """Return a feed's state as its document."""
    return {
        "name": feed.name,
        "confirmed_at": feed.confirmed_at.isoformat() if feed.confirmed_at else "",
        "changed_at": feed.changed_at.isoformat() if feed.changed_at else "",
        "records": feed.records,
        "error": feed.error,
        "is_kept": feed.is_kept,
    }


def state_of(document: Mapping[str, Any]) -> UpdateState:
    """Return the state that a document has.

    Raises ValueError, TypeError or KeyError where it is not such a document.
    """
    return UpdateState(
        sha256=_text(document["sha256"]),
        built_at=_required(document["built_at"]),
        checked_at=_required(document["checked_at"]),
        inputs=_text(document["inputs"]),
        bundle=_text(document["bundle"]),
        feeds=feeds_of(document["feeds"]),
    )


def feeds_of(items: object) -> tuple[FeedState, ...]:
    """Return the feeds of a document's list. Raises as `state_of`."""
    if not isinstance(items, list) or len(items) > MAX_FEEDS:
        raise TypeError("feeds")
    return tuple(
        FeedState(
            name=_text(item["name"]),
            confirmed_at=_moment(item["confirmed_at"]),
            changed_at=_moment(item["changed_at"]),
            records=count_of(item["records"]),
            error=_text(item["error"]),
            is_kept=item["is_kept"] is True,
        )
        for item in items
    )


def count_of(value: object) -> int:
    """Return a document's number. Raises TypeError for what is not a whole one."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("not a whole number")
    return value


def failed(feed: FeedState, error: str) -> FeedState:
    """Return a feed whose update failed; its times stay."""
    return replace(feed, error=error[:_TEXT])


def age_text(age: timedelta | None) -> str:
    """Return `3 days`, `5 hours`, `2 minutes`, or `never confirmed`."""
    if age is None:
        return "never confirmed"
    seconds = age.total_seconds()
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "less than a minute"


def old_feeds_text(feeds: Iterable[FeedState], now: datetime, most: int = 5) -> str:
    """Return `osv-npm (3 days), kev (never confirmed) and 4 others`."""
    listed = [f"{feed.name} ({age_text(feed.age(now))})" for feed in feeds]
    shown = ", ".join(listed[:most])
    return f"{shown} and {len(listed) - most} others" if len(listed) > most else shown


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _TEXT + 100:
        raise TypeError("not a text")
    return value


def _moment(value: object) -> datetime | None:
    text = _text(value)
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time that UTC does not have") from None


def _required(value: object) -> datetime:
    moment = _moment(value)
    if moment is None:
        raise ValueError("no time")
    return moment
