"""Options of `sidelight fleet plan|recount`. What the commands do is imported when they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dispatcher.cli.finding_options import severities_of
from dispatcher.cli.fleet.options import format_option
from dispatcher.cli.setting_options import STORE, takes_settings

if TYPE_CHECKING:
    from sidelight.fleet.settings import Settings


@click.command("plan")
@takes_settings(STORE)
@format_option
@click.option(
    "--account", "accounts", multiple=True, metavar="ID", help="Only of this account. Repeatable."
)
@click.option("--severity", callback=severities_of, multiple=True, metavar="LEVEL",
              help="Count only findings of these severities. Repeatable, or separated by"
              " commas.")  # fmt: skip
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, metavar="N",
              help="Show at most N upgrades, the first in order.")  # fmt: skip
def plan(**options: Any) -> None:
    """List upgrades, those that close most first, with their commands.

    An upgrade is of one package on all machines of one system, to the version that fixes all its
    findings. The order weighs severities, known exploits, and machines that the internet reaches
    (docs/remediation.md). JSON lists the machines of each.
    """
    from dispatcher.cli.fleet import remediation

    remediation.upgrade_plan(**options)


@click.command("recount")
@takes_settings(STORE)
@click.option("--days", type=click.IntRange(1, 400), default=90, show_default=True,
              help="Days to count again.")  # fmt: skip
def recount(settings: Settings, days: int) -> None:
    """Count again what overviews show, from the stored findings.

    The dispatcher keeps these counts; this is for a store whose counts were lost, or which no
    dispatcher uses. Closed findings are kept for some weeks, so older days show less than they had.
    """
    from dispatcher.cli.fleet import remediation

    remediation.recount(settings, days)
