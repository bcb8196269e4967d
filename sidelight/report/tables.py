r"""Tables for people and for pipes.

On a terminal: columns, if all fit. If not, the least important columns go below their row, one
after the other, until the others fit; nothing is cut. Without a terminal: a line of titles and one
line per row, TAB-separated, without padding or folding. TABs and newlines within a text are
escaped, so `cut`, `awk -F'\t'` and `grep` see whole values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len
from rich.text import Text

from sidelight.report.escape import fitting, printable
from sidelight.report.output import console_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TextIO

    from rich.console import Console

GAP = 2
INDENT = 4
LEAST_PROSE = 48  # columns of a terminal in which prose is still readable
COMMENT = "# "  # before a line outside of the rows, without a terminal


class Cell(NamedTuple):
    """A text with one of rich's styles."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A title, and the column's behaviour on a narrow terminal.

    `rank` 0 stays in the row; of other ranks the highest goes below the row first. `prose` may be
    wrapped at blanks as the last column. `extra` is left out on a terminal too narrow for it;
    `piped` is left out on any terminal.
    """

    title: str
    rank: int = 0
    right: bool = False
    prose: bool = False
    extra: bool = False
    piped: bool = False


class Table:
    """Columns and rows. A cell is a text, or a Cell with a style; None is empty."""

    def __init__(self, *columns: Column | str) -> None:
        self.columns = [Column(column) if isinstance(column, str) else column for column in columns]
        self.rows: list[list[Cell]] = []

    def add_row(self, *cells: str | Cell | None) -> None:
        """Add a row. Raises ValueError if the numbers of cells and columns differ."""
        if len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} cells for {len(self.columns)} columns")
        self.rows.append(
            [
                cell if isinstance(cell, Cell) else Cell("" if cell is None else cell)
                for cell in cells
            ]
        )


class Report:
    """Headings, tables and closing lines on one stream, in the form that suits it."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._console: Console = console_for(file)
        self.is_terminal = self._console.is_terminal
        self._encoding: str | None = getattr(file, "encoding", None)

    def line(self, text: str, style: str = "") -> None:
        """Write a line, wrapped at blanks on a terminal; as a comment without a terminal."""
        if self.is_terminal:
            shown = self._shown(text)
            words = shown.lstrip(" ")
            indent = " " * (len(shown) - len(words))
            first, *more = wrapped(words, self._console.width - len(indent) - GAP)
            for part in (first, *(f"  {rest}" for rest in more)):
                self._print([Cell(indent + part, style)])
        else:
            self._file.write(f"{COMMENT}{self._shown(text)}\n")

    def table(self, table: Table, *, continues: bool = False) -> None:
        """Write a table; an empty table still has its titles.

        A table that `continues` the one before has titles on a terminal alone, where its columns
        may be others.
        """
        if not self.is_terminal:
            if not continues:
                titles = "\t".join(column.title for column in table.columns)
                self._file.write(f"{titles}\n")
            for row in table.rows:
                self._file.write("\t".join(self._shown(cell.text) for cell in row) + "\n")
            return
        shown = [position for position, one in enumerate(table.columns) if not one.piped]
        columns = [table.columns[position] for position in shown]
        rows = [
            [Cell(self._shown(row[position].text), row[position].style) for position in shown]
            for row in table.rows
        ]
        for line in _Layout(columns, rows, self._console.width).lines():
            self._print(line)

    def _shown(self, text: str) -> str:
        return fitting(printable(text), self._encoding)

    def _print(self, cells: Sequence[Cell]) -> None:
        text = Text.assemble(*((cell.text, cell.style) for cell in cells))
        # Soft: the terminal itself wraps longer lines, so that they can be copied whole.
        self._console.print(text, soft_wrap=True)


