"""`sidelight fleet`: scan a fleet through the queue, and show the results."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Unpack

from dispatcher.cli.advisory_age import warn_of_age
from dispatcher.cli.exit_status import FAILED, PARTIAL
from dispatcher.cli.fleet import documents, report, watching
from dispatcher.cli.fleet.costs import costs_table
from dispatcher.cli.fleet.options import (
    configuration_of,
    opened_store,
    report_no_instance,
    selection_of,
    wanted_of,
)
from dispatcher.cli.groups import fleet
from dispatcher.fleet_counter import FleetCounter
from sidelight.completeness import PARTIAL_SCAN
from sidelight.errors import UsageError
from sidelight.model import TERMINAL, ScanType, State
from sidelight.report.as_json import dumps
from sidelight.report.costs import costs_document, moment
from sidelight.report.output import complain, note, write_json
from sidelight.report.progress import live
from sidelight.report.tables import Report

__all__ = ["coverage", "fleet", "fleet_costs", "scan_fleet", "status", "sweep_fleet"]

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dispatcher.cli.local_stack.embedded_stack import Embedded
    from dispatcher.cli.option_values import FleetValues
    from dispatcher.discovery.accounts import AccountRegion, UnreachableTarget
    from dispatcher.planning.eligibility import Configuration
    from dispatcher.scan_starter import Started
    from dispatcher.services.fleet_service import FleetService
    from sidelight.documents.fleet import FleetScanDocument
    from sidelight.fleet.settings import Settings
    from sidelight.model import Cost, Coverage, Scan
    from sidelight.store import Store


def scan_fleet(
    settings: Settings,
    embedded: bool,
    concurrency: int,
    logs: Path | None,
    *,
    dry_run: bool,
    **options: Unpack[FleetValues],
) -> None:
    """`sidelight fleet scan`: its options are in dispatcher.cli.fleet.commands."""
    from sidelight.fleet.settings.validation import validate_sources

    validate_sources(settings)
    configuration = configuration_of(options)
    selection_of(options)  # refused before anything is called
    if dry_run:
        from dispatcher.cli.fleet.plan import show_plan

        planned = show_plan(settings, options)
        _report_scans(planned)
        _exit((), planned.unreachable, partial=False)
        return
    from dispatcher.cli.fleet.plan import confirm
    from dispatcher.services.fleet_service import FleetService

    if embedded:
        from dispatcher.cli.local_stack.valkey import program

        # Check now, not after the first instance was read or a store was created.
        _check_database(settings)
        program()
    else:
        from workers.broker import wait_for_broker

        wait_for_broker(settings)
    if not options["yes"] and sys.stdin.isatty() and sys.stderr.isatty():
        confirm(settings, options)
    with ExitStack() as stack:
        # First: the tables have to exist before a worker starts.
        FleetService(settings).close()
        own: Embedded | None = None
        if embedded:
            from dispatcher.cli.local_stack.embedded_stack import Embedded

            own = stack.enter_context(
                Embedded(
                    settings, concurrency=concurrency, regions=options["regions"], directory=logs
                )
            )
            settings = own.settings
        control = FleetService(settings)
        stack.callback(control.close)
        if own is not None:
            control.store.due_messages.expedite()
        try:
            _scan(control, configuration, own, options)
        except KeyboardInterrupt:
            _report_remaining(control, own)
            raise


def _scan(
    control: FleetService, configuration: Configuration, own: Embedded | None, options: FleetValues
) -> None:
    selected = selection_of(options)
    started = control.scans.start_everywhere(
        control.look_up(wanted_of(options)),
        configuration,
        on_demand=not options["due"],
        only=selected,
    )
    _report_scans(started)
    # The workers evaluate the networks meanwhile.
    control.networks.keep(started.reached)
    if not options["due"] and not selected:
        control.networks.request(started.reached)
    control.networks.tick()
    ids = [scan.id for scan in started.scans]
    if not (started.reached or started.unreachable):
        complain("sidelight: nothing to scan: these accounts are disabled (fleet accounts list)")
    elif not ids and not control.store.instances.known():
        places = ", ".join(f"{account_region}" for account_region in started.reached)
        complain(f"sidelight: no instances in {places}")
    elif not ids and selected:
        complain("sidelight: no instance that can be scanned has the tag, VPC or id")
    if not options["wait"] and own is None:
        note(report.progress_line(started.scans))
        return
    _follow(control, ids, own)
    if own is not None:
        _follow_networks(control, started.reached, own)
    swept, unswept = control.sweeper.sweep_everywhere(started.reached)
    if own is not None:  # no dispatcher counts what overviews show
        FleetCounter(control.store).run()
    scans = control.store.scans.select(ids)
    costs = control.store.costs.of(ids)
    sources = control.store.scan_sources.of(ids)
    if options["form"] == "json":
        document: FleetScanDocument = {
            "coverage": documents.coverage_document(control.store),
            "scans": documents.status_document(scans, costs, sources),
            "sweep": documents.sweep_document(swept),
        }
        write_json(dumps(document))
    else:
        _print_outcome(control.store, scans, costs, report.swept_lines(swept))
    _report_unswept(unswept)
    _exit(scans, [*started.unreachable, *unswept], partial=_partial(control.store, scans))


def _print_outcome(
    store: Store, scans: Sequence[Scan], costs: dict[str, Cost], swept: Sequence[str]
) -> None:
    """Print coverage, costs and the sweep's lines."""
    shown = Report(sys.stdout)
    covered = report.coverage_rows(store)
    shown.line("Coverage", style="bold")
    shown.table(report.coverage_table(store, covered))
    shown.line(report.coverage_line(covered))
    shown.line("")
    shown.line("Scans", style="bold")
    sources = store.scan_sources.of([scan.id for scan in scans])
    shown.table(report.cost_table(scans, costs, report.scan_names(store, scans), sources))
    shown.line(report.progress_line(scans))
    shown.line("")
    for line in swept:
        shown.line(line)


