"""`sidelight fleet findings|events|reevaluate|tidy`: what is known of the fleet's findings."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dispatcher import fleet_report as report
from dispatcher.commands.fleet_options import format_option, opened_store, store_option
from dispatcher.commands.suppress import read_filter
from dispatcher.inspector import event_document
from dispatcher.publishing import Publisher, sink_of
from sidelight.advisories import Database
from sidelight.errors import UsageError
from sidelight.report.as_json import dumps
from sidelight.report.as_table import console_for, table
from sidelight.store import FindingStatus, Reevaluated
from sidelight.store.rules import filtered
from workers.advisories import Opened
from workers.settings import Settings
from workers.wiring import session_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.store import FindingEvent, Store

BETWEEN_LOOKS = 1.0
wait = time.sleep  # between looks
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("findings")
@store_option
@format_option
@click.option("--instance", default="", help="Of one instance.")
@click.option("--account", default="", help="Of one account.")
@click.option("--status", "wanted", default="ACTIVE", show_default=True,
              type=click.Choice([*(s.value for s in FindingStatus), "ALL"]))  # fmt: skip
@click.option("--filter", "criteria", type=_FILE, help="Inspector's FilterCriteria, as JSON.")
def findings(
    form: str, store_url: str | None, wanted: str, criteria: Path | None, **of: str
) -> None:
    """Findings, the gravest first."""
    chosen = None if wanted == "ALL" else FindingStatus(wanted)
    shown = read_filter(criteria) if criteria else None
    with opened_store(store_url) as store:
        rows = list(store.findings.rows(**of, status=chosen))
        if shown is not None:
            rows = filtered(rows, shown, store.fleet.instance)
        if form == "json":
            click.echo(dumps(report.findings_document(rows)), nl=False)
        else:
            console_for(sys.stdout).print(report.findings_table(rows))


@click.command("events")
@store_option
@format_option
@click.option("--after", type=click.IntRange(0), help="The last one dealt with.")
@click.option("--follow", is_flag=True, help="Wait for more.")
@click.option("--publish", "target", metavar="TARGET",
              help="Send them there: eventbridge:BUS, sns:ARN, file:PATH or stdout.")  # fmt: skip
def events(
    form: str, store_url: str | None, after: int | None, *, follow: bool, target: str | None
) -> None:
    """What happened to findings, in order, each event with its number: one line each.

    JSON is in the shape of Inspector's EventBridge events. Who goes on after the last number that
    was dealt with gets each event at least once. With --publish the store remembers that number,
    for each target: without --after it goes on there, and begins with the events that come from
    then on.
    """
    with opened_store(store_url) as store:
        show: Callable[[], int]
        if target is None:
            show = _Shown(store, form, after or 0).run
        else:
            settings = Settings.from_environment()
            sink = sink_of(target, session_of(settings))
            show = Publisher(store, target, sink, after=after).run
        while True:
            count = show()
            if not count and not follow:
                return
            if not count:
                wait(BETWEEN_LOOKS)


class _Shown:
    """The events, as lines; how far it is stays from look to look."""

    def __init__(self, store: Store, form: str, after: int) -> None:
        self._store = store
        self._form = form
        self._after = after
        self._deployment = store.deployment() if form == "json" else ""

    def run(self) -> int:
        """What is new; how many."""
        batch = self._store.outbox.after(self._after)
        for event in batch:
            click.echo(self._line(event))
            self._after = event.sequence
        sys.stdout.flush()
        return len(batch)

    def _line(self, event: FindingEvent) -> str:
        row = event.row
        if self._form == "json":
            instance = self._store.fleet.instance(row.account, row.instance)
            return json.dumps(event_document(event, instance, self._deployment))
        return (
            f"{event.sequence} {event.at.isoformat()} {event.kind} "
            f"{row.instance} {row.finding.severity.value} {row.finding.headline!r}"
        )


@click.command("reevaluate")
@store_option
@format_option
@click.option("--advisories", type=click.Path(path_type=Path), envvar="SIDELIGHT_ADVISORIES",
              required=True, help="The new advisory database.")  # fmt: skip
@click.option("--allow-older", is_flag=True, help="Take the findings back to an older database.")
def reevaluate(form: str, store_url: str | None, advisories: Path, *, allow_older: bool) -> None:
    """Match what a new advisory database changes with the stored inventories; no snapshot is made.

    Interrupted, it goes on where it was; workers that share the work take other parts of it. One
    that is older than what the findings are by is refused, as workers do: by the latest change
    that its advisories tell, or because it was the newest before.
    """
    with Database.open(advisories) as database, opened_store(store_url) as store:
        begun = time.monotonic()
        done = run(store, Opened(database), older=allow_older)
        seconds = time.monotonic() - begun
    if form == "json":
        click.echo(dumps(asdict(done) | {"seconds": round(seconds, 3)}), nl=False)
        return
    changes = done.findings
    click.echo(
        f"{done.packages} packages matched, {done.instances} instances touched, "
        f"{done.passed} untouched: {changes.opened} findings opened, {changes.closed} closed, "
        f"in {seconds:.1f} s"
    )


def run(store: Store, opened: Opened, *, older: bool) -> Reevaluated:
    """Register the database, and bring all findings to it. Raises UsageError for an older one."""
    if not store.reevaluation.register(opened, older=older):
        raise UsageError(
            "is older than the database that the findings are by: --allow-older takes them back",
            where=str(opened.database.info().path),
        )
    done = Reevaluated(left=True)
    while done.left:
        part = store.reevaluation.step(opened)
        done += part
        if part.left and not part.packages and not part.instances:
            wait(BETWEEN_LOOKS)  # others hold the last rows
    store.rules.judge()
    return done


@click.command("tidy")
@store_option
@format_option
def tidy(form: str, store_url: str | None) -> None:
    """Delete what has served its time: ended scans, closed findings, old events."""
    with opened_store(store_url) as store:
        store.rules.judge()
        tidied = asdict(store.tidying.run())
    if form == "json":
        click.echo(dumps(tidied), nl=False)
        return
    rows = table("Deleted", "Rows")
    for name, count in tidied.items():
        rows.add_row(name.replace("_", " "), str(count))
    console_for(sys.stdout).print(rows)
