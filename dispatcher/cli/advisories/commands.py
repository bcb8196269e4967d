"""Options of `sidelight advisories`.

What the commands do is imported when they run: their help and completion need not wait for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from dispatcher.cli.fleet.options import format_option
from dispatcher.cli.setting_options import ADVISORIES, joined, setting_option, takes_settings

if TYPE_CHECKING:
    from dispatcher.cli.option_values import UpdateValues
    from sidelight.fleet.settings import Settings


_mirror_option = click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    metavar="SOURCE=URL",
    envvar="SIDELIGHT_MIRRORS",
    help="Download a source from this URL. ADDRESS=URL: all sources at this address. Repeatable."
    "  [SIDELIGHT_MIRRORS]",
)


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
    help="Directory for the feeds; required but for --list. Existing files are updated.",
)
@_mirror_option
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


_FEEDS = setting_option(
    "--feeds", "SIDELIGHT_ADVISORY_FEEDS", metavar="DIRECTORY", type=click.Path(file_okay=False),
    text="Directory of the downloaded feeds; without it, `feeds` beside the database.",
)  # fmt: skip
_BUNDLE = setting_option(
    "--from", "SIDELIGHT_ADVISORY_BUNDLE", metavar="ADDRESS",
    text="Update from a signed bundle instead: a file, https://… or s3://BUCKET/KEY.",
)  # fmt: skip
_KEYS = setting_option(
    "--key", "SIDELIGHT_ADVISORY_KEYS", metavar="FILE", multiple=True,
    callback=joined(None, "blank"),
    text="The public key of the bundle's signer (PEM, Ed25519). Repeatable: one of them signed.",
)  # fmt: skip


@click.command("update")
@click.argument("names", nargs=-1, metavar="[SOURCE...]")
@takes_settings(ADVISORIES, _FEEDS, _BUNDLE, _KEYS)
@_mirror_option
@click.option("--accept-smaller", is_flag=True,
              help="Also build where a feed is lost, or has lost most of its records.")  # fmt: skip
@click.option("--allow-older", is_flag=True,
              help="Take a bundle that is older than the current database.")  # fmt: skip
@format_option
def update(settings: Settings, names: tuple[str, ...], **options: Unpack[UpdateValues]) -> None:
    """Download changed feeds, and build the advisory database where any changed.

    The database is --advisories, SIDELIGHT_ADVISORIES, or else advisories.db in
    ~/.local/share/sidelight, where every command looks for it. An interrupted update is continued
    by the next one. Feeds that fail keep their last good edition. Exit status: 3 where some failed,
    4 where all did.
    """
    from dispatcher.cli.advisories import updating

    updating.update_database(settings, names, options)


@click.command("bundle")
@takes_settings(ADVISORIES)
@click.option("--sign", "key", required=True, metavar="FILE",
              type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="The private key (PEM, Ed25519).")  # fmt: skip
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path),
              help="The bundle to write or replace.")  # fmt: skip
def bundle(settings: Settings, key: Path, out: Path) -> None:
    """Write the advisory database as a signed file, for `advisories update --from`."""
    from dispatcher.cli.advisories import updating

    updating.write_bundle(settings, key, out)


@click.command("info")
@takes_settings()
@click.argument("database", type=click.Path(path_type=Path), required=False)
@format_option
def info(settings: Settings, database: Path | None, form: str) -> None:
    """Show what an advisory database contains.

    Without DATABASE, the one that SIDELIGHT_ADVISORIES names, or else advisories.db in
    ~/.local/share/sidelight.
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
