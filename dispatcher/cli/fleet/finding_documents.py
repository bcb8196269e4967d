"""`sidelight fleet findings` as documents for other programs: CSV, reports and VEX, streamed."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from dispatcher.cli.finding_options import Selection
from dispatcher.cli.fleet import report
from dispatcher.cli.fleet.options import report_no_instance
from dispatcher.cli.fleet.suppression import read_filter
from dispatcher.services.fleet_machines import FleetMachines, MachineSelection
from sidelight.errors import UsageError
from sidelight.model import FindingStatus, FindingType
from sidelight.report.finding_reports import write_csv
from sidelight.report.formats import documents
from sidelight.report.formats.format_names import CSV, VEX_FORMATS
from sidelight.report.output import complain
from sidelight.report.template_model import template_model
from sidelight.store import FindingSearch
from sidelight.suppression import filtered, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from dispatcher.cli.option_values import FindingValues
    from sidelight.model import Coverage, FindingRow, Instance
    from sidelight.report.user_templates import UserTemplate
    from sidelight.store import Store

_MOST_TESTS: Final = 10  # of one criterion, Inspector's limit
PAGE: Final = 1000  # findings that are read at once
_MOST_INSTANCES: Final = 4096  # whose descriptions are kept
_SEVERITY: Final = "severity"  # the default of --sort


def write(  # noqa: PLR0913, PLR0917 - the parts of one command
    form: str,
    store: Store,
    criteria: Path | None,
    options: FindingValues,
    file: TextIO,
    template: UserTemplate | None = None,
) -> None:
    """Write a document. Raises UsageError for options that it cannot obey, SidelightError."""
    if options["order"] != _SEVERITY:
        what = "orders tables, JSON and ASFF; this format has an order of its own"
        raise UsageError(what, where="--sort")
    covered = store.instances.coverage()
    ids = _instances(covered, options["instance"])
    statuses = _statuses(form, options["wanted"])
    selecting = _Selecting(store, criteria, Selection.of(options), frozenset(ids))
    if not covered:
        report_no_instance(store)
    if form == CSV:
        wanted = parse(_criteria(options, ids, statuses))
        search = FindingSearch(wanted, sort="SEVERITY", descending=True)
        rows = _limited(selecting.pages(search), options["limit"])
        write_csv(rows, file, store.clock())
    else:
        kind = None if options["kind"] == "ALL" else FindingType(options["kind"])
        selection = MachineSelection(
            statuses, selecting.rows, options["account"], ids, kind, options["limit"]
        )
        now = store.clock()
        machines = FleetMachines(store, now, selection).machines()
        if template is None:
            documents.write_fleet(form, machines, file, now)
        else:
            template.write(template_model(machines, now), file)
    if unseen := report.unseen_line(covered):
        complain(f"sidelight: {unseen}")


def _instances(covered: Sequence[Coverage], named: str) -> list[str]:
    """Return the ids of the instances with this id or name; empty for all. Raises UsageError."""
    if not named:
        return []
    ids = list(dict.fromkeys(row.instance for row in covered if named in {row.name, row.instance}))
    if not ids:
        raise UsageError("no such instance in the store", where=named)
    return ids


def _statuses(form: str, wanted: str | None) -> list[FindingStatus]:
    """Return the states that a document has. Raises UsageError for closed ones in a report."""
    every = [FindingStatus.ACTIVE, FindingStatus.SUPPRESSED]
    if form == CSV:
        every.append(FindingStatus.CLOSED)
    if wanted is None:
        return every[:2] if form in VEX_FORMATS else every[:1]
    if wanted == "ALL":
        return every
    status = FindingStatus(wanted)
    if status not in every:
        raise UsageError(f"{form} has no member for closed findings", where="--status")
    return [status]


def _criteria(
    options: FindingValues, ids: Sequence[str], statuses: Sequence[FindingStatus]
) -> dict[str, list[dict[str, object]]]:
    """Return what the store can select by, as FilterCriteria."""
    values: dict[str, Sequence[str]] = {"findingStatus": [status.value for status in statuses]}
    if options["account"]:
        values["awsAccountId"] = [options["account"]]
    if 0 < len(ids) <= _MOST_TESTS:
        values["resourceId"] = ids
    if options["kind"] != "ALL":
        values["findingType"] = [options["kind"]]
    if options["severity"]:
        values["severity"] = [severity.value for severity in options["severity"]]
    return {
        name: [{"comparison": "EQUALS", "value": value} for value in of_name]
        for name, of_name in values.items()
    }


class _Selecting:
    """Selects findings by --severity, --ignore-unfixed and --filter, of these instances or all."""

    def __init__(
        self, store: Store, criteria: Path | None, selection: Selection, instances: frozenset[str]
    ) -> None:
        self._instances = instances
        self._store = store
        self._filter = read_filter(criteria) if criteria else None
        self._selection = selection
        self._instance = lru_cache(_MOST_INSTANCES)(store.instances.instance)

    def rows(self, rows: Sequence[FindingRow]) -> list[FindingRow]:
        """Return those of these findings that are selected."""
        chosen = [
            row
            for row in rows
            if self._selection(row.finding)
            and (not self._instances or row.instance in self._instances)
        ]
        if self._filter is None:
            return chosen
        return list(filtered(chosen, self._filter, self._instance))

    def pages(self, search: FindingSearch) -> Iterator[tuple[FindingRow, Instance | None, str]]:
        """Yield a search's findings that are selected, with instance and platform, by pages."""
        after: Mapping[str, object] | None = None
        while True:
            page = self._store.found_findings.page(search, PAGE, after)
            for row in self.rows(page.rows):
                key = (row.account, row.instance)
                yield row, page.instances.get(key), page.platforms.get(key, "")
            after = page.position
            if after is None:
                return


def _limited(
    rows: Iterator[tuple[FindingRow, Instance | None, str]], limit: int | None
) -> Iterator[tuple[FindingRow, Instance | None, str]]:
    for number, row in enumerate(rows):
        if limit is not None and number >= limit:
            return
        yield row
