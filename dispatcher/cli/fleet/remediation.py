"""`sidelight fleet plan` and `recount`: which upgrades close most, and the counts of overviews."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from dispatcher.cli.fleet.options import opened_store, report_no_instance
from sidelight.model import MOST_SEVERE_FIRST
from sidelight.report.as_json import dumps
from sidelight.report.as_table import counted
from sidelight.report.output import say, write_json
from sidelight.report.tables import Column, Report, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.documents.remediation import UpgradeDocument
    from sidelight.fleet.settings import Settings
    from sidelight.model import Severity
    from sidelight.remediation import UpgradeAction
    from sidelight.store import Store, UpgradedMachine

MOST_MACHINES = 1000  # of one action in the document


def upgrade_plan(
    form: str,
    settings: Settings,
    accounts: tuple[str, ...],
    severity: frozenset[Severity],
    limit: int,
) -> None:
    """`sidelight fleet plan`: its options are in dispatcher.cli.fleet.remediation_commands."""
    scope = accounts or None
    with opened_store(settings) as store:
        actions = store.remediations.compute(scope, severity, limit).actions
        if not actions:
            report_no_instance(store)
        if form == "json":
            write_json(dumps([_document(store, action, scope) for action in actions]))
            return
    shown = Report(sys.stdout)
    shown.table(_table(actions))
    findings = counted(sum(action.findings for action in actions), "finding")
    shown.line(f"{counted(len(actions), 'upgrade')} close {findings}", style="bold")


def recount(settings: Settings, days: int) -> None:
    """`sidelight fleet recount`: its options are in dispatcher.cli.fleet.remediation_commands."""
    with opened_store(settings) as store:
        sets = 0
        while done := store.installed_packages.index():
            sets += done
        store.kept_counts.recount()
        store.fleet_counts.rebuild(days)
        store.fleet_counts.recount_costs()
        actions = store.remediations.refresh()
    say(
        f"counted {counted(days, 'day')} again, {counted(actions, 'upgrade')} in the plan, "
        f"{counted(sets, 'package set')} added to the index"
    )


def _table(actions: Sequence[UpgradeAction]) -> Table:
    table = Table(
        "Package", "To version", Column("System", rank=2), Column("Machines", right=True),
        Column("Exposed", rank=4, right=True), Column("Closes", right=True),
        *(Column(grade.value.capitalize(), rank=5 + number, right=True)
          for number, grade in enumerate(MOST_SEVERE_FIRST)),
        Column("Exploited", rank=3, right=True), Column("Reboot", rank=1),
        Column("Command", rank=11),
    )  # fmt: skip
    for action in actions:
        table.add_row(
            action.package, action.version, action.ecosystem or action.purl_type,
            str(action.machines), str(action.exposed or ""), str(action.findings),
            *(str(action.closes.get(grade.value, "")) for grade in MOST_SEVERE_FIRST),
            str(action.exploited or ""), "yes" if action.reboot else "", action.command or "-",
        )  # fmt: skip
    return table


def _document(
    store: Store, action: UpgradeAction, accounts: tuple[str, ...] | None
) -> UpgradeDocument:
    """Return an action with its first machines; `machines` has their whole number."""
    listed: list[UpgradedMachine] = store.remediations.machines(
        action.key, accounts, limit=MOST_MACHINES
    )
    return {
        "package": action.package,
        "type": action.purl_type,
        "ecosystem": action.ecosystem,
        "version": action.version,
        "command": action.command,
        "reboot": action.reboot,
        "weight": action.weight,
        "findings": action.findings,
        "severities": {
            grade.value: action.closes.get(grade.value, 0) for grade in MOST_SEVERE_FIRST
        },
        "vulnerabilities": action.vulnerabilities,
        "exploited": action.exploited,
        "machines": action.machines,
        "exposed": action.exposed,
        "instances": [
            {
                "account": machine.place.account,
                "region": machine.place.region,
                "instance": machine.place.instance,
                "name": machine.label,
                "findings": machine.findings,
            }
            for machine in listed
        ],
    }
