"""Fields of decoded JSON, with the shape that a parser expects.

An absent or null field is empty; one of another shape is the feed's damage.
"""

from __future__ import annotations

import re
from typing import Any

from sidelight.errors import DamagedError

MAX_ITEMS = 2_000_000  # of one list in one record
MAX_TEXT = 4 << 20  # characters of one field


_REJECTED = re.compile(r"\s*(?:\*\* ?REJECT(?:ED)? ?\*\*|Rejected reason)", re.IGNORECASE)


def _wrong(field: str, value: object, want: str) -> DamagedError:
    return DamagedError(f"`{field}` is {type(value).__name__} where {want} belongs")


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's fields. Raises ValueError where a name stands twice: what it means is unsaid."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _value in pairs]
        again = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{again[:40]!r} stands twice in one object")
    return found


def text(record: dict[str, Any], field: str) -> str:
    """A string field. Raises DamagedError for anything else."""
    value = record.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong(field, value, "a string")
    if len(value) > MAX_TEXT:
        raise DamagedError(f"`{field}` has {len(value)} characters")
    return value


def is_rejected(description: str) -> bool:
    """Whether a CVE's description says that whoever gave its number has taken it back."""
    return _REJECTED.match(description) is not None


def texts(record: dict[str, Any], field: str) -> tuple[str, ...]:
    """A field that lists strings. Raises DamagedError for anything else."""
    value = record.get(field)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(field, value, "a list of strings")
    return tuple(value)


def items(record: dict[str, Any], field: str) -> list[dict[str, Any]]:
    """A field that lists objects. Raises DamagedError for anything else."""
    value = record.get(field)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _wrong(field, value, "a list of objects")
    if len(value) > MAX_ITEMS:
        raise DamagedError(f"`{field}` lists {len(value)} objects")
    return value


def mapping(record: dict[str, Any], field: str) -> dict[str, Any]:
    """An object field. Raises DamagedError for anything else."""
    value = record.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(field, value, "an object")
    return value
