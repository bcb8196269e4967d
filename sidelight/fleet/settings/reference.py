"""docs/settings.md, written from the definitions of all settings: `make docs`."""

from __future__ import annotations

import inspect
import sys
from dataclasses import fields
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Final

from sidelight.fleet.settings.definition import Definition, Kind, Process, definition_of
from sidelight.fleet.settings.settings import OTHERS, TESTS, groups

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WIDTH = 120
TITLES: Final = {
    "store": "Store",
    "broker": "Broker",
    "workers": "Workers",
    "retries": "Retries",
    "aws": "Accounts and roles",
    "snapshots": "Snapshots",
    "sources": "Scans without new snapshots",
    "rates": "Rate limits",
    "budget": "Budget",
    "reading": "Reading",
    "findings": "Findings",
    "webhooks": "Webhooks",
    "updates": "Updates of advisories",
    "agents": "Systems Manager's agents",
    "changes": "Changes in accounts",
    "api": "API and server",
    "oidc": "Sign-in by OIDC",
    "logs": "Logs and traces",
    "networks": "Networks",
}
PROCESSES: Final = {
    Process.MACHINE: "`scan`, `inventory`, `ls`, `cat` and `tree` of images and snapshots",
    Process.ADVISORIES: "`advisories update` and `advisories bundle`",
    Process.INSTANCE: "`scan i-…` and `inventory i-…`",
    Process.FLEET: "`fleet scan`, `fleet status` and so on, until they end",
    Process.DISPATCHER: "`fleet run`",
    Process.WAITING: "`fleet worker waiting`",
    Process.COMPUTING: "`fleet worker computing`",
    Process.SERVE: "`serve`",
}
INTRODUCTION: Final = """
Every command, the dispatcher and the workers read their settings once, when they start: from
options, from the environment, and from the configuration file (docs/config-file.md). An option wins
over its variable, the variable over the file, and the file over the default. An invalid value is
refused with its variable's name. A `SIDELIGHT_` variable that is not listed here is refused as
well, since it is misspelt. Commands that scan refuse settings that contradict each other; commands
that only read do not.

A variable's type is text, a whole number, a number, or yes or no (`1`, `true`, `yes`, `on`, or `0`,
`false`, `no`, `off`). Numbers are 0 or more, unless their range is shown.
"""
KUBERNETES: Final = """
In Kubernetes the variables of a Service called `sidelight-…` (`SIDELIGHT_METRICS_SERVICE_HOST`) are
recognised and ignored.
"""


def page() -> str:
    """Return the page, in Markdown."""
    parts = [
        "# Settings",
        "<!-- Written by `make docs` from sidelight/fleet/settings: edit it there. -->",
        *_paragraphs(INTRODUCTION),
        "What reads a setting:",
        _table(["name", "process"], ([process.value, PROCESSES[process]] for process in Process)),
    ]
    for name, group in groups().items():
        rows = [_row(definition_of(member)) for member in fields(group)]
        parts += [f"## {TITLES[name]}", *_paragraphs(inspect.getdoc(group) or "")]
        parts.append(_table(["variable", "type", "default", "unit", "meaning", "read by"], rows))
    others = [(f"`{name}`", what) for name, what in OTHERS.items()]
    others.append((f"`{TESTS}…`", "the tests' own worker processes"))
    parts += ["## Other variables", _table(["variable", "what reads it"], others)]
    parts += _paragraphs(KUBERNETES)
    return "\n\n".join(parts) + "\n"


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.strip().split("\n\n"):
        yield "\n".join(wrap(paragraph, WIDTH, break_long_words=False, break_on_hyphens=False))


def _row(definition: Definition) -> list[str]:
    default = definition.format(definition.default)
    if definition.kind is Kind.NUMBER:
        default = f"{definition.default:g}"
    return [
        f"`{definition.variable}`",
        definition.range,
        f"`{default}`" if default else "",
        definition.unit,
        definition.meaning,
        _names(definition.readers),
    ]


def _names(readers: tuple[Process, ...]) -> str:
    """Return the readers' names, those of both kinds of workers as one, in the enum's order."""
    others = [process.value for process in Process if process not in readers]
    if len(others) <= 1:
        return f"all but {others[0]}" if others else "all"
    names = [process.value for process in Process if process in readers]
    if {Process.WAITING, Process.COMPUTING} <= set(readers):
        names[names.index(Process.WAITING.value)] = "workers"
        names.remove(Process.COMPUTING.value)
    return ", ".join(names)


def _table(header: list[str], rows: Iterable[Iterable[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), "utf-8")
