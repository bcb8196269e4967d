"""The command line: its options, outputs and exit statuses are a contract (docs/cli.md)."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from dispatcher.cli import interrupts
from dispatcher.cli.config.locations import config_locations
from dispatcher.cli.exit_status import DONE, FINDINGS, WRONG_USAGE
from dispatcher.cli.groups import CommandEntry, WrittenGroup
from dispatcher.cli.quiet import add_quiet
from sidelight import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAME = "sidelight"
COMPLETE = "_SIDELIGHT_COMPLETE"  # click's variable for the shells' completion


class RootGroup(WrittenGroup):
    """The commands of `sidelight`."""

    table: Mapping[str, CommandEntry] = {
        "scan": CommandEntry("dispatcher.cli.scan", "scan",
                      "List the vulnerable software of one machine"),
        "inventory": CommandEntry("dispatcher.cli.scan", "inventory",
                           "List the software of one machine, without matching it"),
        "ls": CommandEntry("dispatcher.cli.trees", "list_directory",
                    "List a directory of a machine's disks"),
        "cat": CommandEntry("dispatcher.cli.trees", "cat",
                     "Write a file of a machine's disks to standard output"),
        "tree": CommandEntry("dispatcher.cli.trees", "tree",
                      "List every path of a machine's disks"),
        "advisories": CommandEntry("dispatcher.cli.groups", "advisories",
                            "Download feeds, and build, update and inspect the advisory"
                            " database"),
        "fleet": CommandEntry("dispatcher.cli.groups", "fleet",
                       "Scan a fleet of EC2 instances, and show what was found"),
        "network": CommandEntry("dispatcher.cli.groups", "network",
                         "Show which ports of which instances can be reached, from where, and why"),
        "inspector": CommandEntry("dispatcher.cli.groups", "inspector",
                           "Compare Amazon Inspector with Sidelight, before you rely on one of"
                           " them"),
        "serve": CommandEntry("dispatcher.cli.serve", "serve",
                       "Serve the console, Inspector's API, and metrics for Prometheus"),
        "access": CommandEntry("dispatcher.cli.groups", "access",
                        "Issue, list and revoke the API's access keys, and show its audit log"),
        "doctor": CommandEntry("dispatcher.cli.doctor", "doctor",
                        "Check settings, store, broker, advisories and AWS permissions"),
        "probe": CommandEntry("dispatcher.cli.probe", "probe",
                       "Measure how a real AWS account behaves, and record it"),
        "local": CommandEntry("dispatcher.cli.groups", "local",
                       "Run a local cloud, to try Sidelight without an AWS account"),
        "help": CommandEntry("dispatcher.cli.manual.commands", "show_help",
                      "Show the help of a command: `sidelight help fleet scan`"),
        "man": CommandEntry("dispatcher.cli.manual.commands", "man",
                     "Print a command's manual page, or write all pages"),
        "completion": CommandEntry("dispatcher.cli.manual.commands", "completion",
                            "Print the script that completes commands and options in a shell"),
        "version": CommandEntry("dispatcher.cli.manual.commands", "version",
                         "Show the versions of Sidelight and of Python"),
    }  # fmt: skip


@click.group(
    cls=RootGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name=NAME)
@click.option(
    "--config",
    metavar="FILE",
    help="The configuration file (docs/config-file.md).  [SIDELIGHT_CONFIG; default:"
    " sidelight.toml of the user, and what one in the current directory may set]",
)
@click.pass_context
def sidelight(context: click.Context, config: str | None) -> None:
    """Find vulnerable software on EC2 machines from their EBS snapshots, without touching them.

    A TARGET is a raw disk image, a block device, ebs:snap-ID, or an instance, i-ID (which is
    snapshotted, read, and its snapshots deleted); for scan and inventory also an SBOM. Credentials,
    region and endpoint come from the usual AWS environment. Several targets are the volumes of one
    machine.

    Exit status: 0 done, 1 findings at or above --fail-on, 2 wrong usage, 3 partial, 4 failed.
    """
    if any(name.startswith("SIDELIGHT_") for name in os.environ):
        from sidelight.fleet.settings import refuse_unknown

        refuse_unknown(os.environ)
    if locations := config_locations(config):
        from dispatcher.cli.config.session import configure

        configure(context, locations)
        sidelight.report_configuration(context, context.invoked_subcommand or "")


add_quiet(sidelight)  # `sidelight -q scan` as `sidelight scan -q`


def main() -> None:
    """Run a command; an error is one line on standard error and the contract's exit status."""
    status = run(sys.argv[1:])
    sys.exit(status)