def _follow(control: FleetService, ids: Sequence[str], own: Embedded | None) -> None:
    """Wait until all scans have ended; show one live line on a terminal, else a line per change."""
    with live("waiting for scans") as line:
        reported = ""
        for scans in control.wait(ids):
            stages = report.progress_line(scans)
            ended = sum(scan.state in TERMINAL for scan in scans)
            line.text = f"{ended} of {stages}"
            if stages != reported and not line.is_shown:
                note(stages)
            reported = stages
            if own is not None:
                own.revive()
        line.done(f"{reported}, in {line.seconds:.0f} s")


def _follow_networks(
    control: FleetService, account_regions: Sequence[AccountRegion], own: Embedded
) -> None:
    """Wait until the networks are evaluated: the workers end with this command."""
    with live("evaluating networks"):
        for _pending in control.networks.wait(account_regions):
            own.revive()


def status(form: str, settings: Settings, *, everything: bool, watches: bool) -> None:
    """`sidelight fleet status`: its options are in dispatcher.cli.fleet.commands."""
    if watches and (form == "json" or everything):
        raise UsageError("shows live scans, without --format json and --all", where="--watch")
    with opened_store(settings) as store:
        if watches:
            watching.watch(store)
        scans = store.scans.select(live=not everything)
        ids = [scan.id for scan in scans]
        costs, sources = store.costs.of(ids), store.scan_sources.of(ids)
        for line in report.unattended_lines(store.unclaimed_scans()):
            complain(line)
        if form == "json":
            write_json(dumps(documents.status_document(scans, costs, sources)))
            return
        shown = Report(sys.stdout)
        shown.table(report.cost_table(scans, costs, report.scan_names(store, scans), sources))
        shown.line(report.progress_line(scans), style="bold")
    warn_of_age(settings)


