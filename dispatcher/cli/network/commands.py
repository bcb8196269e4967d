"""Options of `sidelight network explain|scan|dump`.

What the commands do is imported when they run: their help and completion need not wait for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dispatcher.cli.fleet.options import format_option
from dispatcher.cli.setting_options import takes_settings

if TYPE_CHECKING:
    from collections.abc import Callable

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _regions_option(command: Callable[..., None]) -> Callable[..., None]:
    return click.option("--region", "regions", multiple=True, metavar="REGION",
                        help="AWS region. Repeatable.  [default: AWS_REGION]")(command)  # fmt: skip


def _source_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say where the answers come from, and what to change in them."""
    for option in (
        click.option("--with", "changes", type=_FILE, metavar="FILE",
                     help="Replace or add these objects first: a JSON object with a list for each"
                     " kind, as in a dump."),
        click.option("--without", "removed", multiple=True, metavar="RULE",
                     help="Leave this rule out, by its id as shown. Repeatable."),
        click.option("--from-dump", "dump", type=_FOLDER, metavar="DIR",
                     help="Read saved describe answers instead of calling AWS."),
    ):  # fmt: skip
        command = option(command)
    return _regions_option(command)


@click.command("explain")
@takes_settings()
@click.option("--source", required=True, metavar="SOURCE",
              help="internet, an instance, a network interface, or an address.")  # fmt: skip
@click.option("--to", "target", required=True, metavar="TARGET",
              help="An instance, a network interface, or an address.")  # fmt: skip
@click.option("--protocol", default="tcp", show_default=True, metavar="PROTOCOL",
              help="tcp, udp, icmp, or a protocol's number.")  # fmt: skip
@click.option("--port", required=True, type=click.IntRange(0, 65535), metavar="PORT",
              help="The destination port.")  # fmt: skip
@_source_options
@format_option
def explain(**options: Any) -> None:
    """Show the path of a packet hop by hop, or the control that stops it.

    Without --from-dump the command reads the network from AWS (docs/network.md lists the
    permissions). JSON has `reachable`, `verdict`, `hops` and `stopped_by`.

    Exit status: 0 whether reachable or not; 3 where a part of the network could not be read.
    """
    from dispatcher.cli.network import questions

    questions.explain(**options)


@click.command("scan")
@takes_settings()
@_source_options
@format_option
def scan(**options: Any) -> None:
    """List the ports of instances that can be reached from outside of their VPC.

    Without --from-dump the command reads the network from AWS (docs/network.md lists the
    permissions). Most severe first.

    Exit status: 3 where a part of the network could not be read.
    """
    from dispatcher.cli.network import questions

    questions.scan(**options)


@click.command("dump")
@takes_settings()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@_regions_option
def dump(**options: Any) -> None:
    """Save the describe answers of an account's network, for --from-dump.

    Each answer is one file, aws_configs/accounts/ACCOUNT/REGION/NAME.json in DIR. They have tags,
    names and addresses of the account.

    Exit status: 3 where some calls were refused; the missing permissions are listed.
    """
    from dispatcher.cli.network import dumping

    dumping.dump(**options)
