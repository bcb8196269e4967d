"""`sidelight doctor`."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Unpack

import click

from dispatcher.cli.exit_status import DONE, FAULTS, WARNINGS
from dispatcher.cli.fleet.options import (
    EXCLUSION_TAG,
    account_region_options,
    format_option,
    wanted_of,
)
from dispatcher.cli.setting_options import ADVISORIES, BROKER, STORE, takes_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dispatcher.cli.option_values import FleetValues
    from dispatcher.doctor import Check
    from sidelight.documents.doctor import DoctorDocument
    from sidelight.fleet.settings import Settings

STYLES = {"OK": "green", "WARNING": "yellow", "ERROR": "red bold", "NOT_CHECKED": "dim"}


@click.command("doctor")
@account_region_options
@takes_settings(STORE, BROKER, ADVISORIES)
@format_option
@click.option("--exclusion-tag", default=EXCLUSION_TAG, show_default=True, metavar="KEY",
              help="Try no permission on an instance with this tag.")  # fmt: skip
def doctor(settings: Settings, **options: Unpack[FleetValues]) -> None:
    """Check settings, store, broker, advisories and AWS permissions.

    Each check is OK, WARNING, ERROR or NOT_CHECKED, with what is wrong and how to fix it. Nothing
    is changed: EC2's calls are sent with DryRun, all others are reads.

    Exit status: 0 nothing found, 1 warnings, 2 errors.
    """
    from dispatcher.cli.config.file_checks import configuration_checks
    from dispatcher.doctor import examine
    from sidelight.report.as_json import dumps
    from sidelight.report.output import write_json
    from sidelight.report.progress import live

    with _quiet(), live("checking") as line:
        checks: list[Check] = list(configuration_checks())
        for check in examine(settings, wanted_of(options), options["exclusion_tag"]):
            line.text = f"{check.group} {check.where}".rstrip()
            checks.append(check)
    document = _document(checks)
    if options["form"] == "json":
        write_json(dumps(document))
    else:
        _print(checks, document)
    sys.exit(FAULTS if document["errors"] else WARNINGS if document["warnings"] else DONE)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep warnings of the parts from the terminal: the checks report what they mean."""
    import logging

    root = logging.getLogger()
    before = root.level
    if not os.environ.get("SIDELIGHT_DEBUG"):
        root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(before)


def _document(checks: Sequence[Check]) -> DoctorDocument:
    statuses = [check.status.value for check in checks]
    return {
        "checks": [
            {
                "group": check.group,
                "name": check.name,
                "account": check.account,
                "region": check.region,
                "status": check.status.value,
                "detail": check.detail,
                "remedy": check.remedy,
            }
            for check in checks
        ],
        "ok": statuses.count("OK"),
        "warnings": statuses.count("WARNING"),
        "errors": statuses.count("ERROR"),
        "not_checked": statuses.count("NOT_CHECKED"),
    }


def _print(checks: Sequence[Check], document: DoctorDocument) -> None:
    from sidelight.report.tables import Cell, Column, Report, Table

    rows = Table("Status", "Check", Column("Account-region", rank=1), Column("Detail", prose=True))
    for check in checks:
        remedy = "" if check.status == "OK" or not check.remedy else f" Fix: {check.remedy}"
        rows.add_row(
            Cell(check.status.value.replace("_", " ").lower() if check.status == "NOT_CHECKED"
                 else check.status.value, STYLES[check.status.value]),
            f"{check.group}: {check.name}",
            check.where,
            f"{check.detail.rstrip('.')}.{remedy}" if remedy else check.detail,
        )  # fmt: skip
    shown = Report(sys.stdout)
    shown.table(rows)
    shown.line(
        f"{document['ok']} OK, {document['warnings']} warnings, {document['errors']} errors,"
        f" {document['not_checked']} not checked; nothing was changed"
    )
