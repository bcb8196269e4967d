"""Members of AWS's answers, taken from values of unknown shape without ever failing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

Fields = Mapping[str, object]

_TEXT_LIMIT: Final = 2048  # characters: the longest ARN
_NOTHING: Final[Fields] = {}


def mapping(value: object) -> Fields:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else _NOTHING


def text(fields: Fields, key: str) -> str:
    """A text member; empty if it is absent, no text, or longer than any of AWS's."""
    value = fields.get(key)
    return value if isinstance(value, str) and len(value) <= _TEXT_LIMIT else ""


def number(fields: Fields, key: str) -> int | None:
    """A whole number, also of its digits as text; None if it is neither."""
    value = fields.get(key)
    if isinstance(value, str) and len(value) <= 10 and value.removeprefix("-").isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def flag(fields: Fields, key: str, *, default: bool = False) -> bool:
    """A truth value."""
    value = fields.get(key)
    return value if isinstance(value, bool) else default


def inner(fields: Fields, key: str) -> Fields:
    """A member that is an object."""
    return mapping(fields.get(key))


def items(fields: Fields, key: str) -> list[Fields]:
    """The objects of a list; what is not an object is left out."""
    value = fields.get(key)
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        return []
    return [item for item in value if isinstance(item, Mapping)]


def texts(fields: Fields, key: str) -> list[str]:
    """The texts of a list; what is not a text is left out."""
    value = fields.get(key)
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        return []
    return [item for item in value if isinstance(item, str) and len(item) <= _TEXT_LIMIT]


def pairs(fields: Fields, key: str, name: str = "Key") -> dict[str, str]:
    """A list of `{Key, Value}` objects as a mapping; the last one of a name counts."""
    return {text(item, name): text(item, "Value") for item in items(fields, key)}
