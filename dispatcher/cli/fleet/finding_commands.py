"""Options of `sidelight fleet findings|sbom|events|reevaluate|prune`.

What the commands do is imported when they run: their help and completion need not wait for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dispatcher.cli.finding_options import finding_options, template_option
from dispatcher.cli.fleet.options import format_option
from dispatcher.cli.setting_options import ADVISORIES, EVENT_TYPES, STORE, takes_settings
from sidelight.report.formats.format_names import ASFF, CSV, FINDING_FORMATS, TEMPLATE
from sidelight.report.sbom.format_names import CYCLONEDX_JSON, SBOM_FORMATS

if TYPE_CHECKING:
    from sidelight.fleet.settings import Settings

STATUSES = ("ACTIVE", "SUPPRESSED", "CLOSED")  # as sidelight.store.FindingStatus
TYPES = ("PACKAGE_VULNERABILITY", "NETWORK_REACHABILITY")  # as sidelight.model.FindingType
ORDERS = (
    "severity",
    "score",
    "vulnerability",
    "package",
    "instance",
)  # as sidelight.store.LISTING_ORDERS
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("findings")
@takes_settings(STORE)
@click.option("--format", "form", default="table", show_default=True, metavar="FORMAT",
              type=click.Choice(["table", "json", CSV, ASFF, *FINDING_FORMATS, TEMPLATE]),
              help="table; json; csv, in the columns of Inspector's reports; asff: a line for each"
              " call of Security Hub; a report of all instances: sarif (2.1.0), junit, gitlab, ocsf"
              " (1.5), html; VEX: openvex, cyclonedx-vex, csaf (2.0);"
              " template.")  # fmt: skip
@template_option
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path),
              help="Write to this file instead of standard output.")  # fmt: skip
@click.option("--instance", default="", metavar="ID|NAME", help="Only of this instance.")
@click.option("--account", default="", metavar="ID", help="Only of this account.")
@click.option("--status", "wanted", type=click.Choice([*STATUSES, "ALL"]),
              help="Only findings in this state.  [default: ACTIVE; for VEX also"
              " SUPPRESSED]")  # fmt: skip
@click.option("--type", "kind", default="ALL", show_default=True,
              type=click.Choice([*TYPES, "ALL"]),
              help="Only findings of this type.")  # fmt: skip
@finding_options
@click.option("--sort", "order", default="severity", show_default=True,
              type=click.Choice(ORDERS),
              help="Order of the list; equal ones by severity.")  # fmt: skip
@click.option(
    "--filter",
    "criteria",
    type=_FILE,
    help="Only findings that match Inspector's FilterCriteria (JSON).",
)
def findings(**options: Any) -> None:
    """List findings, most severe first."""
    from dispatcher.cli.fleet import finding_list

    finding_list.findings(**options)


@click.command("sbom")
@takes_settings(STORE)
@click.option("--format", "form", type=click.Choice(SBOM_FORMATS), default=CYCLONEDX_JSON,
              show_default=True, metavar="FORMAT",
              help="cyclonedx-json, cyclonedx-xml (1.6; @1.5, @1.4: of this version) or spdx-json"
              " (2.3).")  # fmt: skip
@click.option("--into", required=True, type=click.Path(file_okay=False, path_type=Path),
              help="Directory for ACCOUNT/INSTANCE files.")  # fmt: skip
@click.option("--account", "accounts", multiple=True, metavar="ID",
              help="Only of this account. Repeatable.")  # fmt: skip
@click.option("--instance", "instances", multiple=True, metavar="ID",
              help="Only of this instance. Repeatable.")  # fmt: skip
def sbom(
    form: str,
    settings: Settings,
    into: Path,
    accounts: tuple[str, ...],
    instances: tuple[str, ...],
) -> None:
    """Write a bill of materials of each scanned instance.

    Each has the newest inventory and the active findings of packages. Exit status 3 where an
    instance has no inventory.
    """
    from dispatcher.cli.fleet import sbom as fleet_sbom

    fleet_sbom.write_fleet(form, settings, into, accounts, instances)


@click.command("attack-paths")
@takes_settings(STORE)
@format_option
@click.option("--instance", default="", metavar="ID", help="Only of this instance.")
@click.option("--account", default="", metavar="ID", help="Only of this account.")
@finding_options
def attack_paths(**options: Any) -> None:
    """List ways from an edge to a vulnerable package.

    Each joins an open port (a network finding), a service that is configured to listen there, and a
    vulnerable package of that service. That a service is configured does not say that it runs.
    """
    from dispatcher.cli.fleet import attack_paths as fleet_attack_paths

    fleet_attack_paths.attack_paths(**options)


@click.command("events")
@takes_settings(STORE, EVENT_TYPES)
@format_option
@click.option(
    "--after",
    type=click.IntRange(0),
    help="Begin after this number: the last one that was processed.",
)
@click.option("--follow", is_flag=True, help="Wait for more events, until interrupted.")
@click.option("--publish", "target", metavar="TARGET",
              help="Send them to eventbridge:BUS, sns:ARN, securityhub, webhook:URL, slack:URL,"
              " jira:URL, file:PATH or stdout.")  # fmt: skip
def events(
    form: str, settings: Settings, after: int | None, target: str | None, *, follow: bool
) -> None:
    """Print the events of findings, coverage and first scans.

    Each event is a line with a number, in the order of the numbers. JSON has the shape of
    Inspector's EventBridge events. A reader that continues after the last number it processed gets
    each event at least once. With --publish the store keeps that number for each target: without
    --after, sending continues there. A new target gets the events from now on.
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
    """Delete expired scans, closed findings and old events.

    Ended scans, closed findings, events and the inventories of instances that are gone are kept for
    30 days, changes of coverage for 90, the audit log for 400. The dispatcher does the same.
    """
    from dispatcher.cli.fleet import findings as fleet_findings

    fleet_findings.prune(form, settings)