def coverage(  # noqa: PLR0913 - the command's options
    form: str,
    settings: Settings,
    instances: tuple[str, ...],
    order: str,
    *,
    history: bool,
    scan_type: str,
) -> None:
    """`sidelight fleet coverage`: its options are in dispatcher.cli.fleet.commands."""
    wanted = None if scan_type == "ALL" else ScanType(scan_type)
    with opened_store(settings) as store:
        report_no_instance(store)
        rows = report.coverage_rows(store, instances, order, wanted)
        if history:
            _print_history(store, rows, form)
            return
        if form == "json":
            write_json(dumps(documents.coverage_document(store, rows)))
            return
        shown = Report(sys.stdout)
        shown.table(report.coverage_table(store, rows))
        for line in report.remedy_lines(rows):
            shown.line(line)
        shown.line(report.coverage_line(rows), style="bold")
    warn_of_age(settings)


def _print_history(store: Store, rows: Sequence[Coverage], form: str) -> None:
    changes = store.coverage_history.of([(row.account, row.instance) for row in rows])
    if form == "json":
        write_json(dumps(documents.history_document(changes)))
    else:
        Report(sys.stdout).table(report.history_table(changes))


def fleet_costs(form: str, settings: Settings, by: tuple[str, ...], since: str | None) -> None:
    """`sidelight fleet costs`: its options are in dispatcher.cli.fleet.commands."""
    with opened_store(settings) as store:
        sums = store.costs.sums(by, moment(since) if since else None)
    if form == "json":
        write_json(dumps(costs_document(sums, by)))
    else:
        Report(sys.stdout).table(costs_table(sums, by))


def sweep_fleet(
    settings: Settings, dry_run: bool, adopt: bool, **options: Unpack[FleetValues]
) -> None:
    """`sidelight fleet sweep`: its options are in dispatcher.cli.fleet.commands."""
    from dispatcher.cli.fleet.sweep import run_adoption, run_sweep
    from dispatcher.services.fleet_service import FleetService

    if (options["snapshots"] or options["yes"]) and not adopt:
        raise UsageError("--snapshot and --yes go with --adopt")
    if not adopt:
        # A store that does not exist has no scans to compare with.
        hint = "; if the store is lost, --adopt lists what its scans left"
        with opened_store(settings, hint=hint):
            pass
    control = FleetService(settings)
    try:
        places = control.look_up(wanted_of(options))
        if adopt:
            run_adoption(control, places, options, dry_run=dry_run)
        else:
            run_sweep(control, places, options["form"], dry_run=dry_run)
    finally:
        control.close()


def _check_database(settings: Settings) -> None:
    from sidelight.advisories import AdvisoryDatabase

    AdvisoryDatabase.open(settings.findings.advisories_path).close()
    warn_of_age(settings)


def _report_scans(started: Started) -> None:
    """Report unreachable targets; raise the first error if none was reached."""
    if started.unreachable and not started.reached:
        raise started.unreachable[0].error
    for target in started.unreachable:
        complain(f"sidelight: not scanned: {target}")


def _report_unswept(closed: Sequence[UnreachableTarget]) -> None:
    for target in closed:
        complain(f"sidelight: not swept: {target}")


def _report_remaining(control: FleetService, own: Embedded | None) -> None:
    """Report the remaining snapshots of an interrupted scan, and who deletes them."""
    if own is not None:
        complain("sidelight: stopping the workers; Ctrl-C again quits at once")
        own.stop()
    live = control.store.scans.select(live=True)
    if not live:
        return
    for line in report.remaining_lines(live, control.store.scans.snapshots):
        complain(line)
    again = "`sidelight fleet scan --embedded` on the same store" if own else "The fleet's workers"
    complain(
        f"sidelight: {again} ({control.store.where}) will continue these scans and delete their"
        " snapshots"
    )


def _partial(store: Store, scans: Sequence[Scan]) -> bool:
    """Whether one of these instances was read, or covered by advisories, only in part."""
    scanned = {(scan.account, scan.instance) for scan in scans}
    return any(
        row.reason == PARTIAL_SCAN and (row.account, row.instance) in scanned
        for row in store.instances.coverage()
    )


def _exit(
    scans: Sequence[Scan], unreachable: Sequence[UnreachableTarget], *, partial: bool
) -> None:
    bad = [scan for scan in scans if scan.state is State.FAILED]
    if bad or unreachable or partial:
        sys.exit(FAILED if bad and len(bad) == len(scans) else PARTIAL)
