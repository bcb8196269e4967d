"""`sidelight advisories`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sidelight.advisories import Database, build
from sidelight.download import SOURCES, Outcome, chosen, fetch
from sidelight.errors import UsageError
from sidelight.report.as_table import console_for, table


@click.group()
def advisories() -> None:
    """Download feeds, build the advisory database, look into it."""


@advisories.command("build")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...",
                type=click.Path(exists=True, path_type=Path))  # fmt: skip
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path),
              help="The database to write or replace.")  # fmt: skip
def build_database(sources: tuple[Path, ...], out: Path) -> None:
    """Build one database file from feeds: directories, .zip, .json, .jsonl, .jsonl.xz."""
    console = console_for(sys.stderr)
    with console.status("reading feeds") as status:

        def progress(what: str, records: int) -> None:
            status.update(f"{what}: {records} records")

        summary = build(sources, out, progress)
    click.echo(
        f"{out}: {summary.advisories} advisories on {summary.packages} packages, "
        f"{summary.size / 1e6:.1f} MB"
    )
    if summary.problem_count:
        click.echo(
            f"{summary.problem_count} records could not be used, the first of them:", err=True
        )
        for problem in summary.problems:
            click.echo(f"  {problem.where}: {problem.what}", err=True)


@advisories.command("fetch")
@click.argument("names", nargs=-1, metavar="[SOURCE...]")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    help="The directory to bring up to date; build from it.",
)
@click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    metavar="SOURCE=URL",
    envvar="SIDELIGHT_MIRRORS",
    help="An address to ask instead of a source's own (or of all at ADDRESS=URL).",
)
@click.option("--list", "listed", is_flag=True, help="Name the sources, and do nothing.")
def fetch_feeds(
    names: tuple[str, ...], into: Path | None, mirrors: tuple[str, ...], *, listed: bool
) -> None:
    """Download feeds: the usual sources, or those named. Only what has changed is sent.

    Exit status: 3 where some sources failed (what was there of them is kept), 4 where all did.
    """
    sources = chosen(names)
    if listed:
        rows = table("source", "format", "address", "checked by", "licence", "usual")
        for item in sources if names else SOURCES:
            address = f"{item.base}/{item.file}"
            usual = "yes" if item.usual else ""
            rows.add_row(
                item.name, item.format, address, item.checksum or "TLS", item.licence, usual
            )
        console_for(sys.stdout).print(rows)
        return
    if into is None:
        raise UsageError("--into DIR is needed")
    outcomes = fetch(sources, into, mirrors=dict(map(_mirror, mirrors)), progress=_tell)
    failed = sum(bool(outcome.error) for outcome in outcomes)
    if failed:
        sys.exit(4 if failed == len(outcomes) else 3)


def _mirror(text: str) -> tuple[str, str]:
    name, equals, url = text.rpartition("=")
    if not equals or not name:
        raise UsageError(f"a mirror is SOURCE=URL, not {text!r}")
    return name, url


def _tell(outcome: Outcome) -> None:
    for note in outcome.notes:
        click.echo(f"{outcome.source}: tried again: {note}", err=True)
    if outcome.error:
        click.echo(f"{outcome.source}: failed: {outcome.error}", err=True)
        return
    how = (
        f"{outcome.changed} changed, {outcome.received / 1e6:.1f} MB"
        if outcome.changed
        else ("as it was")
    )
    click.echo(f"{outcome.source}: {len(outcome.files)} files, {how}")


@advisories.command()
@click.argument("database", type=click.Path(path_type=Path), envvar="SIDELIGHT_ADVISORIES")
def info(database: Path) -> None:
    """Say what a database holds."""
    with Database.open(database) as opened:
        rows = table("", "")
        for name, value in vars_of(opened.info()):
            rows.add_row(name, value)
        console_for(sys.stdout).print(rows)


@advisories.command()
@click.argument("older", type=click.Path(path_type=Path))
@click.argument("newer", type=click.Path(path_type=Path))
def changes(older: Path, newer: Path) -> None:
    """Say which packages and vulnerabilities a newer database changes."""
    with Database.open(older) as one, Database.open(newer) as other:
        told = other.changed_since(one)
    for ecosystem, name in sorted(told.packages):
        click.echo(f"package {ecosystem} {name}")
    for name in sorted(told.vulnerabilities):
        click.echo(f"vulnerability {name}")
    for name in sorted(told.scores):
        click.echo(f"score {name}")
    for name in sorted(told.ecosystems):
        click.echo(f"ecosystem {name}")


def vars_of(value: object) -> list[tuple[str, str]]:
    """A dataclass's fields, for a table of two columns."""
    names = getattr(type(value), "__dataclass_fields__", {})
    return [(name.replace("_", " "), str(getattr(value, name))) for name in names]
