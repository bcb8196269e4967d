"""The command line: its options, outputs and exit statuses are a contract (ARCHITECTURE.md)."""

from __future__ import annotations

import importlib
import sys

import click

from sidelight.errors import SidelightError, UsageError

WRONG_USAGE = 2
FAILED = 4
INTERRUPTED = 130


# Name -> (module, command in it). A command's module is imported when it runs: `sidelight ls` need
# not wait for Celery, nor a scan of a file for the fleet's store.
COMMANDS = {
    "scan": ("dispatcher.commands.scanning", "scan"),
    "inventory": ("dispatcher.commands.scanning", "inventory"),
    "ls": ("dispatcher.commands.trees", "list_directory"),
    "cat": ("dispatcher.commands.trees", "cat"),
    "tree": ("dispatcher.commands.trees", "tree"),
    "advisories": ("dispatcher.commands.advisories", "advisories"),
    "fleet": ("dispatcher.fleet", "fleet"),
    "serve": ("dispatcher.commands.serve", "serve"),
    "local": ("dispatcher.commands.local", "local"),
}


class WrittenGroup(click.Group):
    """A group of the commands in COMMANDS, in that order."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(
    cls=WrittenGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="sidelight")
def sidelight() -> None:
    """Find vulnerable software on EC2 machines from their EBS snapshots, without touching them.

    A TARGET is a raw disk image, a block device, ebs:snap-…, or an instance, i-… (which is
    snapshotted, read, and its snapshots deleted). Credentials, region and endpoint come from the
    usual AWS environment. Several targets are the volumes of one machine.

    Exit status: 0 done, 1 findings at or above --fail-on, 2 wrong usage, 3 partial, 4 failed.
    """


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
