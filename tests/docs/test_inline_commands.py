"""Commands that sentences of the documents name, in backquotes, exist with their options."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from dispatcher.cli import root

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    page
    for page in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))
    # It names what was, too.
    if page.name != "CHANGELOG.md"
]
FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(sidelight [^`]+)`")
# A word that stands for others, as a document writes it.
PLACE = re.compile(r"…|[A-Z_…-]+…?|\[.*|.*\]|\|")


def named(page: Path) -> list[str]:
    text = FENCE.sub("", page.read_text())
    return [" ".join(found.split()) for found in INLINE.findall(text)]


# The page says what the command line answers to it.
MISTAKEN = ("docs/cli.md", "sidelight findings")
CASES = sorted({(str(page.relative_to(ROOT)), text) for page in PAGES for text in named(page)})


def check(text: str) -> None:
    """Raise click.UsageError for a command or an option that does not exist."""
    words = shlex.split(re.split(r" (?:\\?\||>|&&|<) ", text)[0])[1:]
    context = click.Context(root.sidelight, info_name="sidelight")
    while isinstance(context.command, click.Group):
        group = context.command
        while words and words[0].startswith("-"):
            # An option of the group, of which one has a value.
            words = words[2:] if words[0] == "--config" else words[1:]
        if not words or PLACE.fullmatch(words[0]):
            return
        if "|" in words[0]:
            for each in words[0].split("|"):
                check(shlex.join(["sidelight", each, *words[1:]]))
            return
        command = group.get_command(context, words[0])
        if command is None:
            raise click.UsageError(f"no command {words[0]}")
        context = click.Context(command, info_name=words[0], parent=context)
        words = words[1:]
    _check_options(context, [word for word in words if word != "…"])


def _check_options(context: click.Context, words: list[str]) -> None:
    values, rest, _ = context.command.make_parser(context).parse_args(words)
    if rest:
        raise click.UsageError(f"unexpected {rest}")
    for parameter in context.command.params:
        if isinstance(parameter.type, click.Choice):
            value = values.get(parameter.name or "")
            for one in value if isinstance(value, list | tuple) else [value]:
                if isinstance(one, str) and not PLACE.fullmatch(one):
                    parameter.type.convert(one, parameter, context)


@pytest.mark.parametrize(("page", "text"), CASES)
def test_a_named_command_exists_with_its_options(page: str, text: str) -> None:
    if (page, text) == MISTAKEN:
        with pytest.raises(click.UsageError):
            check(text)
    else:
        check(text)


@pytest.mark.parametrize(
    "text",
    [
        "sidelight findings", "sidelight fleet scann", "sidelight scan disk.img --no-such",
        "sidelight fleet findings --format yaml", "sidelight fleet status extra",
    ],
)  # fmt: skip
def test_what_does_not_exist_is_noticed(text: str) -> None:
    with pytest.raises(click.UsageError):
        check(text)
