"""`sidelight fleet`: scan a fleet over the queue, and look at what came of it."""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from dispatcher import fleet_report as report
from dispatcher.commands.fleet_findings import events, findings, reevaluate, tidy
from dispatcher.commands.fleet_options import format_option, opened_store, store_option
from dispatcher.commands.serving import run, worker
from dispatcher.commands.suppress import suppress
from dispatcher.control import Control
from dispatcher.cost_report import costs_document, costs_table, moment
from dispatcher.eligibility import Configuration
from dispatcher.embedded import Embedded
from dispatcher.places import Wanted
from sidelight.report.as_json import dumps
from sidelight.report.as_table import console_for
from sidelight.store import TERMINAL, State, Store
from sidelight.store.costs import BY
from workers.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dispatcher.control import Started
    from dispatcher.places import Unreachable
    from sidelight.store import Scan

PARTIAL, FAILED = 3, 4


@click.group()
def fleet() -> None:
    """Scan a fleet over the queue: settings come from SIDELIGHT_… in the environment."""


fleet.add_command(run)
fleet.add_command(worker)
fleet.add_command(findings)
fleet.add_command(events)
fleet.add_command(reevaluate)
fleet.add_command(tidy)
fleet.add_command(suppress)


def place_options(command: Callable[..., None]) -> Callable[..., None]:
    """Where."""
    for option in (
        click.option("--all-regions", is_flag=True, help="All that an account has enabled."),
        click.option("--ou", "units", multiple=True, metavar="OU",
                     help="All accounts in and below an organizational unit."),
        click.option("--organization", is_flag=True, help="All active accounts of ours."),
        click.option("--region", "regions", multiple=True, help="Default: the environment's."),
        click.option("--account", "accounts", multiple=True, help="Default: the credentials'."),
    ):  # fmt: skip
        command = option(command)
    return command


@fleet.command("scan")
@place_options
@store_option
@format_option
@click.option("--instance", "instances", multiple=True, help="Only these instances.")
@click.option("--due", is_flag=True, help="Only what was not scanned for 24 hours.")
@click.option("--advisories", metavar="FILE", help="The advisory database (for --embedded).")
@click.option("--broker", "broker_url", metavar="URL", help="[SIDELIGHT_BROKER_URL]")
@click.option("--embedded", is_flag=True, help="With a broker and workers of its own.")
@click.option("--concurrency", type=click.IntRange(1, 256), default=2, show_default=True,
              help="Machines read at once, with --embedded.")  # fmt: skip
@click.option("--logs", type=click.Path(file_okay=False, path_type=Path),
              help="Keep the embedded workers' logs there.")  # fmt: skip
@click.option("--exclusion-tag", default=Configuration().exclusion_tag, show_default=True)
@click.option("--max-volumes", type=click.IntRange(0), default=0, help="0 is without limit.")
@click.option("--max-gib", type=click.IntRange(0), default=0, help="0 is without limit.")
@click.option("--running-only", is_flag=True, help="Leave stopped instances out.")
@click.option("--wait/--no-wait", default=True, help="Until all scans have ended.")
def scan_fleet(embedded: bool, concurrency: int, logs: Path | None, **given: Any) -> None:
    """Discover instances, scan those that can be, and wait for the end.

    Exit status 3 where a scan failed or a place could not be looked at, 4 where all did.
    """
    settings = _settings(given)
    configuration = Configuration(
        exclusion_tag=given["exclusion_tag"],
        most_volumes=given["max_volumes"],
        most_gib=given["max_gib"],
    )
    if given["running_only"]:
        configuration = replace(configuration, states=frozenset({"running"}))
    if embedded:
        # At once, not when the first machine has been read.
        _check_database(settings)
    with ExitStack() as stack:
        # Made first: its tables are there before a worker looks.
        Control(settings).close()
        own: Embedded | None = None
        if embedded:
            own = stack.enter_context(
                Embedded(
                    settings, concurrency=concurrency, regions=given["regions"], directory=logs
                )
            )
            settings = own.settings
        control = Control(settings)
        stack.callback(control.close)
        if own is not None:
            control.store.publications.expedite()
        _scan(control, configuration, own, given)


def _scan(
    control: Control, configuration: Configuration, own: Embedded | None, given: dict[str, Any]
) -> None:
    started = control.start_everywhere(
        control.look_up(_wanted(given)),
        configuration,
        on_demand=not given["due"],
        only=given["instances"],
    )
    _tell(started)
    ids = [scan.id for scan in started.scans]
    if not given["wait"] and own is None:
        click.echo(report.progress_line(started.scans), err=True)
        return
    _follow(control, ids, own)
    swept, unswept = control.sweep_everywhere(started.reached)
    scans = control.store.scans.select(ids)
    costs = control.store.costs.of(ids)
    if given["form"] == "json":
        document = {
            "coverage": report.coverage_document(control.store),
            "scans": report.status_document(scans, costs),
            "sweep": report.swept_document(swept),
        }
        click.echo(dumps(document), nl=False)
    else:
        console = console_for(sys.stdout)
        console.print(report.coverage_table(control.store))
        console.print(report.cost_table(scans, costs, _names(control.store)))
        for line in report.swept_lines(swept):
            console.print(line)
    _tell_unswept(unswept)
    _exit(scans, [*started.unreachable, *unswept])


