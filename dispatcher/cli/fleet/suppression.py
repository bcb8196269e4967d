"""`sidelight fleet suppress`: rules by Inspector's filter criteria."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dispatcher.cli.fleet.documents import rules_document
from dispatcher.cli.fleet.options import opened_store
from dispatcher.services.finding_filters import FilterService
from sidelight.errors import FormatError, UsageError
from sidelight.model import SuppressionRule
from sidelight.report.as_json import dumps
from sidelight.report.as_table import counted
from sidelight.report.output import say, write_json
from sidelight.report.tables import Column, Report, Table
from sidelight.suppression import FIELDS, Criteria, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.fleet.settings import Settings

_JSON = click.Path(exists=True, dir_okay=False, path_type=Path)


def add(name: str, file: Path | None, description: str, settings: Settings, **options: Any) -> None:
    """`sidelight fleet suppress add`: its options are in suppress_commands.py."""
    document = read_criteria(file) if file else {}
    for comparison in ("equals", "prefix", "not_equals"):
        for item in options[comparison]:
            field, value = _pair(item)
            _list(document, field).append({"comparison": comparison.upper(), "value": value})
    for item in options["tag"]:
        key, equals, value = item.partition("=")
        test = {"comparison": "EQUALS", "key": key} | ({"value": value} if equals else {})
        _list(document, "resourceTags").append(test)
    parsed(document, where=str(file or ""))
    with opened_store(settings, create=True) as store:
        changed = FilterService(store).save(
            SuppressionRule(name, json.dumps(document), description)
        )
    say(f"{name}: {counted(changed, 'finding')} changed")


def show(form: str, settings: Settings) -> None:
    """`sidelight fleet suppress list`: its options are in suppress_commands.py."""
    with opened_store(settings) as store:
        rules = store.suppression_rules.all("")
    if form == "json":
        write_json(dumps(rules_document(rules)))
        return
    rows = Table(
        "Rule", Column("Criteria", rank=2, prose=True), Column("Description", rank=1, prose=True)
    )
    for rule in rules:
        rows.add_row(rule.name, rule.criteria, rule.description)
    Report(sys.stdout).table(rows)


def remove(names: Sequence[str], settings: Settings) -> None:
    """`sidelight fleet suppress remove`: its options are in suppress_commands.py."""
    with opened_store(settings) as store:
        for name in names:
            if not FilterService(store).remove(name):
                raise UsageError("there is no such rule", where=name)


def read_criteria(file: Path) -> dict[str, object]:
    """Read FilterCriteria from a file. Raises UsageError for a file that is not a JSON object."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"is not JSON: {error}", where=str(file)) from error
    if not isinstance(document, dict):
        raise UsageError("is not a JSON object", where=str(file))
    return document


def read_filter(file: Path) -> Criteria:
    """Read and parse FilterCriteria. Raises UsageError, naming the criterion."""
    return parsed(read_criteria(file), where=str(file))


def parsed(document: dict[str, object], *, where: str = "") -> Criteria:
    """Parse a user's filter criteria. Raises UsageError, naming the criterion."""
    try:
        return parse(document)
    except FormatError as error:
        place = ": ".join(filter(None, (where, error.where)))
        raise UsageError(error.what, where=place) from error


def _pair(item: str) -> tuple[str, str]:
    field, equals, value = item.partition("=")
    if not equals or FIELDS.get(field, ("",))[0] != "string":
        raise UsageError("takes FIELD=VALUE with one of Inspector's string criteria", where=item)
    return field, value


def _list(document: dict[str, object], field: str) -> list[object]:
    found = document.setdefault(field, [])
    if not isinstance(found, list):
        raise UsageError("takes a list of tests", where=field)
    return found
