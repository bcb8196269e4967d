"""Fields of decoded JSON, with the shape that a parser expects.

An absent or null field is empty; a field of another shape is damage of the feed.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from sidelight.errors import DamagedError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ITEMS = 2_000_000  # items of one list in one record
MAX_TEXT = 4 << 20  # characters of one field
MAX_FIELDS = 200_000  # fields of one object


_REJECTED = re.compile(r"\s*(?:\*\* ?REJECT(?:ED)? ?\*\*|Rejected reason)", re.IGNORECASE)


def _wrong(field: str, value: object, want: str) -> DamagedError:
    return DamagedError(f"`{field}` is {type(value).__name__} where {want} belongs")


def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object's fields. Raises ValueError for a duplicate name: its meaning is ambiguous.

    So it does for very many fields, which would take as much memory again.
    """
    if len(pairs) > MAX_FIELDS:
        raise ValueError(f"an object of {len(pairs)} fields; the limit is {MAX_FIELDS}")
    fields = dict(pairs)
    if len(fields) != len(pairs):
        again = next(
            name for name, count in Counter(name for name, _ in pairs).items() if count > 1
        )
        raise ValueError(f"{again[:40]!r} occurs twice in one object")
    return fields


def text(record: Mapping[str, object], field: str) -> str:
    """Return a string field. Raises DamagedError for any other type."""
    value = record.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong(field, value, "a string")
    if len(value) > MAX_TEXT:
        raise DamagedError(f"`{field}` has {len(value)} characters")
    return value


def is_rejected(description: str) -> bool:
    """Return whether a CVE's description states that its authority withdrew its number."""
    return _REJECTED.match(description) is not None


def texts(record: Mapping[str, object], field: str) -> tuple[str, ...]:
    """Return a list of strings. Raises DamagedError for any other type."""
    value = record.get(field)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(field, value, "a list of strings")
    if len(value) > MAX_ITEMS:
        raise DamagedError(f"`{field}` lists {len(value)} strings")
    return tuple(value)


def items(record: Mapping[str, object], field: str) -> list[dict[str, object]]:
    """Return a list of objects. Raises DamagedError for any other type."""
    value = record.get(field)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _wrong(field, value, "a list of objects")
    if len(value) > MAX_ITEMS:
        raise DamagedError(f"`{field}` lists {len(value)} objects")
    return value


def mapping(record: Mapping[str, object], field: str) -> dict[str, object]:
    """Return an object field. Raises DamagedError for any other type."""
    value = record.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(field, value, "an object")
    return value
