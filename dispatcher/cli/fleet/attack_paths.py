"""`sidelight fleet attack-paths`: edge, open port, listening service and vulnerable package."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Unpack

from dispatcher.cli.finding_options import Selection
from dispatcher.cli.fleet.attack_path_documents import attack_path_document, paths_of
from dispatcher.cli.fleet.options import opened_store, report_no_instance
from sidelight.model import FindingStatus
from sidelight.report.as_json import dumps
from sidelight.report.as_table import counted, score_text, severity_cell
from sidelight.report.output import write_json
from sidelight.report.tables import Column, Report, Table

if TYPE_CHECKING:
    from dispatcher.cli.option_values import FindingValues
    from sidelight.attack_paths import AttackPath
    from sidelight.fleet.settings import Settings


def attack_paths(form: str, settings: Settings, **options: Unpack[FindingValues]) -> None:
    """`sidelight fleet attack-paths`: its options are in dispatcher.cli.fleet.finding_commands."""
    selection = Selection.of(options)
    with opened_store(settings) as store:
        rows = list(
            store.findings.rows(
                account=options["account"],
                instance=options["instance"],
                status=FindingStatus.ACTIVE,
            )
        )
        names = {row.instance: row.name for row in store.instances.coverage()}
        found = [path for path in paths_of(store, rows) if selection(path.vulnerable)]
        if not rows:
            report_no_instance(store)
    found.sort(key=lambda path: (-path.vulnerable.severity.rank, -(path.vulnerable.score or 0.0)))
    limit = options["limit"] or len(found)
    if form == "json":
        write_json(dumps([attack_path_document(path) for path in found[:limit]]))
        return
    shown = Report(sys.stdout)
    shown.table(_table(found[:limit], names))
    if limit < len(found):
        shown.line(f"The first {limit} of {len(found)} rows are shown.")
    instances = len({(path.package.account, path.package.instance) for path in found})
    shown.line(
        f"{counted(len(found), 'attack path')} on {counted(instances, 'instance')}", style="bold"
    )


def _table(found: list[AttackPath], names: dict[str, str]) -> Table:
    table = Table(
        "Severity", Column("Score", right=True), "Vulnerability", Column("Name", rank=6),
        Column("Instance", rank=5), "Edge", "Port", "Service", Column("Listens by", rank=4),
        "Package", Column("Installed", rank=2), Column("Fixed in", rank=3),
        Column("Sources", rank=7), Column("Account", piped=True), Column("Region", piped=True),
    )  # fmt: skip
    for path in found:
        finding, opening, listener = path.vulnerable, path.opening, path.listener
        line = f":{listener.line}" if listener.line else " (default)"
        table.add_row(
            severity_cell(finding.severity), score_text(finding), finding.vulnerability,
            names.get(path.package.instance, ""), path.package.instance, opening.edge_id,
            f"{listener.port}/{listener.protocol.lower()}", listener.service,
            f"{listener.path}{line}",
            finding.package.name, finding.package.version, finding.fixed_version or "-",
            "anywhere" if opening.anywhere else ", ".join(opening.sources[:3]),
            path.package.account, path.package.region,
        )  # fmt: skip
    return table
