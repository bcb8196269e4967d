"""`sidelight advisories`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dispatcher.cli.exit_status import FAILED, PARTIAL
from dispatcher.cli.groups import advisories
from sidelight.advisories import AdvisoryDatabase, between, build
from sidelight.download import SOURCES, Progress, chosen, fetch, known_size
from sidelight.errors import UsageError
from sidelight.fleet.advisory_updates.update_state import (
    age_text,
    old_feeds_text,
    read_state,
    state_document,
)
from sidelight.report.as_json import dumps
from sidelight.report.as_table import counted
from sidelight.report.output import complain, note, say, write_json
from sidelight.report.progress import live
from sidelight.report.tables import Column, Report, Table

__all__ = ["advisories", "build_database", "changes", "fetch_feeds", "info"]

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from pathlib import Path

    from sidelight.advisories import BuildSummary
    from sidelight.advisories.database.reader import DatabaseInfo
    from sidelight.documents.advisories import (
        DatabaseInfoDocument,
        FetchOutcomeDocument,
        SourceDocument,
    )
    from sidelight.download import FetchOutcome, Source
    from sidelight.fleet.advisory_updates.update_state import UpdateState
    from sidelight.fleet.settings import Settings


def build_database(sources: tuple[Path, ...], out: Path, *, skip_unknown: bool) -> None:
    """`sidelight advisories build`: its options are in dispatcher.cli.advisories.commands."""
    _refuse_empty(sources)
    with live("reading feeds") as line:

        def progress(what: str, records: int) -> None:
            line.text = f"{what}: {counted(records, 'record')}"

        summary = build(sources, out, progress, skip_unknown=skip_unknown)
    say(
        f"{out}: {counted(summary.advisories, 'advisory', 'advisories')} on "
        f"{counted(summary.packages, 'package')}, {megabytes(summary.size)}"
    )
    print_skipped(summary)


def print_skipped(summary: BuildSummary) -> None:
    """Print the documents and records that a build left out, to standard error."""
    if summary.skipped:
        count = counted(len(summary.skipped), "document")
        complain(f"{count} skipped, which are broken or of no known feed:")
        for skipped in summary.skipped:
            complain(f"  {skipped.where}: {skipped.what}")
    if summary.problem_count:
        complain(f"{counted(summary.problem_count, 'record')} could not be used; the first:")
        for problem in summary.problems:
            complain(f"  {problem.where}: {problem.what}")


def _refuse_empty(sources: Sequence[Path]) -> None:
    """Raise UsageError for a directory without a downloaded or manually added file."""
    for source in sources:
        if source.is_dir() and not any(
            path.is_file() and not path.name.startswith(".") for path in source.rglob("*")
        ):
            raise UsageError(
                f"holds no feeds; download some first: sidelight advisories fetch --into {source}",
                where=str(source),
            )


def fetch_feeds(
    names: tuple[str, ...], into: Path | None, mirrors: tuple[str, ...], form: str, *, listed: bool
) -> None:
    """`sidelight advisories fetch`: its options are in dispatcher.cli.advisories.commands."""
    sources = chosen(names)
    if listed:
        _list_sources(sources if names else SOURCES, form)
        return
    if into is None:
        raise UsageError("give a directory for the feeds: --into DIRECTORY")
    progress = Progress()
    before = known_size(sources, into)
    if before:
        note(f"{into}: {megabytes(before)} from earlier downloads; only changes are sent")
    show = (lambda _: None) if form == "json" else print_outcome
    with live(f"downloading {counted(len(sources), 'source')}") as line:
        line.detail = lambda: progress_text(progress, len(sources))
        outcomes = fetch(
            sources, into, mirrors=dict(map(mirror_of, mirrors)), report=show, progress=progress
        )
    _finish(outcomes, form)


def progress_text(progress: Progress, number: int) -> str:
    """Return `3 of 30 done, 45.1 of 312.0 MB of osv-debian, osv-npm`."""
    text = f"{progress.done} of {number} done, {progress.received / 1e6:.1f}"
    if progress.expected > progress.received:
        text += f" of {progress.expected / 1e6:.1f}"
    return f"{text} MB of {', '.join(progress.running)}" if progress.running else f"{text} MB"


def _finish(outcomes: Sequence[FetchOutcome], form: str) -> None:
    """Return the last line, and the exit status."""
    failed = [outcome for outcome in outcomes if outcome.error]
    untried = [outcome for outcome in outcomes if outcome.untried]
    if form == "json":
        write_json(dumps([_outcome_document(outcome) for outcome in outcomes]))
    else:
        size = megabytes(sum(outcome.received for outcome in outcomes))
        good = len(outcomes) - len(failed)
        say(f"{good} of {counted(len(outcomes), 'source')} up to date, {size}")
    if untried:
        complain(
            f"sidelight: {untried[0].error}; {counted(len(untried), 'source')} not tried. Is this "
            "machine offline? A proxy is named by HTTPS_PROXY, a mirror by --mirror."
        )
    if failed:
        sys.exit(FAILED if len(failed) == len(outcomes) else PARTIAL)


def _outcome_document(outcome: FetchOutcome) -> FetchOutcomeDocument:
    return {
        "source": outcome.source,
        "files": [str(path) for path in outcome.files],
        "changed": outcome.changed,
        "received": outcome.received,
        "requests": outcome.requests,
        "error": outcome.error,
        "notes": list(outcome.notes),
        "untried": outcome.untried,
    }


def _list_sources(sources: Sequence[Source], form: str) -> None:
    if form == "json":
        write_json(dumps([_source_document(item) for item in sources]))
        return
    rows = Table(
        Column("Source"), Column("Format"), Column("Usual", rank=1), Column("Checked by", rank=3),
        Column("Licence", rank=2), Column("Address", rank=9),
    )  # fmt: skip
    for item in sources:
        rows.add_row(
            item.name, item.format, "yes" if item.usual else "", item.checksum or "TLS",
            item.licence, f"{item.base}/{item.file}",
        )  # fmt: skip
    shown = Report(sys.stdout)
    shown.table(rows)
    usual = sum(item.usual for item in sources)
    shown.line(f"{counted(len(sources), 'source')}, {usual} of them downloaded by default")


def _source_document(source: Source) -> SourceDocument:
    return {
        "name": source.name,
        "format": source.format,
        "address": f"{source.base}/{source.file}",
        "checksum": source.checksum or "TLS",
        "licence": source.licence,
        "usual": source.usual,
    }


def mirror_of(text: str) -> tuple[str, str]:
    """Return the source or address, and the mirror's URL. Raises UsageError."""
    name, equals, url = text.rpartition("=")
    if not equals or not name:
        raise UsageError(f"a mirror is SOURCE=URL, not {text!r}")
    return name, url


