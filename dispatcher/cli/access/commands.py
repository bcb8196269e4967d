"""Options of `sidelight access`. What the commands do is imported when they run."""

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
@principal_options("principal", "docs/api.md")
@click.option("--days", type=click.IntRange(0, 3650), default=0, show_default=True,
              help="Days until the key expires; 0: it does not.")  # fmt: skip
@format_option
@takes_settings(STORE)
def create(  # noqa: PLR0913 - its options, by keyword
    *,
    name: str,
    account: str,
    role: str,
    others: tuple[str, ...],
    fleet: bool,
    days: int,
    form: str,
    settings: Settings,
) -> None:
    """Issue an access key to a principal, and show its secret once.

    NAME is the principal's: a person or a program. Several keys may have the same name, so that one
    replaces the other without a gap. Needs SIDELIGHT_ACCESS_SEAL and the extra `serve`.
    """
    from dispatcher.cli.access import keys

    scope = None if fleet else frozenset(others)
    keys.create(name, account, role, scope, days=days, form=form, settings=settings)


@click.command("list")
@format_option
@takes_settings(STORE)
def show(form: str, settings: Settings) -> None:
    """List the access keys: principal, role, scope and last use."""
    from dispatcher.cli.access import keys

    keys.show(form, settings)


@click.command("revoke")
@click.argument("ids", nargs=-1, required=True, metavar="KEY...")
@takes_settings(STORE)
def revoke(ids: tuple[str, ...], settings: Settings) -> None:
    """Revoke access keys, from the next request on."""
    from dispatcher.cli.access import keys

    keys.revoke_keys(ids, settings)


@click.command("audit")
@click.option("--principal", default="", metavar="NAME", help="Only the calls of this principal.")
@click.option("--last", type=click.IntRange(1, 100_000), default=100, show_default=True,
              help="How many calls, the newest first.")  # fmt: skip
@format_option
@takes_settings(STORE)
def audit(principal: str, last: int, form: str, settings: Settings) -> None:
    """List who changed what over the API, and what was refused."""
    from dispatcher.cli.access import keys

    keys.audit(principal, last, form, settings)
