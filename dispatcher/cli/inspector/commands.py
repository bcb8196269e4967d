"""Options of `sidelight inspector compare`.

What the command does is imported when it runs: its help and completion need not wait for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dispatcher.cli.fleet.options import account_region_options
from dispatcher.cli.setting_options import STORE, takes_settings

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("compare")
@click.argument("files", nargs=-1, type=_FILE, metavar="[FILE]...")
@account_region_options
@takes_settings(STORE)
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table",
              show_default=True,
              help="table; json; csv: findings and coverage in one table.")  # fmt: skip
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path),
              help="Write to this file instead of standard output.")  # fmt: skip
@click.option("--administrator", is_flag=True,
              help="Read every account with the present credentials: those of Inspector's delegated"
              " administrator.")  # fmt: skip
@click.option("--instance", "instances", multiple=True, metavar="ID",
              help="Only of this instance. Repeatable.")  # fmt: skip
@click.option("--custom-path", "custom_paths", multiple=True, metavar="PATH",
              help="A custom path of Inspector's deep inspection. Repeatable.")  # fmt: skip
@click.option("--ssm-inventory", "ssm_files", multiple=True, type=_FILE, metavar="FILE",
              help="An instance's answer of `aws ssm list-inventory-entries` for AWS:Application:"
              " the packages that Inspector knows of. Repeatable.")  # fmt: skip
@click.option("--all", "show_all", is_flag=True,
              help="Also list what both report without a difference.")  # fmt: skip
@click.option("--limit", type=click.IntRange(1), metavar="N",
              help="Show at most N findings, unexplained ones first.")  # fmt: skip
def compare(**options: Any) -> None:
    """Compare Inspector's findings and coverage with Sidelight's.

    Reads each account and Region with ListFindings and ListCoverage, or FILEs: the JSON of `aws
    inspector2 list-findings` and `list-coverage`, one or more pages each. Each difference has its
    cause: docs/inspector.md lists them.

    Exit status: 0 whether they differ or not; 3 where an account, a Region or a part of the answers
    could not be read.
    """
    from dispatcher.cli.inspector import comparing

    comparing.compare(**options)
