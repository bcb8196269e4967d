"""`sidelight fleet events|reevaluate|prune`: events of findings, and their evaluation."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dispatcher.cli.fleet import documents
from dispatcher.cli.fleet.options import opened_store
from dispatcher.events.event_messages import EventMessages
from dispatcher.services.event_targets import choice_of, publisher_of
from sidelight.advisories import AdvisoryDatabase
from sidelight.errors import UsageError
from sidelight.fleet import evaluation
from sidelight.fleet.advisory_file import Opened
from sidelight.fleet.bootstrap import session_of
from sidelight.model import (
    CoverageEvent,
    Reevaluated,
    ScanEvent,
)
from sidelight.report.as_json import dumps, line
from sidelight.report.as_table import counted
from sidelight.report.output import say, wait_while_read, write_json
from sidelight.report.progress import live
from sidelight.report.tables import Column, Report, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from dispatcher.events.event_messages import EventChoice, StoredEvent
    from sidelight.fleet.settings import Settings
    from sidelight.store import Store

BETWEEN_LOOKS = 1.0
wait = wait_while_read  # between looks
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


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
                # Where it prints, it ends with its reader.
                (wait if target in {None, "stdout"} else time.sleep)(BETWEEN_LOOKS)


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
