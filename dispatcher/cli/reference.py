"""docs/cli-reference.md, written from every command's help: `make docs`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from dispatcher.cli.manual.man_pages import commands_from
from dispatcher.cli.root import NAME, sidelight

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH: Final = 80  # columns of a help
INTRODUCTION: Final = """# Reference of the command line

Written by `make docs` from the commands' own help. [cli.md](cli.md) has exit statuses, completion
and extras, [settings.md](settings.md) the variables in brackets.
"""


def commands(command: click.Command) -> Iterator[tuple[str, str]]:
    """Yield the name and the help of a command and of all below it, in their order."""
    settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    for context in commands_from(click.Context(command, info_name=NAME, **settings)):
        yield context.command_path, context.get_help()


def text() -> str:
    """Return the whole page."""
    parts = [INTRODUCTION]
    for name, shown in commands(sidelight):
        level = "##" if name.count(" ") < 2 else "###"
        body = "\n".join(line.rstrip() for line in shown.split("\n"))
        parts.append(f"{level} {name}\n\n```text\n{body}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), encoding="utf-8")
