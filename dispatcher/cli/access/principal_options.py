"""The options that describe a principal: of an access key, or of a user of the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

ROLES = ("reader", "operator", "administrator")  # as sidelight.model.Role


def principal_options(
    noun: str, document: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return what adds --account, --role, --also and --fleet, with this noun in their help.

    `document` is the document that the help names for roles.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for option in (
            click.option("--fleet", is_flag=True,
                         help=f"The {noun} sees the data of every account."),
            click.option("--also", "others", multiple=True, metavar="ID",
                         help=f"A further account whose data the {noun} sees. Repeatable."),
            click.option("--role", type=click.Choice(ROLES), default="reader", show_default=True,
                         help=f"What the {noun} may do ({document})."),
            click.option("--account", required=True, metavar="ID",
                         help=f"The account that the {noun} acts for."),
        ):  # fmt: skip
            command = option(command)
        return command

    return decorate
