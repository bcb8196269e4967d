"""The fleet's tables: coverage, status, findings, results of sweeps."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from dispatcher.planning.remedies import remedy, target_remedy
from dispatcher.services.unreached_accounts import counted_targets
from dispatcher.sources.data_notes import detailed, source_note
from sidelight.completeness import PARTIAL_SCAN
from sidelight.errors import UsageError
from sidelight.model import (
    MOST_SEVERE_FIRST,
    STAGE_OF,
    FindingType,
    NetworkFinding,
    ScanType,
    Severity,
    State,
)
from sidelight.report.as_table import (
    FINDING_COLUMNS,
    counted,
    finding_cells,
    grouped,
    network_cells,
    totals,
)
from sidelight.report.tables import Column, Table
from sidelight.store import is_target

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from dispatcher.discovery.accounts import AccountRegion
    from dispatcher.sweep import Swept
    from sidelight.fleet.snapshot_ownership import Foreign
    from sidelight.model import (
        Cost,
        Coverage,
        CoverageChange,
        FindingRow,
        Scan,
        ScanSource,
        Snapshot,
    )
    from sidelight.store import Store, UnclaimedScans

COVERAGE_ORDERS = ("name", "findings", "coverage")

# The findings that coverage of a scan type counts.
FINDINGS_OF = {
    ScanType.PACKAGE: FindingType.PACKAGE_VULNERABILITY,
    ScanType.NETWORK: FindingType.NETWORK_REACHABILITY,
}


def coverage_table(store: Store, rows: Sequence[Coverage]) -> Table:
    """Return a table of one row per instance: whether it is scanned, and why not."""
    counts = severities(store)
    # With a single account-region, a terminal needs no columns for it.
    one_place = len({(row.account, row.region) for row in rows}) < 2
    table = Table(
        Column("Name"), Column("Instance"),
        Column("Account", rank=2, piped=one_place), Column("Region", rank=2, piped=one_place),
        Column("Coverage", rank=1), Column("Reason", rank=1),
        *(Column(severity.value.capitalize(), rank=3 + place, right=True)
          for place, severity in enumerate(MOST_SEVERE_FIRST)),
        Column("Scan mode", rank=8), Column("Detail", rank=9, prose=True),
    )  # fmt: skip
    for row in rows:
        own = counts.get((row.account, row.instance, row.scan_type), {})
        table.add_row(
            row.name, row.instance, row.account, row.region, row.status_code, row.reason,
            *(str(own.get(severity, 0) or "") for severity in MOST_SEVERE_FIRST),
            row.scan_mode or row.scan_type, detailed(row),
        )  # fmt: skip
    return table


def severities(store: Store) -> dict[tuple[str, str, str], dict[Severity, int]]:
    """Count the active findings by account, instance and scan type, and by severity."""
    return {
        (*place, scan_type.value): counts
        for scan_type, kind in FINDINGS_OF.items()
        for place, counts in store.findings.severities(kind).items()
    }


def coverage_rows(
    store: Store,
    instances: Collection[str] = (),
    order: str = "name",
    scan_type: ScanType | None = ScanType.PACKAGE,
) -> list[Coverage]:
    """Return coverage of all or these instances (id or name), ordered by one of COVERAGE_ORDERS.

    Raises UsageError for an unknown instance.
    """
    rows = store.instances.coverage(scan_type)
    known = {row.instance for row in rows} | {row.name for row in rows}
    if unknown := sorted(set(instances) - known):
        raise UsageError("no such instance in the store", where=unknown[0])
    counts = severities(store)
    chosen = [
        row for row in rows if not instances or row.instance in instances or row.name in instances
    ]

    def key(row: Coverage) -> tuple[object, ...]:
        name = (row.account, row.region, row.name, row.instance)
        if order == "findings":
            own = counts.get((row.account, row.instance, row.scan_type), {})
            return (*(-own.get(severity, 0) for severity in MOST_SEVERE_FIRST), *name)
        return (row.status_code, row.reason, *name) if order == "coverage" else name

    return sorted(chosen, key=key)


def remedy_lines(rows: Sequence[Coverage]) -> list[str]:
    """Return the remedy of each reason of instances that are not scanned, or in part."""
    reasons = {
        (row.reason, remedy_of(row))
        for row in rows
        if row.status_code != "ACTIVE" or is_partial(row)
    }
    return [f"{reason}: {sentence}" for reason, sentence in sorted(reasons)]


def remedy_of(row: Coverage) -> str:
    """Return the remedy of an entry: of a machine, or of an account or Region."""
    of_reason = target_remedy if is_target(row.instance) else remedy
    return of_reason(row.reason, row.scan_mode)


def history_table(changes: Sequence[CoverageChange]) -> Table:
    """Return a table of the changes of coverage, by instance, oldest first."""
    table = Table(
        "Instance", "At", Column("Scan type", rank=3), "Coverage", "Reason",
        Column("Scan mode", rank=2), Column("Account", rank=4), Column("Region", rank=4),
        Column("Detail", rank=5, prose=True),
    )  # fmt: skip
    for change in changes:
        table.add_row(
            change.instance, f"{change.at:%Y-%m-%d %H:%M}", change.scan_type, change.status_code,
            change.reason, change.scan_mode, change.account, change.region, change.detail,
        )  # fmt: skip
    return table


def coverage_line(rows: Sequence[Coverage]) -> str:
    """Return `4 instances: 3 ACTIVE, 1 INACTIVE; 1 scanned in part`.

    Accounts and Regions that could not be listed follow: their instances are in no count.
    """
    machines = [row for row in rows if not is_target(row.instance)]
    counts = Counter(row.status_code for row in machines)
    states = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    partial = sum(is_partial(row) for row in rows)
    more = f"; {partial} scanned in part" if partial else ""
    if unlisted := len(rows) - len(machines):
        more += f"; {counted_targets(unlisted)} could not be listed"
    return f"{counted(len(machines), 'instance')}{': ' if states else ''}{states}{more}"


def is_partial(row: Coverage) -> bool:
    """Whether the last scan of a covered instance is partial."""
    return row.status_code == "ACTIVE" and row.reason == PARTIAL_SCAN


def scan_names(store: Store, scans: Iterable[Scan]) -> dict[str, str]:
    """Return the names of the instances of these scans, by id."""
    ids: dict[str, set[str]] = {}
    for scan in scans:
        ids.setdefault(scan.account, set()).add(scan.instance)
    found: dict[str, str] = {}
    for account, instances in ids.items():
        found |= store.instances.names(account, instances)
    return found


def cost_table(
    scans: Sequence[Scan],
    costs: dict[str, Cost],
    names: dict[str, str],
    sources: Mapping[str, ScanSource],
) -> Table:
    """Return a table of scans: state, calls, blocks, seconds and dollars."""
    table = Table(
        Column("Name"), Column("Instance"), Column("Scan", rank=4), Column("State"),
        Column("Get calls", rank=5, right=True), Column("List calls", rank=6, right=True),
        Column("Blocks", rank=7, right=True), Column("MiB", rank=3, right=True),
        Column("Seconds", rank=2, right=True), Column("USD", rank=1, right=True),
        Column("Source", rank=8), Column("Failure", rank=9, prose=True),
    )  # fmt: skip
    for scan in scans:
        cost = costs.get(scan.id)
        figures = [""] * 6
        if cost is not None:
            figures = [
                f"{cost.get_calls}", f"{cost.list_calls}", f"{cost.blocks}",
                f"{cost.bytes / (1 << 20):.1f}", f"{cost.seconds:.1f}", f"{cost.usd:.6f}",
            ]  # fmt: skip
        table.add_row(
            names.get(scan.instance, ""), scan.instance, scan.id[:8], scan.state.value, *figures,
            _source(scan, sources), scan.failure or scan.last_error,
        )  # fmt: skip
    return table


def _source(scan: Scan, sources: Mapping[str, ScanSource]) -> str:
    found = sources.get(scan.id)
    return source_note(scan.source, found.data_at if found else None)


def findings_table(rows: Sequence[tuple[FindingRow, str]], names: dict[str, str]) -> Table:
    """Return one row per finding, with the text of its path or paths."""
    severity, score, vulnerability, *others = FINDING_COLUMNS
    table = Table(
        severity, score, vulnerability, Column("Name", rank=6), Column("Instance", rank=7), *others,
        Column("Account", piped=True), Column("Region", piped=True), Column("Status", piped=True),
    )  # fmt: skip
    for row, path in rows:
        finding = row.finding
        level, figure, name, *cells = (
            network_cells(finding)
            if isinstance(finding, NetworkFinding)
            else finding_cells(finding, path)
        )
        table.add_row(
            level, figure, name, names.get(row.instance, ""), row.instance, *cells,
            row.account, row.region, row.status.value,
        )  # fmt: skip
    return table


def grouped_rows(rows: Iterable[FindingRow]) -> list[tuple[FindingRow, str]]:
    """Merge rows of an instance that differ only in their path."""
    by_instance: dict[tuple[str, str, str], list[FindingRow]] = {}
    order: list[FindingRow] = list(rows)
    texts: dict[str, str] = {}
    for row in order:
        if isinstance(row.finding, NetworkFinding):
            texts[row.arn] = row.finding.interface
        else:
            by_instance.setdefault((row.account, row.instance, row.status.value), []).append(row)
    for rows_of_one in by_instance.values():
        # Rows of one machine may share their finding's details: the first is the group's.
        row_of = {id(row.finding): row for row in reversed(rows_of_one)}
        for finding, path in grouped(row.package_finding for row in rows_of_one):
            texts[row_of[id(finding)].arn] = path
    return [(row, texts[row.arn]) for row in order if row.arn in texts]


def findings_line(counts: Mapping[Severity, int], instances: int) -> str:
    """Return `3 findings: 1 critical, 2 high; on 2 instances`."""
    line = totals(counts, sum(counts.values()))
    return f"{line}; on {counted(instances, 'instance')}" if instances else line


def unseen_line(rows: Sequence[Coverage]) -> str:
    """Return a note on what was not scanned, not listed, or only in part; "" if nothing is."""
    machines = [row for row in rows if not is_target(row.instance)]
    unseen = sum(row.status_code != "ACTIVE" or is_partial(row) for row in machines)
    if not rows:
        return "No instance was ever discovered: run `sidelight fleet scan`."
    parts = []
    if unseen:
        parts.append(f"{unseen} of {counted(len(machines), 'instance')} not scanned, or in part")
    if unlisted := len(rows) - len(machines):
        parts.append(f"{counted_targets(unlisted)} could not be listed")
    return f"{'; '.join(parts)}: see `sidelight fleet coverage`." if parts else ""


def swept_lines(swept: Sequence[tuple[AccountRegion, Swept]]) -> list[str]:
    """Return a line per account-region, which proves that no snapshot is left, and foreign ones."""
    lines = []
    for account_region, result in swept:
        foreign = f"; {len(result.foreign)} foreign, not touched" if result.foreign else ""
        lines.append(
            f"{account_region}: {counted(len(result.orphans), 'orphaned snapshot')}, "
            f"{len(result.deleted)} deleted, {len(result.left)} left; "
            f"{len(result.live)} of live scans{foreign}"
        )
        lines += [f"  foreign: {_foreign(other)}" for other in result.foreign]
    return lines


def _foreign(snapshot: Foreign) -> str:
    if snapshot.made_by:
        maker = snapshot.made_by
        return f"{snapshot.id} was created by scan {maker} and is not provably ours: {snapshot.why}"
    return f"{snapshot.id} carries our tags and is not ours: {snapshot.why}"


def unattended_lines(rows: Iterable[UnclaimedScans]) -> list[str]:
    """Return one line for each region and stage without a worker."""
    return [
        f"sidelight: {row.region}: {counted(row.scans, 'scan')} in {row.state} since "
        f"{row.since.isoformat(timespec='seconds')}, and no worker takes them: does one of the "
        f"queue {STAGE_OF[State(row.state)]!r} run there?"
        for row in rows
    ]


def remaining_lines(
    scans: Sequence[Scan], snapshots: Callable[[str], Sequence[Snapshot]]
) -> list[str]:
    """Return one line per live scan: its state, and its existing snapshots."""
    lines = []
    for scan in scans:
        left = [row.id for row in snapshots(scan.id) if row.deleted_at is None]
        what = f"snapshots {', '.join(left)}" if left else "no snapshot is known"
        if scan.state is State.SNAPSHOTTING:
            what += "; some may be under way, with the tag InspectorScan=" + scan.id
        place = f"{scan.account}/{scan.region}"
        lines.append(f"sidelight: {scan.instance} ({place}) is in {scan.state}: {what}")
    return lines


def progress_line(scans: Sequence[Scan]) -> str:
    """Return `5 scans: 2 READING, 3 DONE`."""
    counts = Counter(scan.state for scan in scans)
    stages = ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    return f"{counted(len(scans), 'scan')}{': ' if stages else ''}{stages}"
