"""`sidelight fleet findings`: a page at a time, so that a million findings need little memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import lru_cache
from itertools import chain, islice
from typing import TYPE_CHECKING, Unpack

from dispatcher.cli.finding_options import Selection, check_template
from dispatcher.cli.fleet import documents, finding_documents, report
from dispatcher.cli.fleet.attack_path_documents import paths_of, reached_by
from dispatcher.cli.fleet.options import opened_store, report_no_instance
from dispatcher.cli.fleet.suppression import read_filter
from dispatcher.cli.output_file import check_writable, opened
from sidelight.errors import UsageError
from sidelight.model import FindingStatus, FindingType, NetworkFinding, VexReason
from sidelight.report.as_json import list_texts
from sidelight.report.as_table import counted
from sidelight.report.formats.asff import write_asff
from sidelight.report.formats.format_names import ASFF, CSV, FINDING_FORMATS, TEMPLATE
from sidelight.report.tables import Report
from sidelight.store import FindingTally, ListedFindings
from sidelight.suppression import filtered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from dispatcher.cli.option_values import FindingValues
    from sidelight.documents.network import ReachedByDocument
    from sidelight.fleet.settings import Settings
    from sidelight.model import Coverage, Finding, FindingRow, Severity, SuppressionRule
    from sidelight.store import Store

_MOST_REASONS = 50  # lines that say why findings are suppressed
_MOST_TOGETHER = 10_000  # findings of one instance in a row that are in one table
_MOST_INSTANCES = 4096  # whose descriptions are kept


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
        covered = store.instances.coverage()
        chosen = _Chosen(store, covered, criteria, options)
        pages = chosen.pages()
        first = next(pages, None)
        if first is None:
            chosen.check_instance(covered)
            report_no_instance(store)
        pages = chain(() if first is None else (first,), pages)
        limit = options["limit"]
        with opened(output) as file:
            if form == ASFF:
                _write_asff(chosen, pages, limit, file)
            elif form == "json":
                file.writelines(list_texts(islice(_documents(store, pages), limit)))
            else:
                _Tables(chosen, covered, limit, file).write(pages)


class _Chosen:
    """The findings that the options choose: most by the store, some here."""

    def __init__(
        self,
        store: Store,
        covered: Sequence[Coverage],
        criteria: Path | None,
        options: FindingValues,
    ) -> None:
        self._listing = store.finding_listing
        self._reasons = store.suppression_reasons
        self._selection = Selection.of(options)
        self._filter = read_filter(criteria) if criteria else None
        self._order = options["order"]
        self._named = options["instance"]
        self.instance = lru_cache(_MOST_INSTANCES)(store.instances.instance)
        # Several instances may share a name. An id without coverage may have old findings.
        ids = {row.instance for row in covered if self._named and row.name == self._named}
        named = (self._named,) if self._named else ()
        wanted, kind = options["wanted"] or FindingStatus.ACTIVE, options["kind"]
        self._wanted = ListedFindings(
            account=options["account"],
            instances=ids or named,
            status=None if wanted == "ALL" else FindingStatus(wanted),
            kind=None if kind == "ALL" else FindingType(kind),
            severities=options["severity"],
        )

    def pages(self, wanted: ListedFindings | None = None) -> Iterator[list[FindingRow]]:
        """Yield the findings in order."""
        for page in self._listing.pages(wanted or self._wanted, self._order):
            rows = [row for row in page if self._selection(row.finding)]
            if self._filter is not None:
                rows = filtered(rows, self._filter, self.instance)
            if rows:
                yield rows

    def by_place(self) -> Iterator[FindingRow]:
        """Yield the findings by account and Region."""
        for account, region in self._listing.places(self._wanted):
            for page in self.pages(replace(self._wanted, account=account, region=region)):
                yield from page

    def reasons(self, rows: Sequence[FindingRow]) -> Mapping[int, SuppressionRule | VexReason]:
        """Return what suppresses these findings, by their ids."""
        return self._reasons.of(rows)

    def tally(self) -> FindingTally | None:
        """Count the findings in the store; None where only reading each of them shows it."""
        if self._filter is not None or self._selection.ignore_unfixed:
            return None
        return self._listing.tally(self._wanted)

    def check_instance(self, covered: Iterable[Coverage]) -> None:
        """Raise UsageError for the id or name of no instance, which has no finding."""
        known = {name for row in covered for name in (row.instance, row.name)}
        any_state = ListedFindings(instances=self._wanted.instances, status=None)
        if self._named and self._named not in known and not self._listing.places(any_state):
            raise UsageError("no such instance in the store", where=self._named)


class _Tables:
    """Writes findings as a table, page by page, and counts them."""

    def __init__(
        self, chosen: _Chosen, covered: Sequence[Coverage], limit: int | None, file: TextIO
    ) -> None:
        self._chosen = chosen
        self._covered = covered
        self._limit = limit
        self._names = {row.instance: row.name for row in covered}
        self._severities: Counter[Severity] = Counter()
        self._suppressed: Counter[tuple[str, str]] = Counter()
        self._instances: set[tuple[str, str]] = set()
        self._file = file
        self._report = Report(file)

    def write(self, pages: Iterable[list[FindingRow]]) -> None:
        """Write the tables and the closing lines."""
        shown, is_cut = 0, False
        tally: FindingTally | None = None
        for page in _whole_instances(pages):
            if self._limit is None or shown < self._limit:
                rows = self._rows(page)
                room = len(rows) if self._limit is None else self._limit - shown
                self._table(rows[:room], is_first=not shown)
                self._note_reasons([row for row, _ in rows[:room]])
                shown, is_cut = shown + len(rows[:room]), room < len(rows)
            else:
                is_cut = True
                if (tally := self._chosen.tally()) is not None:
                    break
            self._count(page)
        if not shown:
            self._table([], is_first=True)
        self._write_reasons()
        severities, instances = tally or FindingTally(self._severities, len(self._instances))
        total = sum(severities.values())
        if is_cut:
            self._report.line(f"The first {shown} rows of {counted(total, 'finding')} are shown.")
        if unseen := report.unseen_line(self._covered):
            self._report.line(unseen, style="yellow")
        self._report.line(report.findings_line(severities, instances), style="bold")

    def _rows(self, page: list[FindingRow]) -> list[tuple[FindingRow, str]]:
        if self._report.is_terminal:
            return report.grouped_rows(page)
        return [(row, _path(row.finding)) for row in page]

    def _table(self, rows: Sequence[tuple[FindingRow, str]], *, is_first: bool) -> None:
        self._report.table(report.findings_table(rows, self._names), continues=not is_first)
        self._file.flush()

    def _note_reasons(self, rows: Sequence[FindingRow]) -> None:
        """Count what suppresses the rows that are shown."""
        reasons = self._chosen.reasons(rows)
        for row in rows:
            if row.id in reasons:
                self._suppressed[row.finding.headline, _reason_text(reasons[row.id])] += 1

    def _write_reasons(self) -> None:
        """Write why findings are suppressed: a line for each subject and reason."""
        for (subject, why), count in list(self._suppressed.items())[:_MOST_REASONS]:
            many = f" ({count} instances)" if count > 1 else ""
            self._report.line(f"Suppressed: {subject}{many}: {why}")
        if len(self._suppressed) > _MOST_REASONS:
            more = len(self._suppressed) - _MOST_REASONS
            self._report.line(f"{more} more reasons: --format json has all of them.")

    def _count(self, page: list[FindingRow]) -> None:
        self._severities.update(row.finding.severity for row in page)
        self._instances.update((row.account, row.instance) for row in page)


def _reason_text(reason: SuppressionRule | VexReason) -> str:
    if isinstance(reason, VexReason):
        why = f"{reason.status.value}: {reason.reason}" if reason.reason else reason.status.value
        return f"{why} ({reason.document.shown})"
    why = reason.reason or reason.description
    return f"the rule {reason.name}: {why}" if why else f"the rule {reason.name}"


def _whole_instances(pages: Iterable[list[FindingRow]]) -> Iterator[list[FindingRow]]:
    """Cut the findings into other pages: those of an instance in a row are on one, if not many."""
    held: list[FindingRow] = []
    for page in pages:
        held += page
        last = held[-1].account, held[-1].instance
        at = len(held)
        while at and (held[at - 1].account, held[at - 1].instance) == last:
            at -= 1
        if not at and len(held) > _MOST_TOGETHER:
            at = len(held)
        if at:
            yield held[:at]
            held = held[at:]
    if held:
        yield held


def _path(finding: Finding | NetworkFinding) -> str:
    return finding.interface if isinstance(finding, NetworkFinding) else finding.package.path


def _write_asff(
    chosen: _Chosen, pages: Iterable[list[FindingRow]], limit: int | None, file: TextIO
) -> None:
    """Write findings for Security Hub, by account and Region; of a limit, the first in order."""
    if limit is None:
        rows: Iterable[FindingRow] = chosen.by_place()
    else:
        first = islice(chain.from_iterable(pages), limit)
        rows = sorted(first, key=lambda row: (row.account, row.region))
    write_asff(((row, chosen.instance(row.account, row.instance)) for row in rows), file)


def _documents(store: Store, pages: Iterable[list[FindingRow]]) -> Iterator[object]:
    opening = ListedFindings(kind=FindingType.NETWORK_REACHABILITY)
    some_are_open = bool(store.finding_listing.tally(opening).instances)
    for page in pages:
        reached = _reached(store, page) if some_are_open else {}
        rules = store.suppression_reasons.of(page)
        yield from documents.findings_document(page, reached, rules)


def _reached(store: Store, rows: Sequence[FindingRow]) -> Mapping[str, list[ReachedByDocument]]:
    """Return how the active package findings among these are reached, by their ARN."""
    vulnerable = [
        row
        for row in rows
        if row.status is FindingStatus.ACTIVE and not isinstance(row.finding, NetworkFinding)
    ]
    machines = {(row.account, row.instance) for row in vulnerable}
    if not machines:
        return {}
    wanted = ListedFindings(
        kind=FindingType.NETWORK_REACHABILITY, instances={instance for _, instance in machines}
    )
    opening = [
        row
        for page in store.finding_listing.pages(wanted)
        for row in page
        if (row.account, row.instance) in machines
    ]
    return reached_by(paths_of(store, [*opening, *vulnerable])) if opening else {}
