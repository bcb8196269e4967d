"""Model values as JSON and back, by their own type hints.

A stored document outlives the code that wrote it: a member that is missing takes its default, one
that is not known any more is left out.
"""

from __future__ import annotations

import json
import types
import zlib
from dataclasses import MISSING, asdict, fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from sidelight.errors import StoreError

T = TypeVar("T")

# An inventory of a million packages is some 300 MB of JSON: more than that is no inventory.
MAX_DOCUMENT = 1 << 30


def dump(value: Any) -> str:
    """A dataclass as JSON. Undecodable file names stay what they are, as lone surrogates."""
    return json.dumps(asdict(value), separators=(",", ":"), default=_plain)


def load(kind: type[T], text: str) -> T:
    """The dataclass again. Raises StoreError for what is no such document."""
    try:
        value: T = _decode(kind, json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise StoreError(f"not a stored {kind.__name__}: {error}") from error
    return value


def pack(value: Any) -> bytes:
    """As `dump`, compressed."""
    return zlib.compress(dump(value).encode(), 6)


def unpack(kind: type[T], data: bytes) -> T:
    """As `load`. Raises StoreError also for damaged or endless data."""
    decoder = zlib.decompressobj()
    try:
        text = decoder.decompress(data, MAX_DOCUMENT)
    except zlib.error as error:
        raise StoreError(f"not a stored {kind.__name__}: {error}") from error
    if not decoder.eof:
        raise StoreError(f"a stored {kind.__name__} is cut, or larger than {MAX_DOCUMENT} bytes")
    return load(kind, text.decode())


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be stored")


@cache
def _members(kind: type) -> dict[str, tuple[Any, bool]]:
    """Name -> (type, whether it has a default)."""
    # model.py imports datetime for type checking only.
    hints = get_type_hints(kind, localns={"datetime": datetime})
    return {
        field.name: (
            hints[field.name],
            field.default is not MISSING or field.default_factory is not MISSING,
        )
        for field in fields(kind)
    }


def _decode(kind: Any, value: Any) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        inner = next(a for a in get_args(kind) if a is not type(None))
        return None if value is None else _decode(inner, value)
    if origin is tuple:
        return _decode_tuple(get_args(kind), value)
    if isinstance(kind, type):
        if is_dataclass(kind):
            return _decode_dataclass(kind, value)
        if kind is datetime:
            return datetime.fromisoformat(value)
        return kind(value) if issubclass(kind, Enum) else value
    return value


def _decode_tuple(inner: tuple[Any, ...], value: list[Any]) -> tuple[Any, ...]:
    if len(inner) == 2 and inner[1] is Ellipsis:
        return tuple(_decode(inner[0], item) for item in value)
    return tuple(_decode(kind, item) for kind, item in zip(inner, value, strict=True))


def _decode_dataclass(kind: type, value: dict[str, Any]) -> Any:
    given = {
        name: _decode(hint, value[name])
        for name, (hint, optional) in _members(kind).items()
        if not (optional and name not in value)
    }
    return kind(**given)
