"""`sidelight fleet findings|events|reevaluate|prune`: the fleet's findings and their events."""

from __future__ import annotations

import sys
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from dispatcher.cli.finding_options import Selection, check_template
from dispatcher.cli.fleet import documents, finding_documents, report
from dispatcher.cli.fleet.attack_path_documents import paths_of, reached_by
from dispatcher.cli.fleet.options import opened_store, report_no_instance
from dispatcher.cli.fleet.suppression import read_filter
from dispatcher.cli.output_file import check_writable, opened
from dispatcher.events.event_messages import EventMessages
from dispatcher.services.event_targets import choice_of, publisher_of
from sidelight.advisories import AdvisoryDatabase
from sidelight.errors import UsageError
from sidelight.fleet import evaluation
from sidelight.fleet.advisory_file import Opened
from sidelight.fleet.bootstrap import session_of
from sidelight.model import (
    CoverageEvent,
    FindingStatus,
    FindingType,
    NetworkFinding,
    Reevaluated,
    ScanEvent,
)
from sidelight.report.as_json import dumps, line
from sidelight.report.as_table import counted
from sidelight.report.formats.asff import write_asff
from sidelight.report.formats.format_names import ASFF, CSV, FINDING_FORMATS, TEMPLATE
from sidelight.report.output import say, write_json
from sidelight.report.progress import live
from sidelight.report.tables import Column, Report, Table
from sidelight.suppression import filtered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import TextIO

    from dispatcher.cli.option_values import FindingValues
    from dispatcher.events.event_messages import EventChoice, StoredEvent
    from sidelight.documents.network import ReachedByDocument
    from sidelight.fleet.settings import Settings
    from sidelight.model import Coverage, Finding, FindingRow
    from sidelight.store import Store

BETWEEN_LOOKS = 1.0
wait = time.sleep  # between looks
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


ORDERS: dict[str, Callable[[FindingRow], tuple[object, ...]]] = {
    "severity": lambda row: (-row.finding.severity.rank,),
    "score": lambda row: (-(row.finding.score or 0.0), -row.finding.severity.rank),
    "vulnerability": lambda row: (_name(row.finding),),
    "package": lambda row: _package(row.finding),
    "instance": lambda row: (row.account, row.instance, -row.finding.severity.rank),
}


def _name(finding: Finding | NetworkFinding) -> str:
    return finding.title if isinstance(finding, NetworkFinding) else finding.vulnerability


def _package(finding: Finding | NetworkFinding) -> tuple[str, str]:
    """Return a package's name and version; network findings come behind all packages."""
    if isinstance(finding, NetworkFinding):
        return ("\U0010ffff", finding.title)
    return finding.package.name, finding.package.version


def _path(finding: Finding | NetworkFinding) -> str:
    return finding.interface if isinstance(finding, NetworkFinding) else finding.package.path


def findings(
    form: str,
    settings: Settings,
    criteria: Path | None,
    output: Path | None,
    **options: Unpack[FindingValues],
) -> None:
    """`sidelight fleet findings`: its options are in dispatcher.cli.fleet.finding_commands."""
    check_writable(output)
    template = check_template(form, options["template"])
    with opened_store(settings) as store:
        if form in (CSV, TEMPLATE, *FINDING_FORMATS):
            with opened(output) as file:
                finding_documents.write(form, store, criteria, options, file, template)
            return
        selection = Selection.of(options)
        covered = store.instances.coverage()
        rows = [row for row in _rows(store, covered, criteria, options) if selection(row.finding)]
        reached = _reached(store, rows) if form == "json" else {}
        if not rows:
            report_no_instance(store)
        rows.sort(key=ORDERS[options["order"]])
        with opened(output) as file:
            if form == ASFF:
                _write_asff(store, rows[: options["limit"]], file)
            elif form == "json":
                listed = rows[: options["limit"]]
                rules = store.suppression_reasons.of(listed)
                document = documents.findings_document(listed, reached, rules)
                file.write(dumps(document))
            else:
                _print_table(rows, covered, options["limit"], file)


def _print_table(
    rows: Sequence[FindingRow], covered: Sequence[Coverage], limit: int | None, file: TextIO
) -> None:
    shown = Report(file)
    listed = (
        report.grouped_rows(rows)
        if shown.is_terminal
        else [(row, _path(row.finding)) for row in rows]
    )
    most = limit or len(listed)
    names = {row.instance: row.name for row in covered}
    shown.table(report.findings_table(listed[:most], names))
    if most < len(listed):
        shown.line(f"The first {most} of {len(listed)} rows are shown.")
    if unseen := report.unseen_line(covered):
        shown.line(unseen, style="yellow")
    shown.line(report.findings_line(rows), style="bold")


def _write_asff(store: Store, rows: Sequence[FindingRow], file: TextIO) -> None:
    """Write findings for Security Hub, by account and Region."""
    instance = cache(store.instances.instance)
    ordered = sorted(rows, key=lambda row: (row.account, row.region))
    write_asff(((row, instance(row.account, row.instance)) for row in ordered), file)


def _reached(store: Store, rows: Sequence[FindingRow]) -> Mapping[str, list[ReachedByDocument]]:
    """Return how the active package findings among these are reached, by their ARN."""
    wanted = {(row.account, row.instance) for row in rows if row.status is FindingStatus.ACTIVE}
    opening = [
        row
        for row in store.findings.rows(kind=FindingType.NETWORK_REACHABILITY)
        if (row.account, row.instance) in wanted
    ]
    vulnerable = [
        row
        for row in rows
        if row.status is FindingStatus.ACTIVE and not isinstance(row.finding, NetworkFinding)
    ]
    return reached_by(paths_of(store, [*opening, *vulnerable]))