def run(arguments: Sequence[str]) -> int:
    """Run a command; return its exit status. Raises nothing."""
    reported: Exception | None = None
    try:
        # Imported in the `try` block, because Ctrl-C may arrive this early.
        from sidelight.report.logs import guard_last_resort

        _open_what_is_closed()
        guard_last_resort()
        interrupts.arm()
        _let_names_through()
        status = _invoke(list(arguments))
    except BrokenPipeError:
        status = DONE  # `sidelight ls disk.img / | head`: the reader closed the pipe
    except (KeyboardInterrupt, EOFError, click.Abort):
        _say("interrupted")
        status = interrupts.status()
    except click.ClickException as error:
        status, reported = _refused(error), error
    except Exception as error:  # noqa: BLE001 - the last resort: no traceback unless asked for
        from dispatcher.cli.failures import report

        status, reported = report(error), error
    return _flushed(status, reported)


def _refused(error: click.ClickException) -> int:
    """Write click's message; that of a file's value names file and key. Return the exit status."""
    from dispatcher.cli.config.session import located

    shown = located(error)
    if isinstance(shown, click.ClickException):
        shown.show()
        return WRONG_USAGE
    from dispatcher.cli.failures import report

    return report(shown)


def _invoke(arguments: list[str]) -> int:
    """Run click without its `main`, which exits with 1 for a closed pipe; here 1 means findings."""
    instruction = os.environ.get(COMPLETE)
    if instruction:
        from click.shell_completion import shell_complete

        return shell_complete(sidelight, {}, NAME, COMPLETE, instruction)
    try:
        with sidelight.make_context(NAME, arguments) as context:
            sidelight.invoke(context)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or DONE
        raise
    return DONE


def _flushed(status: int, reported: Exception | None) -> int:
    """Flush standard output while an error can still be reported; return the exit status.

    The error that ended the command may be the same one: it is not reported twice.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        # The result of --fail-on is known, although the reader closed the pipe.
        return FINDINGS if status == FINDINGS else DONE
    except OSError as error:
        _discard_output()
        if isinstance(reported, OSError) and reported.errno == error.errno:
            return status
        from dispatcher.cli.failures import report

        return report(OSError(error.errno, error.strerror, "standard output"))
    return status


def _open_what_is_closed() -> None:
    """Open those of descriptors 0 to 2 that the caller has closed (`sidelight scan … >&-`).

    Otherwise a file that a command opens would become its standard output. A write to a closed
    output fails, as in other programs; lines to a closed standard error are lost.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is not None:
            continue
        # A standard output that is open only for reading refuses writes.
        nowhere = os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)
        if nowhere != number:
            os.dup2(nowhere, number)
            os.close(nowhere)
        os.set_inheritable(number, True)
        setattr(sys, name, os.fdopen(number, mode, closefd=False))


def _discard_output() -> None:
    """Discard buffered output: the interpreter flushes once more at exit."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _let_names_through() -> None:
    """Escape characters that the terminal's encoding lacks, so that no file name ends a command."""
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", "") == "strict":
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # a text file


def _say(text: str) -> None:
    from sidelight.report.output import complain

    with suppress(OSError):
        complain(f"{NAME}: {text}")


if __name__ == "__main__":
    main()
