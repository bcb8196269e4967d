"""The command line: its options, outputs and exit statuses are a contract (ARCHITECTURE.md)."""

from __future__ import annotations

import sys

import click

from dispatcher.commands import advisories, local, scanning, trees
from dispatcher.fleet import fleet
from sidelight.errors import SidelightError, UsageError

WRONG_USAGE = 2
FAILED = 4
INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="sidelight")
def sidelight() -> None:
    """Find vulnerable software on EC2 machines from their EBS snapshots, without touching them.

    A TARGET is a raw disk image, a block device, or ebs:snap-… (credentials, region and endpoint
    come from the usual AWS environment). Several targets are the volumes of one machine.

    Exit status: 0 done, 1 findings at or above --fail-on, 2 wrong usage, 3 partial, 4 failed.
    """


sidelight.add_command(scanning.scan)
sidelight.add_command(scanning.inventory)
sidelight.add_command(trees.list_directory)
sidelight.add_command(trees.cat)
sidelight.add_command(trees.tree)
sidelight.add_command(advisories.advisories)
sidelight.add_command(fleet)
sidelight.add_command(local.local)


def main() -> None:
    """Run a command; an error is one line on stderr and the contract's exit status."""
    try:
        sidelight.main(standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(WRONG_USAGE)
    except UsageError as error:
        click.echo(f"sidelight: {error}", err=True)
        sys.exit(WRONG_USAGE)
    except SidelightError as error:
        click.echo(f"sidelight: {error}", err=True)
        sys.exit(FAILED)
    except (KeyboardInterrupt, click.Abort):
        click.echo("sidelight: interrupted", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # `sidelight ls … | head`: the reader has had enough.
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    main()
