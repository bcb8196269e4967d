"""Options of `sidelight advisories`.

What the commands do is imported when they run: their help and completion need not wait for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dispatcher.cli.fleet.options import format_option
from dispatcher.cli.setting_options import takes_settings

if TYPE_CHECKING:
    from sidelight.fleet.settings import Settings


@click.command("build")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...",
                type=click.Path(exists=True, path_type=Path))  # fmt: skip
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path),
              help="The database to write or replace.")  # fmt: skip
@click.option("--skip-unknown", is_flag=True,
              help="Report broken and unknown documents, and build from the rest.")  # fmt: skip
def build_database(sources: tuple[Path, ...], out: Path, *, skip_unknown: bool) -> None:
    """Build the advisory database from feeds.

    A SOURCE is a directory of feeds, or a .zip, .json, .jsonl or .jsonl.xz file.
    """
    from dispatcher.cli.advisories import database

    database.build_database(sources, out, skip_unknown=skip_unknown)


@click.command("fetch")
@click.argument("names", nargs=-1, metavar="[SOURCE...]")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory for the feeds. Existing files are updated.",
)
@click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    metavar="SOURCE=URL",
    envvar="SIDELIGHT_MIRRORS",
    help="Download from this URL instead of the source's own (or of all at ADDRESS=URL)."
    " Repeatable.  [SIDELIGHT_MIRRORS]",
)
@click.option("--list", "listed", is_flag=True, help="List the sources; download nothing.")
@format_option
def fetch_feeds(
    names: tuple[str, ...], into: Path | None, mirrors: tuple[str, ...], form: str, *, listed: bool
) -> None:
    """Download feeds: the usual sources, or those named.

    Only changed files are downloaded. Exit status: 3 where some sources failed (their older files
    are kept), 4 where all did.
    """
    from dispatcher.cli.advisories import database

    database.fetch_feeds(names, into, mirrors, form, listed=listed)


@click.command("info")
@takes_settings()
@click.argument("database", type=click.Path(path_type=Path), required=False)
@format_option
def info(settings: Settings, database: Path | None, form: str) -> None:
    """Show what an advisory database contains.

    Without DATABASE, the one that SIDELIGHT_ADVISORIES names.
    """
    from dispatcher.cli.advisories.database import info as show

    show(settings, database, form)


@click.command("changes")
@click.argument("older", type=click.Path(path_type=Path))
@click.argument("newer", type=click.Path(path_type=Path))
def changes(older: Path, newer: Path) -> None:
    """List the packages and vulnerabilities that a newer database changes."""
    from dispatcher.cli.advisories import database

    database.changes(older, newer)