def print_outcome(outcome: FetchOutcome) -> None:
    """Print one line per source; sources that were not tried are summed up at the end."""
    if outcome.untried:
        return
    if outcome.error:
        complain(f"{outcome.source}: failed: {outcome.error}")
        return
    tries = counted(len(outcome.notes), "failed try", "failed tries")
    again = f", after {tries}" if outcome.notes else ""
    how = (
        f"{outcome.changed} changed, {megabytes(outcome.received)}"
        if outcome.changed
        else "unchanged"
    )
    say(f"{outcome.source}: {counted(len(outcome.files), 'file')}, {how}{again}")


def info(settings: Settings, database: Path | None, form: str) -> None:
    """`sidelight advisories info`: its options are in dispatcher.cli.advisories.commands."""
    path = database or settings.findings.advisories_path
    with AdvisoryDatabase.open(path) as opened:
        details = opened.info()
    state = read_state(path, details.sha256)
    if form == "json":
        write_json(dumps(_info_document(details, state)))
    else:
        _print_info(details)
        if state is not None:
            _print_feeds(state)


def _info_document(info: DatabaseInfo, state: UpdateState | None) -> DatabaseInfoDocument:
    return {
        "path": str(info.path),
        "size": info.size,
        "sha256": info.sha256,
        "schema": info.schema,
        "advisories": info.advisories,
        "vulnerabilities": info.vulnerabilities,
        "packages": info.packages,
        "rows": info.rows,
        "withdrawn": info.withdrawn,
        "problems": info.problems,
        "newest": info.newest,
        "exploited": info.exploited,
        "scored": info.scored,
        "ecosystems": dict(info.ecosystems),
        "files": [{"name": name, "sha256": digest} for name, digest in info.files],
        "update": None if state is None else state_document(state),
    }


