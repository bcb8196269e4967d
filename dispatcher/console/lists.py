"""Lists: sorted by links, paged by keyset, with a choice of columns, as CSV and JSON too.

A listing reads its state from the URL: `sort` (`column` or `-column`), `after` (the position of
the last row before), `from` (how many rows were before), `columns`, `format`.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from dispatcher.console.page import DownloadAnswer
from dispatcher.console.preferences import DENSITIES, list_position
from dispatcher.console.web_messages import WebError, whole_number
from sidelight.report.finding_reports import inert

if TYPE_CHECKING:
    from dispatcher.console.page import PageRequest

SIZE: Final = 50  # rows of a page
EXPORT_SIZE: Final = 500  # rows that an export reads at once
EXPORT_ROWS: Final = 1_000_000
_MOST_POSITION: Final = 4096  # characters
_MOST_BEFORE: Final = 10**11  # rows


@dataclass(frozen=True, slots=True)
class ListColumn:
    """A column. `kind` chooses how a cell is shown (templates/parts.html, `cell`).

    `sort` names its order for the handler, empty where it has none. An `optional` column is shown
    on request. Lists without room for all columns leave out the `wide` ones first, then the
    `narrow` ones, unless the person chose the columns.
    """

    name: str
    label: str
    kind: str = "text"
    sort: str = ""
    optional: bool = False
    narrow: bool = False
    wide: bool = False


@dataclass(frozen=True, slots=True)
class ListRow:
    """A row: plain values by column, where the row leads, and what single cells lead to.

    `key` is the row's value of a bulk selection. `notes` are shown below a cell's value; `tones`
    replace the tone of a status: good, warn, bad.
    """

    cells: Mapping[str, object]
    href: str = ""
    key: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    tones: Mapping[str, str] = field(default_factory=dict)


Position = Mapping[str, object] | None
# Up to so many rows after a position, and the position of the last one if there are more.
RowReader = Callable[[Position, int], tuple[Sequence[ListRow], Position]]


@dataclass(frozen=True, slots=True)
class ListPage:
    """A page of a list as the template `table` shows it. `total` None is unknown.

    `at_least`: the total is a bound, there are more.
    """

    caption: str
    columns: Sequence[ListColumn]
    all_columns: Sequence[ListColumn]
    rows: Sequence[ListRow]
    total: int | None
    at_least: bool
    before: int
    sort: str
    descending: bool
    sort_links: Mapping[str, str]
    first_link: str
    next_link: str
    csv_link: str
    json_link: str
    density_links: Mapping[str, str]  # by density, to this page of the list
    column_fields: Sequence[tuple[str, str]]
    is_chosen: bool = False  # the person chose the columns: none is left out

    @property
    def begin(self) -> int:
        """The number of the first row, from 1."""
        return self.before + 1 if self.rows else 0

    @property
    def end(self) -> int:
        """The number of the last row."""
        return self.before + len(self.rows)


class Listing:
    """The state of a list in the URL of a request."""

    def __init__(
        self,
        request: PageRequest,
        caption: str,
        columns: Sequence[ListColumn],
        *,
        sort: str = "",
        size: int = SIZE,
    ) -> None:
        """`sort` is the order without any in the URL; a leading `-` is descending.

        Raises WebError for a position that is none.
        """
        self._request = request
        self._caption = caption
        self._all = columns
        known = {column.sort for column in columns if column.sort}
        text = request.value("sort", sort)
        if text.removeprefix("-") not in known:
            text = sort
        self.sort = text.removeprefix("-")
        self.descending = text.startswith("-")
        self.size = size
        self.after = _position(request.value("after"))
        self.before = whole_number(request.value("from"), _MOST_BEFORE) or 0
        chosen = set(",".join(request.fields.get("columns", [])).split(",")) - {""}
        self._is_chosen = bool(chosen)
        self.columns = [
            column for column in columns
            if (column.name in chosen if chosen else not column.optional)
        ]  # fmt: skip
        if not self.columns:
            self.columns = [column for column in columns if not column.optional]

    @property
    def format(self) -> str:
        """`csv`, `json`, or empty for the page."""
        value = self._request.value("format")
        return value if value in ("csv", "json") else ""

    def page(
        self,
        rows: Sequence[ListRow],
        position: Position,
        total: int | None = None,
        *,
        at_least: bool = False,
    ) -> ListPage:
        """Return the page of these rows; `position` is where the next one begins, or None."""
        here, seen = self._request.here, self.before + len(rows)
        following = {"after": _text(position), "from": seen} if position is not None else {}
        return ListPage(
            caption=self._caption,
            columns=self.columns,
            all_columns=self._all,
            rows=rows,
            total=total,
            at_least=at_least,
            before=self.before,
            sort=self.sort,
            descending=self.descending,
            sort_links={c.name: here(sort=self._order(c)) for c in self.columns if c.sort},
            first_link=here() if self.before else "",
            next_link=here(**following) if following else "",
            csv_link=here(format="csv"),
            json_link=here(format="json"),
            density_links={
                density: here(density=density, **list_position(self._request))
                for density in DENSITIES
            },
            column_fields=[
                (name, value) for name, values in self._request.fields.items()
                if name not in ("columns", "after", "from") for value in values
            ],
            is_chosen=self._is_chosen,
        )  # fmt: skip

    def in_memory(self, rows: Sequence[ListRow]) -> ListPage:
        """Return a page of all rows of a small list, sorted here by the column of `sort`."""
        ordered = self.ordered(rows)
        offset = self.after.get("offset") if self.after else 0
        begin = offset if isinstance(offset, int) else 0
        shown = ordered[begin : begin + self.size]
        more = {"offset": begin + self.size} if len(ordered) > begin + self.size else None
        return self.page(shown, more, len(ordered))

    def ordered(self, rows: Sequence[ListRow]) -> list[ListRow]:
        """Return rows in the order of `sort`; rows without a value are last."""
        name = next((c.name for c in self._all if c.sort and c.sort == self.sort), "")
        if not name:
            return list(rows)
        known = [row for row in rows if row.cells.get(name) not in (None, "")]
        unknown = [row for row in rows if row.cells.get(name) in (None, "")]
        known.sort(key=lambda row: _sort_key(row.cells[name]), reverse=self.descending)
        return known + unknown

    def download_items(self, rows: Sequence[ListRow], name: str) -> DownloadAnswer:
        """Return all rows of a small list as a file."""
        ordered = self.ordered(rows)
        return self.download(lambda _after, _size: (ordered, None), name)

    def download(self, read: RowReader, name: str) -> DownloadAnswer:
        """Return all rows from the first one as a file, with the columns that are shown."""
        rows = _all_rows(read)
        if self.format == "json":
            return DownloadAnswer(f"{name}.json", "application/json", _json_lines(self, rows))
        return DownloadAnswer(f"{name}.csv", "text/csv; charset=utf-8", _csv_lines(self, rows))

    def _order(self, column: ListColumn) -> str:
        is_descending = self.sort == column.sort and self.descending
        is_ascending = self.sort == column.sort and not self.descending
        if column.kind in ("text", "id", "code"):
            return f"-{column.sort}" if is_ascending else column.sort
        return column.sort if is_descending else f"-{column.sort}"


def _sort_key(value: object) -> tuple[int, float, str]:
    if isinstance(value, bool | int | float):
        return 0, float(value), ""
    if isinstance(value, datetime):
        return 0, value.timestamp(), ""
    return 1, 0.0, str(value).casefold()


def _all_rows(read: RowReader) -> Iterator[ListRow]:
    count, after = 0, None
    while True:
        rows, after = read(after, EXPORT_SIZE)
        for row in rows:
            yield row
            count += 1
        if after is None or count >= EXPORT_ROWS:
            return


def plain(value: object) -> object:
    """Return a cell's value as JSON has it."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)


