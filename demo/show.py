"""What the demo prints: steps, commands, tables. Recorded, for the README's picture."""

from __future__ import annotations

import subprocess
import sys
from signal import SIGINT
from typing import TYPE_CHECKING

from processes import SIDELIGHT, child
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

PICTURE_WIDTH = 130
DONE, PARTIAL = 0, 3


class Show:
    """Prints at the terminal's width; 80 columns where there is none."""

    def __init__(self, *, wide: bool = False) -> None:
        """`wide`: as wide as the picture, wherever it is printed."""
        self._console = Console(record=True, width=PICTURE_WIDTH if wide else None, highlight=False)
        self.width = self._console.width

    def step(self, text: str) -> None:
        """A heading."""
        self._print(Text(f"\n{text}", style="bold"))

    def line(self, text: str) -> None:
        """A line of plain text."""
        self._print(Text(text))

    def table(self, table: Table) -> None:
        """A table."""
        self._print(table)

    def sidelight(
        self, *arguments: str, environment: Mapping[str, str], quiet: bool = False
    ) -> str:
        """Run a command of ours, shown as a user would type it; its standard output.

        Exits where it fails.
        """
        shown = f"sidelight {' '.join(arguments)}"
        self._print(Text(f"$ {shown}", style="cyan"))
        # As on a terminal of this width: into a pipe a table is TAB-separated.
        terminal = {**environment, "FORCE_COLOR": "1", "COLUMNS": str(self.width)}
        with child(
            [*SIDELIGHT, *arguments], terminal, number=SIGINT, stdout=subprocess.PIPE
        ) as process:
            output, _ = process.communicate()
        if process.returncode not in {DONE, PARTIAL}:
            sys.exit(f"`{shown}` ended with {process.returncode}")
        if not quiet:
            self._print(Text.from_ansi(output.rstrip()))
        return output

    def svg(self, title: str) -> str:
        """All that was printed, as a picture."""
        return self._console.export_svg(title=title)

    def _print(self, text: Text | Table) -> None:
        self._console.print(text, soft_wrap=isinstance(text, Text))
        # Its reader is perhaps a pipe, and the next step takes a while.
        self._console.file.flush()
