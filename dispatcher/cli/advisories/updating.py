"""`sidelight advisories update` and `sidelight advisories bundle`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dispatcher.cli.advisories.database import (
    megabytes,
    mirror_of,
    print_outcome,
    print_skipped,
    progress_text,
)
from dispatcher.cli.exit_status import FAILED, PARTIAL
from dispatcher.cli.output_file import check_writable
from sidelight.advisories import AdvisoryDatabase
from sidelight.download import Progress
from sidelight.errors import DatabaseError, UsageError
from sidelight.fleet.advisory_updates import update_state
from sidelight.fleet.advisory_updates.updater import (
    UpdateHooks,
    UpdatePlan,
    sources_of,
    update,
)
from sidelight.report.as_json import dumps
from sidelight.report.as_table import counted
from sidelight.report.output import complain, say, write_json
from sidelight.report.progress import live

if TYPE_CHECKING:
    from pathlib import Path

    from dispatcher.cli.option_values import UpdateValues
    from sidelight.aws.session import Session
    from sidelight.documents.advisories import AdvisoryUpdateDocument
    from sidelight.download import FetchOutcome
    from sidelight.fleet.advisory_updates.updater import UpdateOutcome
    from sidelight.fleet.settings import Settings


def update_database(settings: Settings, names: tuple[str, ...], options: UpdateValues) -> None:
    """`sidelight advisories update`: its options are in dispatcher.cli.advisories.commands."""
    if settings.updates.bundle:
        outcome = _from_bundle(settings, names, options)
    elif settings.updates.keys:
        # Who names a key expects what it signed, and nothing else.
        raise UsageError(
            "a key is of a bundle's signer, and no bundle is named: give --from ADDRESS too",
            where="SIDELIGHT_ADVISORY_KEYS or --key",
        )
    else:
        outcome = _from_publishers(settings, names, options)
    if options["form"] == "json":
        write_json(dumps(_document(outcome)))
    else:
        _print(outcome)
    failures = outcome.failures
    if failures:
        sys.exit(FAILED if len(failures) == len(outcome.state.feeds) else PARTIAL)


def _from_publishers(
    settings: Settings, names: tuple[str, ...], options: UpdateValues
) -> UpdateOutcome:
    database = settings.findings.advisories_place
    plan = UpdatePlan(
        database=database,
        feeds=settings.updates.feeds_of(database),
        sources=names or settings.updates.source_names,
        mirrors=dict(map(mirror_of, options["mirrors"])),
        accept_smaller=options["accept_smaller"],
    )
    number = len(sources_of(plan))
    progress = Progress()
    is_quiet = options["form"] == "json"

    def show(result: FetchOutcome) -> None:
        if not is_quiet and (result.error or result.changed):
            print_outcome(result)

    with live(f"downloading {counted(number, 'source')}") as line:
        line.detail = lambda: progress_text(progress, number)

        def building(what: str, records: int) -> None:
            line.detail = lambda: ""
            line.text = f"{what}: {counted(records, 'record')}"

        return update(plan, UpdateHooks(report=show, building=building, progress=progress))


def _from_bundle(
    settings: Settings, names: tuple[str, ...], options: UpdateValues
) -> UpdateOutcome:
    from sidelight.fleet.advisory_updates.bundle_updates import BundlePlan, update_from_bundle
    from sidelight.fleet.bootstrap import session_of

    address = settings.updates.bundle
    if names or options["accept_smaller"]:
        what = "a bundle is taken whole: leave out sources and --accept-smaller"
        raise UsageError(what, where=address)
    database = settings.findings.advisories_place
    plan = BundlePlan(
        database=database,
        address=address,
        keys=settings.updates.key_paths,
        kept=settings.updates.feeds_of(database) / ".bundles",
        allow_older=options["allow_older"],
    )

    def session() -> Session:
        return session_of(settings)

    with live(f"updating from {address}"):
        return update_from_bundle(plan, session)


def _print(outcome: UpdateOutcome) -> None:
    state, summary = outcome.state, outcome.summary
    now = datetime.now(UTC)
    for feed in outcome.failures:
        used = "its last good edition is used" if feed.is_kept else "it is not in the database"
        if not feed.is_kept and feed.records:
            used = "its files of before are used"
        age = update_state.age_text(feed.age(now))
        complain(f"{feed.name}: {feed.error}; {used} ({age})")
    if summary is not None:
        print_skipped(summary)
        say(
            f"{outcome.database}: {counted(summary.advisories, 'advisory', 'advisories')} on "
            f"{counted(summary.packages, 'package')}, {megabytes(summary.size)}"
        )
    elif outcome.changed:
        with AdvisoryDatabase.open(outcome.database) as opened:
            info = opened.info()
        say(
            f"{outcome.database}: {counted(info.advisories, 'advisory', 'advisories')} on "
            f"{counted(info.packages, 'package')}, built {_ago(state.built_at, now)}"
        )
    else:
        say(f"{outcome.database}: nothing changed; built {_ago(state.built_at, now)}")


def _ago(moment: datetime, now: datetime) -> str:
    return f"{update_state.age_text(max(now - moment, moment - moment))} ago"


def _document(outcome: UpdateOutcome) -> AdvisoryUpdateDocument:
    state = update_state.state_document(outcome.state)
    return {
        "path": str(outcome.database),
        "changed": outcome.changed,
        "sha256": state["sha256"],
        "built_at": state["built_at"],
        "checked_at": state["checked_at"],
        "bundle": state["bundle"],
        "feeds": state["feeds"],
    }


def write_bundle(settings: Settings, key: Path, out: Path) -> None:
    """`sidelight advisories bundle`: its options are in dispatcher.cli.advisories.commands."""
    from sidelight.fleet.advisory_updates import bundle_file
    from sidelight.fleet.advisory_updates.bundle_keys import signer_of

    check_writable(out)
    sign = signer_of(key)
    path = settings.findings.advisories_path
    with AdvisoryDatabase.open(path) as opened:
        opened.verify()
        info = opened.info()
    state = update_state.read_state(path, info.sha256)
    if state is None:
        what = "has no state of its feeds: build it with `sidelight advisories update`"
        raise DatabaseError(what, where=str(path))
    with live(f"compressing {path}"):
        manifest = bundle_file.write_bundle(info, state, out, sign)
    size = out.stat().st_size
    now = datetime.now(UTC)
    say(f"{out}: {megabytes(size)}, of a database built {_ago(manifest.built_at, now)}")
