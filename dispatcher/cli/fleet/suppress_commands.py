"""Options of `sidelight fleet suppress`.

What the commands do is imported when they run: their help and completion need not wait for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dispatcher.cli.fleet.options import format_option
from dispatcher.cli.setting_options import STORE, takes_settings

if TYPE_CHECKING:
    from sidelight.fleet.settings import Settings

_JSON = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("add")
@takes_settings(STORE)
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
def add(**options: Any) -> None:
    """Add or replace a suppression rule.

    It is applied to all findings at once. Criteria of one field are alternatives; of several
    fields, one of each must match. Fields have Inspector's names: vulnerabilityId, severity,
    resourceId, title and others (docs/cli.md).
    """
    from dispatcher.cli.fleet import suppression

    suppression.add(**options)


@click.command("list")
@takes_settings(STORE)
@format_option
def show(form: str, settings: Settings) -> None:
    """List the suppression rules."""
    from dispatcher.cli.fleet import suppression

    suppression.show(form, settings)


@click.command("remove")
@takes_settings(STORE)
@click.argument("names", nargs=-1, required=True)
def remove(names: tuple[str, ...], settings: Settings) -> None:
    """Remove suppression rules.

    Findings that only these rules suppressed become active again.
    """
    from dispatcher.cli.fleet import suppression

    suppression.remove(names, settings)


@click.command("list-vex")
@takes_settings(STORE)
@format_option
def list_vex(form: str, settings: Settings) -> None:
    """List the VEX documents that suppress findings."""
    from dispatcher.cli.fleet import vex_suppression

    vex_suppression.show(form, settings)


@click.command("add-vex")
@takes_settings(STORE)
@click.argument("files", nargs=-1, required=True, type=_JSON)
@click.option("--dry-run", is_flag=True,
              help="List the findings whose state would change, and change nothing.")  # fmt: skip
@format_option
def add_vex(files: tuple[Path, ...], form: str, settings: Settings, *, dry_run: bool) -> None:
    """Suppress the findings that VEX documents state to be not affected or fixed.

    OpenVEX, CycloneDX and CSAF are read (docs/vex.md). They act on all findings at once, and on
    later ones. A document replaces the version of it that was added before; an older one is left
    out.
    """
    from dispatcher.cli.fleet import vex_suppression

    vex_suppression.add(files, form, settings, dry_run=dry_run)


@click.command("remove-vex")
@takes_settings(STORE)
@click.argument("names", nargs=-1, required=True)
def remove_vex(names: tuple[str, ...], settings: Settings) -> None:
    """Remove VEX documents, each by its id or the name of its file.

    Findings that only their statements suppressed become active again.
    """
    from dispatcher.cli.fleet import vex_suppression

    vex_suppression.remove(names, settings)
