"""Options of `sidelight fleet findings|events|reevaluate|prune`.

What the commands do is imported when they run: their help and completion need not wait for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dispatcher.cli.finding_options import finding_options
from dispatcher.cli.fleet.options import format_option
from dispatcher.cli.setting_options import ADVISORIES, STORE, takes_settings

if TYPE_CHECKING:
    from sidelight.fleet.settings import Settings

STATUSES = ("ACTIVE", "SUPPRESSED", "CLOSED")  # as sidelight.store.FindingStatus
ORDERS = (
    "severity",
    "score",
    "vulnerability",
    "package",
    "instance",
)  # as fleet_findings
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("findings")
@takes_settings(STORE)
@format_option
@click.option("--instance", default="", metavar="ID|NAME", help="Only of this instance.")
@click.option("--account", default="", help="Only of this account.")
@click.option("--status", "wanted", default="ACTIVE", show_default=True,
              type=click.Choice([*STATUSES, "ALL"]),
              help="Only findings in this state.")  # fmt: skip
@finding_options
@click.option("--sort", "order", default="severity", show_default=True,
              type=click.Choice(ORDERS), help="Order; then by severity.")  # fmt: skip
@click.option(
    "--filter",
    "criteria",
    type=_FILE,
    help="Only findings that match Inspector's FilterCriteria (JSON).",
)
def findings(**given: Any) -> None:
    """List findings, most severe first."""
    from dispatcher.cli.fleet import findings as fleet_findings

    fleet_findings.findings(**given)


@click.command("events")
@takes_settings(STORE)
@format_option
@click.option(
    "--after",
    type=click.IntRange(0),
    help="Begin after this number: the last one that was processed.",
)
@click.option("--follow", is_flag=True, help="Wait for more events, until interrupted.")
@click.option("--publish", "target", metavar="TARGET",
              help="Send them to eventbridge:BUS, sns:ARN, file:PATH or stdout.")  # fmt: skip
def events(
    form: str, settings: Settings, after: int | None, target: str | None, *, follow: bool
) -> None:
    """Print the events of findings in order, one line each.

    Each event has a number. JSON has the shape of Inspector's EventBridge events. A reader that
    continues after the last number it processed gets each event at least once. With --publish the
    store keeps that number for each target: without --after, sending continues there. A new target
    gets the events from now on.
    """
    from dispatcher.cli.fleet import findings as fleet_findings

    fleet_findings.events(form, settings, after, follow=follow, target=target)


@click.command("reevaluate")
@takes_settings(STORE, ADVISORIES)
@format_option
@click.option(
    "--allow-older", is_flag=True, help="Allow re-evaluating with an older advisory database."
)
def reevaluate(form: str, settings: Settings, *, allow_older: bool) -> None:
    """Match stored inventories with a new advisory database.

    No snapshot is created. When interrupted, the next run continues; workers may share the work.
    A database that is older than the one findings are based on is refused, as workers do.
    """
    from dispatcher.cli.fleet import findings as fleet_findings

    fleet_findings.reevaluate(form, settings, allow_older=allow_older)


@click.command("prune")
@takes_settings(STORE)
@format_option
def prune(form: str, settings: Settings) -> None:
    """Delete expired scans, closed findings and old events."""
    from dispatcher.cli.fleet import findings as fleet_findings

    fleet_findings.prune(form, settings)
