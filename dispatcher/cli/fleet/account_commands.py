"""Options of `sidelight fleet enable|disable|configure|accounts`.

What the commands do is imported when they run: their help and completion need not wait for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dispatcher.cli.fleet.options import format_option
from dispatcher.cli.setting_options import STORE, takes_settings

if TYPE_CHECKING:
    from collections.abc import Callable

MODES = ("EC2_SSM_AGENT_BASED", "EC2_HYBRID")  # as sidelight.model.Ec2ScanMode


def _target_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--dry-run", is_flag=True, help="List what would change; change nothing."),
        click.option("--organization", metavar="ID",
                     help="All members of this configured organization."),
        click.argument("accounts", nargs=-1, metavar="[ACCOUNT]..."),
    ):  # fmt: skip
        command = option(command)
    return command


def _setting_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--no-paths", is_flag=True, help="Remove the account's custom paths."),
        click.option("--path", "paths", multiple=True, metavar="PATH",
                     help="Look for language packages in this directory too; replaces the account's"
                     " paths. Repeatable, at most 5."),
        click.option("--exclusion-tag", metavar="KEY",
                     help="Do not scan instances with a tag of this key: their own, a volume's, or"
                     " that of a volume's KMS key. Never set: InspectorEc2Exclusion."),
        click.option("--deep-inspection/--no-deep-inspection", "deep_inspection", default=None,
                     help="Collect language packages by agent. Never set: yes."),
        click.option("--mode", type=click.Choice(MODES),
                     help="Scan by agents alone, or by snapshots where no agent reports. Never set:"
                     " EC2_HYBRID."),
    ):  # fmt: skip
        command = option(command)
    return command


@click.command("enable")
@takes_settings(STORE)
@format_option
@_setting_options
@_target_options
def enable(**options: Any) -> None:
    """Enable scanning of accounts, and set how they are scanned.

    An account that nobody configured is enabled already, in mode EC2_HYBRID. Exit status 3 where an
    account was refused, 4 where all were.
    """
    from dispatcher.cli.fleet import accounts

    accounts.enable(**options)


@click.command("disable")
@takes_settings(STORE)
@format_option
@_target_options
def disable(**options: Any) -> None:
    """Disable scanning of accounts, and remove what was created in them.

    Running scans end and their snapshots are deleted. Findings are deleted after 24 hours unless
    the account is enabled again. What could not be removed yet is tried again by the dispatcher, or
    by this command; exit status 3 then.
    """
    from dispatcher.cli.fleet import accounts

    accounts.disable(**options)


@click.command("configure")
@takes_settings(STORE)
@format_option
@_setting_options
@click.option("--reset", is_flag=True,
              help="Inherit again what was set for these accounts; their paths stay.")  # fmt: skip
@_target_options
def configure(**options: Any) -> None:
    """Set how accounts are scanned, without enabling or disabling them.

    Members of an organization inherit what its administrator's account has set, until it is set for
    the member itself.
    """
    from dispatcher.cli.fleet import accounts

    accounts.configure(**options)


@click.command("list")
@takes_settings(STORE)
@format_option
def show(**options: Any) -> None:
    """List accounts: status, scan mode and what they inherit."""
    from dispatcher.cli.fleet import accounts

    accounts.show(**options)


@click.command("delegate")
@takes_settings(STORE)
@click.argument("organization", metavar="ORGANIZATION")
@click.option("--administrator", default="", metavar="ACCOUNT",
              help="The delegated administrator, whose settings members inherit.")  # fmt: skip
@click.option("--auto-enable/--no-auto-enable", "auto_enable", default=None,
              help="Enable accounts that join the organization.")  # fmt: skip
@click.option("--path", "paths", multiple=True, metavar="PATH",
              help="Look for language packages in this directory in each member; replaces the"
              " present ones. Repeatable, at most 5.")  # fmt: skip
@click.option("--no-paths", is_flag=True, help="Remove the organization's custom paths.")
def delegate(**options: Any) -> None:
    """Configure an organization: administrator, auto-enable and paths.

    Its accounts become members at the dispatcher's next discovery of the organization. An account
    that was scanned before stays enabled; another one is enabled by --auto-enable only.
    """
    from dispatcher.cli.fleet import accounts

    accounts.delegate(**options)


@click.command("release")
@takes_settings(STORE)
@click.argument("organization", metavar="ORGANIZATION")
def release(**options: Any) -> None:
    """Remove an organization's configuration; its members keep what was set for them."""
    from dispatcher.cli.fleet import accounts

    accounts.release(**options)