def _rows(
    store: Store, covered: Sequence[Coverage], criteria: Path | None, options: FindingValues
) -> Iterable[FindingRow]:
    """Return the store's findings of an account, instance and status that match the criteria."""
    wanted = options["wanted"] or FindingStatus.ACTIVE
    status = None if wanted == "ALL" else FindingStatus(wanted)
    kind = None if options["kind"] == "ALL" else FindingType(options["kind"])
    filter_ = read_filter(criteria) if criteria else None
    named = options["instance"]
    # Several instances may share a name. An id without coverage may have old findings.
    ids = [row.instance for row in covered if named and row.name == named] or [named]
    rows: list[FindingRow] = []
    for instance in dict.fromkeys(ids):
        rows += store.findings.rows(
            account=options["account"], instance=instance, status=status, kind=kind
        )
    known = {row.instance for row in covered} | {row.name for row in covered}
    if named and not rows and named not in known:
        raise UsageError("no such instance in the store", where=named)
    return rows if filter_ is None else filtered(rows, filter_, store.instances.instance)


def events(
    form: str, settings: Settings, after: int | None, *, follow: bool, target: str | None
) -> None:
    """`sidelight fleet events`: its options are in dispatcher.cli.fleet.finding_commands."""
    with opened_store(settings) as store:
        show: Callable[[], int]
        if target is None:
            show = _Shown(store, form, after or 0, choice_of(settings)).run
        else:
            show = publisher_of(store, settings, session_of(settings), target, after=after).run
        while True:
            count = show()
            if not count and not follow:
                return
            if not count:
                wait(BETWEEN_LOOKS)


class _Shown:
    """Prints events as lines, and keeps its position between calls of `run`."""

    def __init__(self, store: Store, form: str, after: int, choice: EventChoice) -> None:
        self._store = store
        self._form = form
        self._after = after
        self._choice = choice

    def run(self) -> int:
        """Print the new events; return how many were looked at."""
        if self._choice.is_numbered_late:
            self._store.outbox.number()
        batch = self._store.outbox.after(self._after)
        messages = EventMessages(self._store, inspector_dates=self._choice.inspector_dates)
        for event in batch:
            if isinstance(event, self._choice.types):
                is_json = self._form == "json"
                say(line(messages.document(event)) if is_json else _words(event), flush=False)
            self._after = event.sequence
        sys.stdout.flush()
        return len(batch)


def _words(event: StoredEvent) -> str:
    """Return an event's line in a table."""
    begin = f"{event.sequence} {event.at.isoformat()}"
    if isinstance(event, CoverageEvent):
        change = event.change
        state = f"{change.scan_type} {change.status_code} {change.reason}"
        return f"{begin} COVERED {change.instance} {state}"
    if isinstance(event, ScanEvent):
        total = counted(sum(event.severities.values()), "finding")
        return f"{begin} SCANNED {event.instance} first scan, {total}"
    row = event.row
    return (
        f"{begin} {event.kind} {row.instance} {row.finding.severity.value} {row.finding.headline}"
    )


def reevaluate(form: str, settings: Settings, *, allow_older: bool) -> None:
    """`sidelight fleet reevaluate`: its options are in dispatcher.cli.fleet.finding_commands."""
    path = settings.findings.advisories_path
    with AdvisoryDatabase.open(path) as database, opened_store(settings) as store:
        begun = time.monotonic()
        with live("matching stored inventories with the database"):
            done = run(store, Opened(database), older=allow_older)
        seconds = time.monotonic() - begun
    if form == "json":
        write_json(dumps(documents.reevaluation_document(done, seconds)))
        return
    changes = done.findings
    say(
        f"{counted(done.packages, 'package')} matched, "
        f"{counted(done.instances, 'instance')} re-evaluated, {done.passed} unchanged: "
        f"{counted(changes.opened, 'finding')} opened, {changes.closed} closed, "
        f"in {seconds:.1f} s"
    )


def run(store: Store, opened: Opened, *, older: bool) -> Reevaluated:
    """Register the database, and re-evaluate all findings. Raises UsageError for an older one."""
    if not store.reevaluation.register(opened, older=older):
        raise UsageError(
            "is older than the database that findings are based on: --allow-older allows it",
            where=str(opened.database.info().path),
        )
    done = Reevaluated(left=True)
    while done.left:
        part = evaluation.reevaluate(store, opened)
        done += part
        if part.left and not part.packages and not part.instances:
            wait(BETWEEN_LOOKS)  # other processes hold the last rows
    store.suppression_rules.judge()
    return done


def prune(form: str, settings: Settings) -> None:
    """`sidelight fleet prune`: its options are in dispatcher.cli.fleet.finding_commands."""
    with opened_store(settings) as store:
        store.suppression_rules.judge()
        deleted = documents.prune_document(store.retention.run())
    if form == "json":
        write_json(dumps(deleted))
        return
    rows = Table("Deleted", Column("Rows", right=True))
    for name, count in deleted.items():
        rows.add_row(name.replace("_", " "), str(count))
    Report(sys.stdout).table(rows)