def _csv_lines(listing: Listing, rows: Iterator[ListRow]) -> Iterator[bytes]:
    yield _csv_line([column.label for column in listing.columns])
    for row in rows:
        yield _csv_line([_csv_text(row.cells.get(column.name)) for column in listing.columns])


def _csv_line(values: Sequence[str]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerow(values)
    return out.getvalue().encode("utf-8", "replace")


def _csv_text(value: object) -> str:
    """Return a cell; a text that a spreadsheet would compute begins with an apostrophe."""
    known = plain(value)
    if known is None:
        return ""
    if isinstance(known, list) and all(isinstance(item, str) for item in known):
        known = ", ".join(known)
    if isinstance(known, str):
        return inert(known)
    return str(known) if isinstance(known, bool | int | float) else json.dumps(known)


def _json_lines(listing: Listing, rows: Iterator[ListRow]) -> Iterator[bytes]:
    before = "[\n"
    for row in rows:
        item = {c.name: plain(row.cells.get(c.name)) for c in listing.columns}
        yield (before + json.dumps(item)).encode()
        before = ",\n"
    yield b"[]\n" if before == "[\n" else b"\n]\n"


def _text(position: Position) -> str:
    data = json.dumps(position, separators=(",", ":"), default=str).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def wrong_position() -> WebError:
    """Return the error of a link to a page of another list."""
    return WebError(400, "This link to a page of the list is not valid.", "Go to the first page.")


def _position(text: str) -> Position:
    if not text:
        return None
    wrong = wrong_position()
    if len(text) > _MOST_POSITION:
        raise wrong
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        position = json.loads(data)
    except (binascii.Error, ValueError, RecursionError) as error:
        raise wrong from error
    if not isinstance(position, dict):
        raise wrong
    return position
