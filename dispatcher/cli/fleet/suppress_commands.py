"""Options of `sidelight fleet suppress`.

What the commands do is imported when they run: their help and completion need not wait for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dispatcher.cli.fleet.options import format_option, store_option

_JSON = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("add")
@store_option
@click.argument("name")
@click.option(
    "--criteria", "file", type=_JSON, help="A file with Inspector's FilterCriteria (JSON)."
)
@click.option("--equals", multiple=True, metavar="FIELD=VALUE",
              help="The field equals the value. Repeatable.")  # fmt: skip
@click.option("--prefix", multiple=True, metavar="FIELD=VALUE",
              help="The field begins with the value. Repeatable.")  # fmt: skip
@click.option("--not-equals", multiple=True, metavar="FIELD=VALUE",
              help="The field differs from the value. Repeatable.")  # fmt: skip
@click.option("--tag", multiple=True, metavar="KEY[=VALUE]",
              help="The instance has this tag. Repeatable.")  # fmt: skip
@click.option("--description", default="", help="What the rule is for.")
def add(**given: Any) -> None:
    """Add or replace a suppression rule.

    It is applied to all findings at once. Criteria of one field are alternatives; of several
    fields, one of each must match. Fields have Inspector's names: vulnerabilityId, severity,
    resourceId, title and others (docs/cli.md).
    """
    from dispatcher.cli.fleet import suppression

    suppression.add(**given)


@click.command("list")
@store_option
@format_option
def show(form: str, store_url: str | None) -> None:
    """List the suppression rules."""
    from dispatcher.cli.fleet import suppression

    suppression.show(form, store_url)


@click.command("remove")
@store_option
@click.argument("names", nargs=-1, required=True)
def remove(names: tuple[str, ...], store_url: str | None) -> None:
    """Remove suppression rules.

    Findings that only these rules suppressed become active again.
    """
    from dispatcher.cli.fleet import suppression

    suppression.remove(names, store_url)
