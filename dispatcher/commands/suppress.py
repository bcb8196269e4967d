"""`sidelight fleet suppress`: rules by Inspector's filter criteria."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dispatcher.commands.fleet_options import format_option, opened_store, store_option
from sidelight.errors import UsageError
from sidelight.report.as_json import dumps
from sidelight.report.as_table import console_for, table
from sidelight.store import SuppressionRule
from sidelight.suppression import FIELDS, Criteria, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

_JSON = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def suppress() -> None:
    """Rules that suppress findings, present and future ones; they still close when fixed."""


@suppress.command("add")
@store_option
@click.argument("name")
@click.option("--criteria", "file", type=_JSON, help="Inspector's FilterCriteria, as JSON.")
@click.option("--equals", multiple=True, metavar="FIELD=VALUE", help="A string criterion.")
@click.option("--prefix", multiple=True, metavar="FIELD=VALUE", help="Likewise.")
@click.option("--not-equals", multiple=True, metavar="FIELD=VALUE", help="Likewise.")
@click.option("--tag", multiple=True, metavar="KEY[=VALUE]", help="A tag of the instance.")
@click.option("--description", default="")
def add(
    name: str, file: Path | None, description: str, store_url: str | None, **given: Any
) -> None:
    """Make the rule NAME, or change it; all findings are judged again.

    Criteria of one field are alternatives, those of several must all agree. Fields are Inspector's:
    vulnerabilityId, severity, resourceId, title, …
    """
    document = read_criteria(file) if file else {}
    for comparison in ("equals", "prefix", "not_equals"):
        for item in given[comparison]:
            field, value = _pair(item)
            _list(document, field).append({"comparison": comparison.upper(), "value": value})
    for item in given["tag"]:
        key, equals, value = item.partition("=")
        test = {"comparison": "EQUALS", "key": key} | ({"value": value} if equals else {})
        _list(document, "resourceTags").append(test)
    parse(document)
    with opened_store(store_url) as store:
        changed = store.rules.save(SuppressionRule(name, json.dumps(document), description))
    click.echo(f"{name}: {changed} findings changed")


@suppress.command("list")
@store_option
@format_option
def show(form: str, store_url: str | None) -> None:
    """The rules."""
    with opened_store(store_url) as store:
        rules = store.rules.all()
    if form == "json":
        click.echo(dumps([_document(rule) for rule in rules]), nl=False)
        return
    rows = table("Rule", "Criteria", "Description")
    for rule in rules:
        rows.add_row(rule.name, rule.criteria, rule.description)
    console_for(sys.stdout).print(rows)


@suppress.command("remove")
@store_option
@click.argument("names", nargs=-1, required=True)
def remove(names: Sequence[str], store_url: str | None) -> None:
    """Remove rules; what only they suppressed is active again."""
    with opened_store(store_url) as store:
        for name in names:
            if not store.rules.remove(name):
                raise UsageError("there is no such rule", where=name)


def read_criteria(file: Path) -> dict[str, Any]:
    """FilterCriteria from a file. Raises UsageError for what is no JSON object."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"is no JSON: {error}", where=str(file)) from error
    if not isinstance(document, dict):
        raise UsageError("holds no JSON object", where=str(file))
    return document


def read_filter(file: Path) -> Criteria:
    """The same, parsed. Raises FormatError, naming the criterion."""
    return parse(read_criteria(file))


def _pair(item: str) -> tuple[str, str]:
    field, equals, value = item.partition("=")
    if not equals or FIELDS.get(field, ("",))[0] != "string":
        raise UsageError("takes FIELD=VALUE with one of Inspector's string criteria", where=item)
    return field, value


def _list(document: dict[str, Any], field: str) -> list[Any]:
    found = document.setdefault(field, [])
    if not isinstance(found, list):
        raise UsageError("takes a list of tests", where=field)
    return found


def _document(rule: SuppressionRule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "description": rule.description,
        "filterCriteria": json.loads(rule.criteria),
        "createdAt": rule.created_at.isoformat() if rule.created_at else None,
        "updatedAt": rule.updated_at.isoformat() if rule.updated_at else None,
    }