class _Layout:
    """The columns in the row with their widths, and the columns below it."""

    def __init__(
        self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int
    ) -> None:
        self._columns, self._rows, self._width = columns, rows, width
        self._natural = [
            max([cell_len(column.title), *(cell_len(row[place].text) for row in rows)])
            for place, column in enumerate(columns)
        ]
        # A single long cell does not widen its column: it overflows its own row.
        self._most = max(24, width // 4)
        # A column without any text takes no width.
        self._inline = [
            place
            for place, column in enumerate(columns)
            if not (column.rank and rows) or any(row[place].text for row in rows)
        ]
        self._below: list[int] = []
        while not self._fits() and self._lower():
            pass

    def _lower(self) -> bool:
        """Remove the column of the highest rank from the row; False if all others must stay."""
        candidates = [place for place in self._inline if self._columns[place].rank]
        if not candidates:
            return False
        place = max(candidates, key=lambda position: (self._columns[position].rank, position))
        self._inline.remove(place)
        if not self._columns[place].extra:
            self._below = sorted([*self._below, place])
        return True

    def _column_width(self, place: int) -> int:
        return min(self._natural[place], max(self._most, cell_len(self._columns[place].title)))

    def _fits(self) -> bool:
        *others, last = self._inline
        used = sum(self._column_width(place) + GAP for place in others)
        least = self._natural[last]
        if self._columns[last].prose:
            least = min(least, LEAST_PROSE)
        elif not self._columns[last].rank:
            least = self._column_width(last)
        return used + least <= self._width

    def lines(self) -> Iterable[list[Cell]]:
        """Yield the lines of the table, each as a list of cells."""
        titles = [Cell(self._columns[place].title, "bold") for place in self._inline]
        yield from self._in_columns(titles)
        rule = sum(self._column_width(place) + GAP for place in self._inline) - GAP
        yield [Cell("-" * min(rule, self._width), "dim")]
        for row in self._rows:
            yield from self._in_columns([row[place] for place in self._inline])
            yield from self._under(row)

    def _in_columns(self, cells: Sequence[Cell]) -> Iterable[list[Cell]]:
        """Yield a row's line; more if a cell is wider than its column, or prose is wrapped."""
        line: list[Cell] = []
        at = start = 0  # the end of the line, and the start of the column
        for place, cell in zip(self._inline, cells, strict=True):
            if line and at > start - GAP:  # the cell before is wider than its column
                yield line
                line, at = [], 0
            column, width = self._columns[place], self._column_width(place)
            first, *more = [cell.text]
            if column.prose and place == self._inline[-1]:
                first, *more = wrapped(cell.text, self._width - start)
            length = cell_len(first)
            pad = max(0, width - length) if column.right else 0
            line += [Cell(" " * (start - at + pad)), Cell(first, cell.style)]
            at = start + pad + length
            for text in more:
                yield line
                line = [Cell(" " * start), Cell(text, cell.style)]
            start += width + GAP
        yield _stripped(line)

    def _under(self, row: Sequence[Cell]) -> Iterable[list[Cell]]:
        """Yield the columns below the row: short values together with titles, prose separately."""
        line: list[Cell] = []
        at = 0
        for place in self._below:
            column, cell = self._columns[place], row[place]
            if cell.text in {"", "-"}:
                continue
            title = f"{column.title}: "
            length = len(title) + cell_len(cell.text)
            if line and at + GAP + length > self._width:
                yield line
                line = []
            if not line:
                at = INDENT
                line = [Cell(" " * INDENT)]
            else:
                at += GAP
                line.append(Cell(" " * GAP))
            first, *more = wrapped(cell.text, self._width - at - len(title))
            line += [Cell(title, "dim"), Cell(first, cell.style)]
            at += length
            for text in more:
                yield line
                line = [Cell(" " * (INDENT + GAP)), Cell(text, cell.style)]
                at = INDENT + GAP + cell_len(text)
        if line:
            yield line


def _stripped(line: list[Cell]) -> list[Cell]:
    """Remove blanks at the end."""
    while line and not line[-1].text.strip():
        line.pop()
    return line


def wrapped(text: str, width: int) -> list[str]:
    """Split text into lines of `width` columns at blanks only: a longer word stays whole."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        if line and cell_len(line) + 1 + cell_len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line]
