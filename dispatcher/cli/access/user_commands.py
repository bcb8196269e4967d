"""Options of `sidelight access user`. What the commands do is imported when they run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dispatcher.cli.access.principal_options import principal_options
from dispatcher.cli.fleet.options import format_option
from dispatcher.cli.setting_options import STORE, takes_settings

if TYPE_CHECKING:
    from sidelight.fleet.settings import Settings


@click.command("create")
@click.argument("name")
@principal_options("person", "docs/console.md")
@takes_settings(STORE)
def create(  # noqa: PLR0913 - its options, by keyword
    *,
    name: str,
    account: str,
    role: str,
    others: tuple[str, ...],
    fleet: bool,
    settings: Settings,
) -> None:
    """Create a user of the console.

    The password, of 12 characters at least, is read from the terminal or from a line of standard
    input.
    """
    from dispatcher.cli.access import users

    scope = None if fleet else frozenset(others)
    users.create(name, account, role, scope, settings=settings)


@click.command("list")
@format_option
@takes_settings(STORE)
def show(form: str, settings: Settings) -> None:
    """List the users of the console: role, scope and last sign-in."""
    from dispatcher.cli.access import users

    users.show(form, settings)


@click.command("password")
@click.argument("name")
@takes_settings(STORE)
def password(name: str, settings: Settings) -> None:
    """Set a user's password, and end the user's sessions.

    The password is read from the terminal, or from a line of standard input.
    """
    from dispatcher.cli.access import users

    users.set_password(name, settings)


@click.command("revoke")
@click.argument("name")
@takes_settings(STORE)
def revoke(name: str, settings: Settings) -> None:
    """Revoke a user of the console, and end the user's sessions."""
    from dispatcher.cli.access import users

    users.revoke(name, settings)


@click.command("reactivate")
@click.argument("name")
@takes_settings(STORE)
def reactivate(name: str, settings: Settings) -> None:
    """Reactivate a revoked user of the console."""
    from dispatcher.cli.access import users

    users.reactivate(name, settings)
