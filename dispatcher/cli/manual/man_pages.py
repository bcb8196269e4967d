"""Manual pages in roff, made of the commands' own texts. Source: man(7) of groff and of mandoc."""

from __future__ import annotations

import inspect
import os
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from sidelight import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMMAND: Final = re.compile(r"`([^`]+)`")
_STATUSES: Final = (
    ("0", "Done."),
    ("1", "With --fail-on, a finding at or above that severity; doctor: warnings."),
    ("2", "Wrong usage; doctor: errors."),
    ("3", "Partial: a machine was read, or covered by advisories, only in part."),
    ("4", "Failed."),
    ("130", "Interrupted."),
)
_FILES: Final = (
    ("~/.config/sidelight/sidelight.toml", "The user's configuration file."),
    ("./sidelight.toml", "What a repository may set (docs/config-file.md)."),
)


def commands_from(context: click.Context) -> Iterator[click.Context]:
    """Yield the context of a command, and those of all commands below it, in their order."""
    yield context
    command = context.command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                yield from commands_from(click.Context(child, info_name=name, parent=context))


def pages(context: click.Context) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of a command's page, and of those below it."""
    for found in commands_from(context):
        yield found.command_path.replace(" ", "-"), page_of(found)


def page_of(context: click.Context) -> str:
    """Return the page of one command."""
    command, name = context.command, context.command_path.replace(" ", "-")
    first, *paragraphs = _paragraphs(command)
    lines = [
        f'.TH "{_text(name.upper())}" 1 "{_date()}" "Sidelight {__version__}" "Sidelight"',
        ".nh",
        ".ad l",
        ".SH NAME",
        f"{_text(name)} \\- {_text(first.rstrip('.'))}",
        ".SH SYNOPSIS",
        f".B {_text(context.command_path)}",
        " ".join(map(_text, command.collect_usage_pieces(context))),
        ".SH DESCRIPTION",
        _marked(first),
    ]
    for paragraph in paragraphs:
        lines += [".PP", _marked(paragraph)]
    lines += _options(context)
    if isinstance(command, click.Group):
        lines += _commands(context, command)
    if context.parent is None:
        lines += _listed("EXIT STATUS", _STATUSES)
        lines += _listed("FILES", _FILES)
    lines += _see_also(context)
    return "\n".join(lines) + "\n"


def _paragraphs(command: click.Command) -> list[str]:
    text = inspect.cleandoc(command.help or command.short_help or "")
    return [" ".join(part.split()) for part in text.split("\n\n")]


def _options(context: click.Context) -> list[str]:
    lines = []
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            lines += [".TP", f"\\fB{_text(record[0])}\\fR", _marked(record[1])]
    return [".SH OPTIONS", *lines] if lines else []


def _commands(context: click.Context, group: click.Group) -> list[str]:
    lines = [".SH COMMANDS"]
    path = context.command_path.replace(" ", "-")
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None:
            short = command.get_short_help_str(1000)
            lines += [".TP", f"\\fB{_text(f'{path}-{name}')}\\fR(1)", _marked(short)]
    return lines


def _listed(title: str, rows: tuple[tuple[str, str], ...]) -> list[str]:
    lines = [f".SH {title}"]
    for name, text in rows:
        lines += [".TP", f"\\fB{_text(name)}\\fR", _marked(text)]
    return lines


def _see_also(context: click.Context) -> list[str]:
    if context.parent is None:
        return []
    above = context.parent.command_path.replace(" ", "-")
    return [".SH SEE ALSO", f"\\fB{_text(above)}\\fR(1)"]


def _marked(text: str) -> str:
    """Return a text whose quoted commands are bold."""
    parts = _COMMAND.split(" ".join(text.split()))
    shown = [_text(part) if number % 2 == 0 else f"\\fB{_text(part)}\\fR"
             for number, part in enumerate(parts)]  # fmt: skip
    joined = "".join(shown)
    return f"\\&{joined}" if joined.startswith((".", "'")) else joined


def _text(text: str) -> str:
    r"""Escape what roff reads: a backslash, and hyphens, which are minus signs in commands."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    escaped = escaped.replace("~", "\\(ti").replace("^", "\\(ha").replace("`", "\\(ga")
    escaped = "".join(
        character if ord(character) < 128 else f"\\[u{ord(character):04X}]" for character in escaped
    )
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def _date() -> str:
    """Return the day of SOURCE_DATE_EPOCH (reproducible-builds.org), or today."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH", "")
    day = datetime.fromtimestamp(int(seconds), UTC) if seconds.isdecimal() else datetime.now(UTC)
    return day.date().isoformat()
