"""`sidelight help`, `version`, `completion` and `man`."""

from __future__ import annotations

import platform
from pathlib import Path

import click

from sidelight import __version__
from sidelight.errors import UsageError

SHELLS = ("bash", "zsh", "fish")
NAME = "sidelight"


@click.command("help")
@click.argument("words", nargs=-1, metavar="[COMMAND]...")
def show_help(words: tuple[str, ...]) -> None:
    """Show the help of a command: `sidelight help fleet scan`."""
    _print(named_command(words).get_help())


@click.command("version")
def version() -> None:
    """Show the versions of Sidelight and of Python."""
    _print(f"{NAME} {__version__}\nPython {platform.python_version()}, {platform.platform()}")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that completes commands and options in a shell.

    bash: `eval "$(sidelight completion bash)"` in ~/.bashrc. zsh: the same in ~/.zshrc, below
    `autoload -U compinit; compinit`. fish: `sidelight completion fish | source` in
    ~/.config/fish/config.fish. Packages write the script to a file of the shell's directory.
    """
    from click.shell_completion import ShellComplete, get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError("has no completion", where=shell)
    root = click.get_current_context().find_root().command
    # Without the check of bash's version, which starts one.
    _print(ShellComplete.source(kind(root, {}, NAME, "_SIDELIGHT_COMPLETE")).strip("\n"))


@click.command("man")
@click.argument("words", nargs=-1, metavar="[COMMAND]...")
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Write the pages of all commands to this directory, as for /usr/share/man/man1.",
              )  # fmt: skip
def man(words: tuple[str, ...], into: Path | None) -> None:
    """Print a command's manual page, or write all pages.

    `sidelight man fleet scan | man -l -` shows one. Its date is that of SOURCE_DATE_EPOCH, if set.
    """
    from dispatcher.cli.manual.man_pages import page_of, pages

    if into is None:
        _print(page_of(named_command(words)).rstrip("\n"))
        return
    if words:
        raise UsageError("writes the pages of all commands", where="--into")
    try:
        into.mkdir(parents=True, exist_ok=True)
        for name, text in pages(click.get_current_context().find_root()):
            (into / f"{name}.1").write_text(text, "utf-8")
    except OSError as error:
        what = f"cannot be written: {error.strerror}"
        raise UsageError(what, where=str(error.filename or into)) from error


def named_command(words: tuple[str, ...]) -> click.Context:
    """Return the context of the command with these words. Raises click.UsageError."""
    context = click.get_current_context().find_root()
    for word in words:
        group = context.command
        if not isinstance(group, click.Group):
            raise UsageError("has no commands of its own", where=context.command_path)
        name, command, _ = group.resolve_command(context, [word])
        if command is None:
            raise UsageError("there is no such command", where=word)
        context = click.Context(command, info_name=name, parent=context)
    return context


def _print(text: str) -> None:
    from sidelight.report.output import say

    for line in text.splitlines():
        # A TAB is a part of the shells' scripts.
        say(line.expandtabs(4), flush=False)
