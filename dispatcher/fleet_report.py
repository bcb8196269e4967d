"""The fleet's tables and documents: coverage, status, findings, what a sweep saw."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.text import Text

from sidelight.model import Severity
from sidelight.report import as_json
from sidelight.report.as_table import printable, score_text, severity_text, table
from sidelight.store import State
from workers.app import STAGE_OF

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table

    from dispatcher.places import Place
    from dispatcher.sweep import Swept
    from sidelight.store import Cost, FindingRow, Scan, Store
    from sidelight.store.unattended import Unattended

GRAVEST_FIRST = sorted(Severity, key=lambda severity: -severity.rank)


def coverage_document(store: Store) -> list[dict[str, Any]]:
    """One object an instance, as the table."""
    counts = store.findings.severities()
    return [
        _plain(asdict(row))
        | {"findings": {s.value: n for s, n in counts.get((row.account, row.instance), {}).items()}}
        for row in store.fleet.coverage()
    ]


# Six columns of counts leave little room for what the last column has to say.
SHORT = dict(zip(GRAVEST_FIRST, ("Crit", "High", "Med", "Low", "Info", "Untr"), strict=True))


def coverage_table(store: Store) -> Table:
    """Every instance: is it scanned, and if not, why."""
    counts = store.findings.severities()
    rows = store.fleet.coverage()
    # One account and region need no columns of their own, and leave room for what is said.
    several = len({(row.account, row.region) for row in rows}) > 1
    made = table(
        "Name", "Instance", *(("Account", "Region") if several else ()), "Coverage", "Reason",
        *(SHORT[severity] for severity in GRAVEST_FIRST), "Detail",
    )  # fmt: skip
    for row in sorted(rows, key=lambda row: (row.account, row.region, row.name, row.instance)):
        found = counts.get((row.account, row.instance), {})
        made.add_row(
            Text(row.name), Text(row.instance, no_wrap=True),
            *((row.account, row.region) if several else ()), row.status_code, row.reason,
            *(str(found.get(severity, 0) or "") for severity in GRAVEST_FIRST),
            Text(printable(row.detail)),
        )  # fmt: skip
    return made


def status_document(scans: Sequence[Scan], costs: dict[str, Cost]) -> list[dict[str, Any]]:
    """One object a scan, with its cost."""
    return [
        _plain(asdict(scan)) | {"cost": asdict(costs[scan.id]) if scan.id in costs else None}
        for scan in scans
    ]


def cost_table(scans: Sequence[Scan], costs: dict[str, Cost], names: dict[str, str]) -> Table:
    """Each scan: where it is, and its calls, blocks, seconds and dollars."""
    made = table(
        "Instance", "Name", "Scan", "State", "Get", "List", "Blocks", "MiB", "Seconds", "USD", "Why"
    )
    for scan in scans:
        cost = costs.get(scan.id)
        figures = ["", "", "", "", "", ""]
        if cost is not None:
            figures = [
                f"{cost.get_calls}", f"{cost.list_calls}", f"{cost.blocks}",
                f"{cost.bytes / (1 << 20):.1f}", f"{cost.seconds:.1f}", f"{cost.usd:.6f}",
            ]  # fmt: skip
        made.add_row(
            scan.instance, Text(names.get(scan.instance, "")), scan.id[:8], scan.state.value,
            *figures, Text(printable(scan.failure or scan.last_error)),
        )  # fmt: skip
    return made


def findings_document(rows: Iterable[FindingRow]) -> list[dict[str, Any]]:
    """One object a finding."""
    return [
        as_json.finding_document(row.finding)
        | {
            "arn": row.arn,
            "account": row.account,
            "region": row.region,
            "instance": row.instance,
            "status": row.status.value,
            "first_observed": row.first_observed.isoformat(),
            "last_observed": row.last_observed.isoformat(),
            "updated_at": row.updated_at.isoformat(),
            "closed_at": row.closed_at.isoformat() if row.closed_at else None,
        }
        for row in rows
    ]


def findings_table(rows: Iterable[FindingRow]) -> Table:
    """The gravest first."""
    made = table(
        "Severity", "Score", "Vulnerability", "Instance", "Package", "Version", "Fixed in", "Path"
    )
    for row in rows:
        found = row.finding
        made.add_row(
            severity_text(found.severity), score_text(found), Text(found.vulnerability),
            row.instance,
            Text(printable(found.package.name)), Text(printable(found.package.version)),
            Text(printable(found.fixed_version)), Text(printable(found.package.path)),
        )  # fmt: skip
    return made


def swept_document(swept: Sequence[tuple[Place, Swept]]) -> list[dict[str, Any]]:
    """One object a place."""
    return [asdict(place) | asdict(one) for place, one in swept]


def swept_lines(swept: Sequence[tuple[Place, Swept]]) -> list[str]:
    """One line a place: the proof that nothing is left, or what is."""
    return [
        f"{place.account}/{place.region}: {len(one.orphans)} orphaned snapshots, "
        f"{len(one.deleted)} deleted, {len(one.left)} left; {len(one.live)} of running scans"
        for place, one in swept
    ]


def unattended_lines(rows: Iterable[Unattended]) -> list[str]:
    """One line for each region and stage that no worker attends to."""
    return [
        f"sidelight: {row.region}: {row.scans} scans in {row.state} since "
        f"{row.since.isoformat(timespec='seconds')}, and nobody takes them: no worker of the "
        f"queue {STAGE_OF[State(row.state)]!r} there?"
        for row in rows
    ]


def progress_line(scans: Sequence[Scan]) -> str:
    """`5 scans: 2 READING, 3 DONE`."""
    counts = Counter(scan.state for scan in scans)
    stages = ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    return f"{len(scans)} scan{'s' if len(scans) != 1 else ''}: {stages or 'none'}"


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in values.items()
        if name != "lease"
    }
