"""`--quiet` of every command: no progress and no notes."""

from __future__ import annotations

import click


def add_quiet(command: click.Command) -> None:
    """Add -q and --quiet to a command, once."""
    if not any(parameter.name == "quiet" for parameter in command.params):
        command.params.append(
            click.Option(
                ["-q", "--quiet"], is_flag=True, expose_value=False, callback=_set,
                help="Show no progress and no notes. Warnings and errors remain.",
            )
        )  # fmt: skip


def _set(context: click.Context, parameter: click.Parameter, value: object) -> None:
    del parameter
    if not value:
        return
    from sidelight.report import output

    before = output.set_quiet(quiet=True)
    context.call_on_close(lambda: output.set_quiet(quiet=before))
