"""One live line on standard error during a long operation; nothing without a terminal."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sidelight.report.escape import printable
from sidelight.report.output import complain, console_for, is_interactive, is_quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.text import Text

REDRAWN = 4.0  # times a second
MAX_LINE = 500  # characters


class LiveLine:
    """The text of the line. Each redraw calls `detail()` in a separate thread."""

    def __init__(self, text: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.text = text
        self.detail: Callable[[], str] = lambda: ""
        self.is_shown = False
        self._monotonic = monotonic
        self._begun = monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return self._monotonic() - self._begun

    def current(self) -> str:
        """Return the whole line: the operation, its progress, and its duration."""
        try:
            detail = self.detail()
        except Exception:  # noqa: BLE001 - a figure that cannot be had ends nothing
            detail = ""
        parts = [self.text, *([detail] if detail else []), f"{self.seconds:.0f} s"]
        return printable(", ".join(parts), MAX_LINE)

    def done(self, text: str) -> None:
        """Print the result at the end, if the line was shown."""
        if self.is_shown:
            complain(text)

    def __rich__(self) -> Text:
        from rich.text import Text

        return Text(self.current(), no_wrap=True, overflow="ellipsis")


@contextmanager
def live(text: str, monotonic: Callable[[], float] = time.monotonic) -> Iterator[LiveLine]:
    """Show a live line within the `with`; it disappears afterwards.

    Text written to standard error within the block goes above it, as does text for standard output
    if that is a terminal too.
    """
    line = LiveLine(text, monotonic)
    if is_quiet() or not is_interactive(sys.stderr):
        yield line
        return
    from rich.live import Live

    line.is_shown = True
    with Live(
        line,
        console=console_for(sys.stderr),
        refresh_per_second=REDRAWN,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
        redirect_stderr=True,
    ):
        yield line
