"""The settings of updates of the advisory database."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sidelight.fleet.settings.definition import Process, setting

READERS = (Process.ADVISORIES, Process.DISPATCHER)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateSettings:
    """How the advisory database is kept up to date (docs/advisories.md)."""

    hours: float = setting(
        "SIDELIGHT_ADVISORY_UPDATE_HOURS", 0.0, unit="hours", most=10_000,
        readers=(Process.DISPATCHER,),
        meaning="How often the dispatcher updates the advisory database; 0: never",
    )  # fmt: skip
    sources: str = setting(
        "SIDELIGHT_ADVISORY_SOURCES", "", unit="names", readers=READERS,
        meaning="The sources, separated by blanks; empty: the usual ones, and those that the"
        " database already has",
    )  # fmt: skip
    feeds: str = setting(
        "SIDELIGHT_ADVISORY_FEEDS", "", unit="directory", readers=READERS,
        meaning="The downloaded feeds; empty: `feeds` beside the database",
    )  # fmt: skip
    bundle: str = setting(
        "SIDELIGHT_ADVISORY_BUNDLE", "", unit="address", readers=READERS,
        meaning="A signed bundle to update from in place of publishers: `s3://BUCKET/KEY`,"
        " `https://…` or a file",
    )  # fmt: skip
    keys: str = setting(
        "SIDELIGHT_ADVISORY_KEYS", "", unit="paths", readers=READERS,
        meaning="Files of the public keys of which one has signed the bundle, separated by blanks",
    )  # fmt: skip

    @property
    def source_names(self) -> tuple[str, ...]:
        """Return the names of the sources; none for the usual ones."""
        return tuple(self.sources.split())

    @property
    def key_paths(self) -> tuple[Path, ...]:
        """Return the files of public keys."""
        return tuple(map(Path, self.keys.split()))

    def feeds_of(self, database: Path) -> Path:
        """Return the directory of the feeds of a database."""
        return Path(self.feeds) if self.feeds else database.with_name("feeds")
