"""Options of `sidelight fleet scan|status|coverage|costs|sweep`.

What the commands do is imported when they run: their help and completion need not wait for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dispatcher.cli.fleet.options import (
    EXCLUSION_TAG,
    account_region_options,
    eligibility_options,
    format_option,
)
from dispatcher.cli.setting_options import BROKER, EXISTING, STORE, setting_option, takes_settings

if TYPE_CHECKING:
    from sidelight.fleet.settings import Settings

COVERAGE_ORDERS = ("name", "findings", "coverage")  # as dispatcher.cli.fleet.report
EMBEDDED_ADVISORIES = setting_option(
    "--advisories", "SIDELIGHT_ADVISORIES", metavar="FILE", type=click.Path(),
    text="The advisory database, for --embedded.",
)  # fmt: skip
EMBEDDED_CONTAINERS = setting_option(
    "--containers/--no-containers", "SIDELIGHT_CONTAINERS",
    text="Also read container runtimes' storage, with --embedded.",
)  # fmt: skip
BY = ("day", "account", "region", "instance")  # as sidelight.store.COST_KEYS


@click.command("scan")
@account_region_options
@takes_settings(STORE, BROKER, EMBEDDED_ADVISORIES, EMBEDDED_CONTAINERS, EXISTING)
@format_option
@eligibility_options
@click.option("--instance", "instances", multiple=True, metavar="ID",
              help="Scan only this instance. Repeatable.")  # fmt: skip
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE",
              help="Scan only instances with this tag. Repeatable: of one key any value"
              " is enough, and each key must match.")  # fmt: skip
@click.option("--vpc", "vpcs", multiple=True, metavar="ID",
              help="Scan only instances in this VPC. Repeatable.")  # fmt: skip
@click.option("--due", is_flag=True, help="Scan only instances not scanned for 24 hours.")
@click.option("--embedded", is_flag=True,
              help="Start a broker and workers for this scan; stop them at its end.")  # fmt: skip
@click.option("--concurrency", type=click.IntRange(1, 256), default=2, show_default=True,
              help="Instances read at once, with --embedded.")  # fmt: skip
@click.option("--logs", type=click.Path(file_okay=False, path_type=Path),
              help="Directory for the logs of --embedded.  [default: a temporary one]")  # fmt: skip
@click.option("--dry-run", is_flag=True,
              help="List what would be scanned and what it may cost; create nothing.")  # fmt: skip
@click.option("--yes", is_flag=True,
              help="Do not ask before the first snapshots; without a terminal nothing is asked.",
              )  # fmt: skip
@click.option("--wait/--no-wait", default=True, show_default=True,
              help="Wait until all scans have ended.")  # fmt: skip
def scan_fleet(**options: Any) -> None:
    """Discover instances, scan the eligible ones, and wait for the results.

    Exit status: 3 where a scan failed, a machine was read in part, or an account or region could
    not be reached; 4 where all scans failed.
    """
    from dispatcher.cli.fleet import scan

    scan.scan_fleet(**options)


@click.command("status")
@takes_settings(STORE)
@format_option
@click.option("--all", "everything", is_flag=True, help="List ended scans too.")
@click.option("--watch", is_flag=True,
              help="Show live scans until interrupted: a screen on a terminal, a line for each"
              " change in a pipe.")  # fmt: skip
def status(form: str, settings: Settings, *, everything: bool, watch: bool) -> None:
    """List scans: state, calls, blocks, seconds and dollars."""
    from dispatcher.cli.fleet import scan

    scan.status(form, settings, everything=everything, watches=watch)


@click.command("coverage")
@takes_settings(STORE)
@format_option
@click.option("--instance", "instances", multiple=True, metavar="ID|NAME",
              help="Only this instance. Repeatable.")  # fmt: skip
@click.option(
    "--sort",
    "order",
    type=click.Choice(COVERAGE_ORDERS),
    default="name",
    show_default=True,
    help="By account, region and name; by number of findings; or by coverage.",
)
@click.option("--history", is_flag=True,
              help="List the changes of the last 90 days, oldest first.")  # fmt: skip
@click.option("--scan-type", default="PACKAGE", show_default=True,
              type=click.Choice(["PACKAGE", "NETWORK", "ALL"]),
              help="Coverage of packages, of networks, or both.")  # fmt: skip
def coverage(  # noqa: PLR0913 - click passes each option
    form: str,
    settings: Settings,
    instances: tuple[str, ...],
    order: str,
    *,
    history: bool,
    scan_type: str,
) -> None:
    """List instances: whether and how each is scanned, and why not."""
    from dispatcher.cli.fleet import scan

    scan.coverage(form, settings, instances, order, history=history, scan_type=scan_type)


@click.command("costs")
@takes_settings(STORE)
@format_option
@click.option("--by", "by", multiple=True, type=click.Choice(BY), default=["account"],
              show_default=True, help="Sum by this. Repeatable.")  # fmt: skip
@click.option("--since", metavar="DATE", help="Only scans created since, as 2026-01-31 (UTC).")
def fleet_costs(form: str, settings: Settings, by: tuple[str, ...], since: str | None) -> None:
    """Sum what scanning cost: calls, bytes, seconds and dollars.

    Dollars are those of the EBS direct APIs' calls.
    """
    from dispatcher.cli.fleet import scan

    scan.fleet_costs(form, settings, by, since)


@click.command("network")
@account_region_options
@takes_settings(STORE)
@format_option
@click.option("--exclusion-tag", default=EXCLUSION_TAG, show_default=True, metavar="KEY",
              help="Do not evaluate instances with this tag.")  # fmt: skip
def fleet_network(**options: Any) -> None:
    """Evaluate the fleet's networks now, and store what can be reached.

    Findings are opened, kept, closed and reopened as those of packages. The dispatcher does the
    same every SIDELIGHT_NETWORK_HOURS; an evaluation that a worker is doing is left to it. What
    could not be read closes nothing. Exit status 3 where a network was evaluated in part.
    """
    from dispatcher.cli.fleet import networks

    networks.evaluate_fleet(**options)


@click.command("sweep")
@account_region_options
@takes_settings(STORE)
@format_option
@click.option("--dry-run", is_flag=True, help="List what would be deleted; delete nothing.")
@click.option(
    "--adopt",
    is_flag=True,
    help="After a store was lost: list what its scans left, and delete it when confirmed.",
)
@click.option(
    "--snapshot",
    "snapshots",
    multiple=True,
    metavar="ID",
    help="With --adopt: only this snapshot. Repeatable.",
)
@click.option("--yes", is_flag=True, help="With --adopt and --snapshot: do not ask.")
def sweep_fleet(**options: Any) -> None:
    """Delete Sidelight's snapshots that no live scan needs.

    No other snapshot is touched: it is Sidelight's if its tags, description and owner agree with a
    scan of the store. What only carries the tags is listed as foreign. Exit status 4 where a
    snapshot could not be deleted, or an account or region could not be reached.
    """
    from dispatcher.cli.fleet import scan

    scan.sweep_fleet(**options)