def _follow(control: Control, ids: Sequence[str], own: Embedded | None) -> None:
    """Wait, with a bar on a terminal and a line for each change elsewhere."""
    with _progress(len(ids)) as show:
        for scans in control.wait(ids):
            show(scans)
            if own is not None:
                own.revive()


@contextmanager
def _progress(total: int) -> Iterator[Callable[[Sequence[Scan]], None]]:
    if not sys.stderr.isatty():
        last = [""]

        def say(scans: Sequence[Scan]) -> None:
            line = report.progress_line(scans)
            if line != last[0]:
                click.echo(line, err=True)
            last[0] = line

        yield say
        return
    with Progress(
        BarColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task("", total=total)

        def draw(scans: Sequence[Scan]) -> None:
            ended = sum(scan.state in TERMINAL for scan in scans)
            bar.update(task, completed=ended, description=report.progress_line(scans))

        yield draw


@fleet.command("status")
@store_option
@format_option
@click.option("--all", "everything", is_flag=True, help="Ended scans too.")
def status(form: str, store_url: str | None, everything: bool) -> None:
    """Scans: where they are, and what they cost."""
    with opened_store(store_url) as store:
        scans = store.scans.select(live=not everything)
        costs = store.costs.of([scan.id for scan in scans])
        for line in report.unattended_lines(store.unattended()):
            click.echo(line, err=True)
        if form == "json":
            click.echo(dumps(report.status_document(scans, costs)), nl=False)
            return
        console_for(sys.stdout).print(report.cost_table(scans, costs, _names(store)))
        click.echo(report.progress_line(scans))


@fleet.command("coverage")
@store_option
@format_option
def coverage(form: str, store_url: str | None) -> None:
    """Every instance: is it scanned, and if not, why."""
    with opened_store(store_url) as store:
        if form == "json":
            click.echo(dumps(report.coverage_document(store)), nl=False)
        else:
            console_for(sys.stdout).print(report.coverage_table(store))


@fleet.command("costs")
@store_option
@format_option
@click.option("--by", "by", multiple=True, type=click.Choice(BY), default=["account"],
              show_default=True, help="Repeat to sum by several.")  # fmt: skip
@click.option("--since", metavar="DATE", help="Of scans made since, as 2026-01-31 (UTC).")
def fleet_costs(form: str, store_url: str | None, by: tuple[str, ...], since: str | None) -> None:
    """What scanning cost: calls, bytes, seconds, dollars of the EBS direct APIs."""
    with opened_store(store_url) as store:
        sums = store.costs.sums(by, moment(since) if since else None)
    if form == "json":
        click.echo(dumps(costs_document(sums, by)), nl=False)
    else:
        console_for(sys.stdout).print(costs_table(sums, by))


@fleet.command("sweep")
@place_options
@store_option
@format_option
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
def sweep_fleet(form: str, dry_run: bool, **given: Any) -> None:
    """Delete our snapshots that no running scan has; others' are never touched.

    Exit status 4 where one could not be deleted, or a place could not be looked at.
    """
    control = Control(_settings(given))
    try:
        swept, closed = control.sweep_everywhere(control.look_up(_wanted(given)), dry_run=dry_run)
    finally:
        control.close()
    if form == "json":
        click.echo(dumps(report.swept_document(swept)), nl=False)
    else:
        for line in report.swept_lines(swept):
            click.echo(line)
    _tell_unswept(closed)
    if closed or any(one.failed for _, one in swept):
        sys.exit(FAILED)


def _settings(given: dict[str, Any]) -> Settings:
    settings = Settings.from_environment()
    named = {name: given[name] for name in ("store_url", "broker_url", "advisories")
             if given.get(name)}  # fmt: skip
    return replace(settings, **named)


def _check_database(settings: Settings) -> None:
    from sidelight.advisories import Database

    Database.open(settings.advisories_path).close()


def _names(store: Store) -> dict[str, str]:
    return {row.instance: row.name for row in store.fleet.coverage()}


def _wanted(given: dict[str, Any]) -> Wanted:
    return Wanted(
        accounts=given["accounts"],
        regions=given["regions"],
        organization=given["organization"],
        units=given["units"],
        all_regions=given["all_regions"],
    )


def _tell(started: Started) -> None:
    """Of what could not be looked at; with nothing reached, that is the end."""
    if started.unreachable and not started.reached:
        raise started.unreachable[0].error
    for one in started.unreachable:
        click.echo(f"sidelight: not looked at: {one}", err=True)


def _tell_unswept(closed: Sequence[Unreachable]) -> None:
    for one in closed:
        click.echo(f"sidelight: not swept: {one}", err=True)


def _exit(scans: Sequence[Scan], unreachable: Sequence[Unreachable]) -> None:
    bad = [scan for scan in scans if scan.state is State.FAILED]
    if bad or unreachable:
        sys.exit(FAILED if bad and len(bad) == len(scans) else PARTIAL)