def _print_info(info: DatabaseInfo) -> None:
    shown = Report(sys.stdout)
    facts = Table("Property", "Value")
    for name, value in (
        ("Path", str(info.path)), ("Size", f"{megabytes(info.size)} ({info.size} bytes)"),
        ("SHA-256", info.sha256), ("Schema", str(info.schema)),
        ("Newest advisory", info.newest or "unknown"), ("Advisories", str(info.advisories)),
        ("Withdrawn advisories", str(info.withdrawn)),
        ("Vulnerabilities", str(info.vulnerabilities)), ("Packages", str(info.packages)),
        ("Affected ranges", str(info.rows)), ("Unusable records", str(info.problems)),
        ("Exploited (KEV)", _signal(info.exploited, "KEV")),
        ("With an EPSS score", _signal(info.scored, "EPSS")),
    ):  # fmt: skip
        facts.add_row(name, value)
    shown.table(facts)
    shown.line("")
    ecosystems = Table("Ecosystem", Column("Affected ranges", right=True))
    for ecosystem, rows in info.ecosystems:
        ecosystems.add_row(ecosystem, str(rows))
    shown.table(ecosystems)
    shown.line("")
    files = Table("Built from", Column("SHA-256", rank=1))
    for name, digest in info.files:
        files.add_row(name, digest)
    shown.table(files)


def _signal(count: int | None, feed: str) -> str:
    """Return how many vulnerabilities a feed names; without the feed it is unknown, not 0."""
    if count is None:
        return f"unknown: the database was built before it counted {feed}"
    return str(count) if count else f"unknown: no {feed} feed"


def _print_feeds(state: UpdateState) -> None:
    now = datetime.now(UTC)
    shown = Report(sys.stdout)
    shown.line("")
    feeds = Table(
        "Feed", "Confirmed", Column("Changed", rank=2), Column("Records", right=True, rank=1),
        Column("Last failure", rank=3),
    )  # fmt: skip
    for feed in state.feeds:
        changed = None if feed.changed_at is None else now - feed.changed_at
        feeds.add_row(feed.name, _ago(feed.age(now)), _ago(changed), str(feed.records), feed.error)
    shown.table(feeds)
    source = f", from {state.bundle}" if state.bundle else ""
    shown.line(
        f"built {_ago(now - state.built_at)}, checked {_ago(now - state.checked_at)}{source}"
    )
    if old := state.old_feeds(now):
        shown.line(f"not confirmed for 2 days: {old_feeds_text(old, now)}")


def _ago(age: timedelta | None) -> str:
    return "never" if age is None else f"{age_text(age)} ago"


def changes(older: Path, newer: Path) -> None:
    """`sidelight advisories changes`: its options are in dispatcher.cli.advisories.commands."""
    with AdvisoryDatabase.open(older) as one, AdvisoryDatabase.open(newer) as other:
        changed = between(one, other)
    for ecosystem, name in sorted(changed.packages):
        say(f"package {ecosystem} {name}", flush=False)
    for kind, names in (
        ("vulnerability", changed.vulnerabilities), ("score", changed.scores),
        ("ecosystem", changed.ecosystems),
    ):  # fmt: skip
        for name in sorted(names):
            say(f"{kind} {name}", flush=False)


def megabytes(size: int) -> str:
    """Return `12.3 MB`, or bytes below a tenth of a megabyte."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else counted(size, "byte")
