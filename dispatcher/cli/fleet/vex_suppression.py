"""`sidelight fleet suppress add-vex|list-vex|remove-vex`: VEX documents for a whole fleet."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from dispatcher.cli.fleet.options import opened_store
from dispatcher.cli.vex_files import read_documents, report_statements
from dispatcher.services.vex_suppression import OLDER, UNCHANGED, VexService
from sidelight.errors import FormatError, UsageError
from sidelight.report.as_json import dumps
from sidelight.report.as_table import counted
from sidelight.report.output import say, write_json
from sidelight.report.tables import Column, Report, Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dispatcher.services.vex_suppression import DocumentOutcome, VexAddition
    from sidelight.documents import vex
    from sidelight.fleet.settings import Settings
    from sidelight.model import VexSource
    from sidelight.store import StatedFinding


def add(files: Sequence[Path], form: str, settings: Settings, *, dry_run: bool) -> None:
    """`sidelight fleet suppress add-vex`: its options are in suppress_commands.py."""
    documents = read_documents(files)
    with opened_store(settings, create=not dry_run) as store:
        try:
            result = VexService(store).add(documents, dry_run=dry_run)
        except FormatError as error:
            raise UsageError(error.what) from error
    if form == "json":
        write_json(dumps(_addition(result)))
        return
    if dry_run:
        _table(result.findings)
    for item in result.documents:
        say(_line(item))
        report_statements(item.source.file, item.unmatched)
    if dry_run:
        say(f"{counted(len(result.findings), 'finding')} would change; nothing is written.")
    else:
        say(f"{counted(result.changed, 'finding')} changed")


def show(form: str, settings: Settings) -> None:
    """`sidelight fleet suppress list-vex`: its options are in suppress_commands.py."""
    with opened_store(settings) as store:
        found = VexService(store).all()
    if form == "json":
        write_json(dumps([_source(item) for item in found]))
        return
    rows = Table(
        "File", "Version", Column("Author", rank=2), Column("Format", rank=3),
        Column("Statements", right=True), Column("Added", rank=1), Column("Id", rank=1, prose=True),
    )  # fmt: skip
    for item in found:
        added = "" if item.added_at is None else item.added_at.isoformat(" ", "minutes")
        rows.add_row(item.file, item.version, item.author, item.format, str(item.statements), added,
                     item.identity)  # fmt: skip
    Report(sys.stdout).table(rows)


def remove(names: Sequence[str], settings: Settings) -> None:
    """`sidelight fleet suppress remove-vex`: its options are in suppress_commands.py."""
    with opened_store(settings) as store:
        service = VexService(store)
        for name in names:
            found = service.named(name)
            if not found:
                raise UsageError("there is no such VEX document", where=name)
            if len(found) > 1:
                what = "several documents have this file name: name one by its id (list-vex)"
                raise UsageError(what, where=name)
            changed = service.remove(found[0]) or 0
            say(f"{name}: {counted(changed, 'finding')} changed")


def _line(item: DocumentOutcome) -> str:
    source = item.source
    what = {UNCHANGED: "is stored already", OLDER: "is older than another version: left out"}
    text = what.get(item.outcome, item.outcome)
    if item.before and item.outcome not in what:
        text = f"{text}, version {item.before} before"
    count = counted(source.statements, "statement")
    if item.outcome != OLDER:
        count = f"{count}, {len(item.unmatched)} about no open finding"
    return f"{source.shown}: {text}; {count}"


def _table(findings: Sequence[StatedFinding]) -> None:
    rows = Table(
        "Instance", "Vulnerability", "Package", "Becomes",
        Column("Why", rank=1, prose=True), Column("Document", rank=2),
    )  # fmt: skip
    for item in findings:
        stated, package = item.statement, item.finding.package
        why = ", ".join(filter(None, (stated.status.value, stated.justification,
                                      stated.statement))) if stated else ""  # fmt: skip
        rows.add_row(
            item.place.instance, item.finding.vulnerability, f"{package.name} {package.version}",
            item.status.value, why, item.document,
        )  # fmt: skip
    Report(sys.stdout).table(rows)


def _addition(result: VexAddition) -> vex.VexAdditionDocument:
    return {
        "documents": [
            {
                "file": item.source.file,
                "identity": item.source.identity,
                "format": item.source.format,
                "version": item.source.version,
                "version_before": item.before,
                "author": item.source.author,
                "statements": item.source.statements,
                "unmatched": len(item.unmatched),
                "outcome": item.outcome,
            }
            for item in result.documents
        ],
        "findings": [_finding(item) for item in result.findings],
        "changed": result.changed,
    }


def _finding(item: StatedFinding) -> vex.StatedFindingDocument:
    stated, package = item.statement, item.finding.package
    return {
        "arn": item.arn,
        "account": item.place.account,
        "region": item.place.region,
        "instance": item.place.instance,
        "vulnerability": item.finding.vulnerability,
        "package": package.name,
        "package_version": package.version,
        "status": item.status,
        "vex_status": stated.status.value if stated else "",
        "justification": stated.justification if stated else "",
        "statement": stated.statement if stated else "",
        "file": item.document,
    }


def _source(item: VexSource) -> vex.VexSourceDocument:
    return {
        "identity": item.identity,
        "format": item.format,
        "version": item.version,
        "author": item.author,
        "issued": item.issued,
        "file": item.file,
        "sha256": item.sha256,
        "statements": item.statements,
        "added_at": None if item.added_at is None else item.added_at.isoformat(),
    }
