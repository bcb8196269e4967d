"""The commands' output for people: lines on standard output and standard error, all escaped.

`say` and `complain` are the only ways to print a line; tables go through `sidelight.report.tables`,
which uses the same `printable`. On a terminal with another encoding than UTF-8, characters outside
of that encoding are escaped, so that no name can end a command.
"""

from __future__ import annotations

import errno
import select
import sys
import time
from typing import TYPE_CHECKING, NoReturn

from sidelight.report.escape import fitting, printable

if TYPE_CHECKING:
    from typing import TextIO

    from rich.console import Console

MAX_LINE = 64 << 10  # characters of one line
_settings = {"quiet": False}


def say(text: str = "", file: TextIO | None = None, *, flush: bool = True) -> None:
    """Write a line to standard output, or to `file`.

    A reader at a pipe's other end gets it at once. For many lines in a row `flush` can be False.
    """
    stream = sys.stdout if file is None else file
    line = fitting(printable(text, MAX_LINE), getattr(stream, "encoding", None))
    stream.write(f"{line}\n")
    if flush:
        stream.flush()


def complain(text: str) -> None:
    """Write a line to standard error."""
    say(text, sys.stderr)


def note(text: str) -> None:
    """Write a line to standard error, unless the user wants no notes."""
    if not _settings["quiet"]:
        complain(text)


def set_quiet(*, quiet: bool) -> bool:
    """Set whether notes and progress are left out; return what was set before."""
    before = _settings["quiet"]
    _settings["quiet"] = quiet
    return before


def is_quiet() -> bool:
    """Return whether notes and progress are left out."""
    return _settings["quiet"]


def wait_while_read(seconds: float) -> None:
    """Wait. Raises BrokenPipeError as soon as nobody reads standard output any more."""
    try:
        output = sys.stdout.fileno()
    except (OSError, ValueError):  # not a file
        time.sleep(seconds)
        return
    poll = select.poll()
    poll.register(output, 0)  # errors alone
    if poll.poll(seconds * 1000):
        raise BrokenPipeError(errno.EPIPE, "the reader of the output has ended")


def write_json(text: str) -> None:
    """Write a JSON document, with its own newline and already ASCII, to standard output."""
    sys.stdout.write(text)
    sys.stdout.flush()


def console_for(file: TextIO) -> Console:
    """Return rich's console on `file`: colours on a terminal only, no markup, no highlighting."""
    from rich.console import Console

    class PipedConsole(Console):
        """Leaves a closed pipe to the command: rich would exit with status 1."""

        def on_broken_pipe(self) -> NoReturn:
            raise BrokenPipeError(errno.EPIPE, "the reader of the output has ended")

    return PipedConsole(file=file, highlight=False, markup=False, emoji=False)


def is_interactive(file: TextIO) -> bool:
    """Return whether a live line can be drawn: the terminal is not dumb, despite FORCE_COLOR."""
    return file.isatty() and not console_for(file).is_dumb_terminal
