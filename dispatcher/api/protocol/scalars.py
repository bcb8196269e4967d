"""Values without members, checked against their shape: texts, numbers, times."""

from __future__ import annotations

import base64
import binascii
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from dispatcher.api.protocol.shapes import PATTERN_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dispatcher.api.protocol.shapes import ShapeModel

_VALUES_SHOWN: Final = 600  # characters of an enum's values
_BITS: Final = {"integer": 32, "long": 64}
_TIMES: Final = 253_402_300_800  # 10000-01-01, in seconds since 1970
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ConstraintError(ValueError):
    """A value does not satisfy a constraint of its shape; the text says which."""


def scalar(shape: ShapeModel, value: object) -> object:
    """Return the value as Python's. Raises ConstraintError."""
    read = _READERS.get(shape.kind)
    if read is None:
        raise ConstraintError("Member has a type that is not supported")
    return read(shape, value)


def check_range(shape: ShapeModel, number: float, what: str) -> None:
    """Raise ConstraintError unless a length or value is within the shape's bounds."""
    if shape.minimum is not None and number < shape.minimum:
        raise ConstraintError(
            f"Member must have {what} greater than or equal to {shape.minimum:.15g}"
        )
    if shape.maximum is not None and number > shape.maximum:
        raise ConstraintError(f"Member must have {what} less than or equal to {shape.maximum:.15g}")


def _string(shape: ShapeModel, value: object) -> str:
    if not isinstance(value, str):
        raise ConstraintError("Member must be a string")
    # Half of a surrogate pair, which JSON's escapes can write and no store can hold; PostgreSQL
    # holds no NUL either, and no text of the model has one.
    if any("\ud800" <= char <= "\udfff" or char == "\0" for char in value):
        raise ConstraintError("Member must be Unicode text without NUL")
    if shape.values and value not in shape.values:
        shown = ", ".join(sorted(shape.values))[:_VALUES_SHOWN]
        raise ConstraintError(f"Member must satisfy enum value set: [{shown}]")
    check_range(shape, len(value), "length")
    if shape.pattern is not None:
        if shape.maximum is None and len(value) > PATTERN_LIMIT:
            raise ConstraintError(f"Member must have length less than or equal to {PATTERN_LIMIT}")
        if not shape.pattern.fullmatch(value):
            raise ConstraintError(
                f"Member must satisfy regular expression pattern: {shape.pattern.pattern}"
            )
    return value


def _integer(shape: ShapeModel, value: object) -> int:
    bits = _BITS[shape.kind]
    limit = 1 << (bits - 1)
    if isinstance(value, bool) or not isinstance(value, int) or not -limit <= value < limit:
        raise ConstraintError(f"Member must be a {bits}-bit integer")
    check_range(shape, value, "value")
    return value


def _double(shape: ShapeModel, value: object) -> float:
    number = _finite(value)
    check_range(shape, number, "value")
    return number


def _boolean(shape: ShapeModel, value: object) -> bool:
    del shape
    if not isinstance(value, bool):
        raise ConstraintError("Member must be true or false")
    return value


def _timestamp(shape: ShapeModel, value: object) -> datetime:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value
    if shape.is_iso8601:
        return _iso8601(value)
    seconds = _finite(value)
    if not 0 <= seconds < _TIMES:
        raise ConstraintError("Member must be a time in seconds since 1970")
    return _EPOCH + timedelta(seconds=seconds)


def _iso8601(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ConstraintError("Member must be a time as 2026-11-28T12:00:00Z")
    return moment


def _blob(shape: ShapeModel, value: object) -> bytes:
    if isinstance(value, str):
        try:
            data = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            data = None
        if data is not None:
            check_range(shape, len(data), "length")
            return data
    raise ConstraintError("Member must be base64")


def _finite(value: object) -> float:
    if not isinstance(value, bool) and isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise ConstraintError("Member must be a number")


_READERS: Final[Mapping[str, Callable[[ShapeModel, object], object]]] = {
    "string": _string,
    "integer": _integer,
    "long": _integer,
    "double": _double,
    "float": _double,
    "boolean": _boolean,
    "timestamp": _timestamp,
    "blob": _blob,
}
