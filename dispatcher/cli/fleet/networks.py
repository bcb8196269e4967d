"""`sidelight fleet network`: evaluate the networks of account-regions in this process."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Unpack

from dispatcher.cli.exit_status import FAILED, PARTIAL
from dispatcher.cli.fleet.options import wanted_of
from dispatcher.planning.eligibility import Configuration
from dispatcher.services.fleet_service import FleetService
from sidelight.fleet.bootstrap import make_context
from sidelight.fleet.networks.evaluation import NetworkResult, evaluate, of_context
from sidelight.report.as_json import dumps
from sidelight.report.as_table import counted
from sidelight.report.output import complain, write_json
from sidelight.report.progress import live
from sidelight.report.tables import Column, Report, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dispatcher.cli.option_values import FleetValues
    from sidelight.documents.network import NetworkEvaluationDocument
    from sidelight.fleet.settings import Settings


def evaluate_fleet(settings: Settings, **options: Unpack[FleetValues]) -> None:
    """`sidelight fleet network`: its options are in dispatcher.cli.fleet.commands."""
    control = FleetService(settings)
    try:
        parts = of_context(make_context(settings, store=control.store))
        configuration = Configuration(exclusion_tag=options["exclusion_tag"])
        with live("discovering instances"):
            targets = control.look_up(wanted_of(options))
            started = control.scans.discover_everywhere(targets, configuration)
        if started.unreachable and not started.reached:
            raise started.unreachable[0].error
        for target in started.unreachable:
            complain(f"sidelight: not evaluated: {target}")
        control.networks.keep(started.reached)
        control.networks.request(started.reached)
        results = []
        for account_region in started.reached:
            with live(f"evaluating the network of {account_region}"):
                result = evaluate(parts, account_region.account, account_region.region)
            if result is None:
                complain(f"sidelight: {account_region}: another process evaluates it now")
            else:
                results.append(result)
    finally:
        control.close()
    _show(results, options["form"])
    bad = [result for result in results if result.failure]
    if bad or started.unreachable or any(result.problems for result in results):
        sys.exit(FAILED if bad and len(bad) == len(results) else PARTIAL)


def _show(results: Sequence[NetworkResult], form: str) -> None:
    if form == "json":
        write_json(dumps([_document(result) for result in results]))
    else:
        table = Table(
            "Account", "Region", Column("Instances", right=True), Column("Opened", right=True),
            Column("Kept", right=True), Column("Closed", right=True),
        )  # fmt: skip
        for result in results:
            changes = result.findings
            table.add_row(
                result.account, result.region, str(result.evaluated), str(changes.opened),
                str(changes.kept), str(changes.closed),
            )  # fmt: skip
        shown = Report(sys.stdout)
        shown.table(table)
        total = sum(result.findings.opened + result.findings.kept for result in results)
        shown.line(f"{counted(total, 'network finding')} open", style="bold")
    for result in results:
        if result.failure:
            complain(f"sidelight: {result.account}/{result.region}: {result.failure}")
        for text in dict.fromkeys(f"{item.where}: {item.what}" for item in result.problems):
            complain(f"sidelight: {text}")


def _document(result: NetworkResult) -> NetworkEvaluationDocument:
    changes = result.findings
    return {
        "account": result.account,
        "region": result.region,
        "instances": result.evaluated,
        "findings": {
            "opened": changes.opened,
            "kept": changes.kept,
            "closed": changes.closed,
        },
        "problems": [{"where": item.where, "what": item.what} for item in result.problems],
        "failure": result.failure,
    }
