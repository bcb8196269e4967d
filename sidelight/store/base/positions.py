"""Positions of pages: the sort key of a page's last row, as JSON has it, under `key`.

They come back from links, where anyone may change them: each value must be one of its column.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import BigInteger, Float, Integer

from sidelight.store.base.column_types import Instant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sidelight.store.base.column_types import SqlColumn

_WRONG: Final = "the position is of another search"


def key_values(after: Mapping[str, object], columns: Sequence[SqlColumn]) -> list[object]:
    """Return the key of a position: a value for each column, of its type.

    Raises ValueError for the position of another search.
    """
    key = after.get("key")
    if not isinstance(key, list) or len(key) != len(columns):
        raise ValueError(_WRONG)
    try:
        return [_value(column, item) for column, item in zip(columns, key, strict=True)]
    except OverflowError as error:
        raise ValueError(_WRONG) from error


def _value(column: SqlColumn, item: object) -> object:
    kind = column.type
    if isinstance(kind, Integer):
        most = 1 << (63 if isinstance(kind, BigInteger) else 31)
        if isinstance(item, int) and not isinstance(item, bool) and -most <= item < most:
            return item
    elif isinstance(kind, Float):
        if isinstance(item, int | float) and not isinstance(item, bool):
            return float(item)
    elif isinstance(item, str) and isinstance(kind, Instant):
        return datetime.fromisoformat(item).astimezone(UTC)
    elif isinstance(item, str) and "\0" not in item:
        item.encode()  # raises UnicodeError, a ValueError, for a lone surrogate
        return item
    raise ValueError(_WRONG)
