"""`sidelight advisories`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sidelight.advisories import Database, build
from sidelight.report.as_table import console_for, table


@click.group()
def advisories() -> None:
    """Build and look into the advisory database."""


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


@advisories.command()
@click.argument("database", type=click.Path(path_type=Path), envvar="SIDELIGHT_ADVISORIES")
def info(database: Path) -> None:
    """Say what a database holds."""
    with Database.open(database) as opened:
        rows = table("", "")
        for name, value in vars_of(opened.info()):
            rows.add_row(name, value)
        console_for(sys.stdout).print(rows)


def vars_of(value: object) -> list[tuple[str, str]]:
    """A dataclass's fields, for a table of two columns."""
    names = getattr(type(value), "__dataclass_fields__", {})
    return [(name.replace("_", " "), str(getattr(value, name))) for name in names]
