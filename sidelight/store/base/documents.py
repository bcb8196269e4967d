"""Convert model values to JSON and back, by their type hints.

A stored document outlives the code that wrote it: a missing member gets its default, and an
unknown member is ignored.
"""

from __future__ import annotations

import json
import types
import zlib
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from sidelight.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# An inventory of a million packages is about 300 MB of JSON: a larger document is not an inventory.
MAX_DOCUMENT = 1 << 30


def dump(value: object) -> str:
    """Return a dataclass as JSON. Undecodable file names remain lone surrogates."""
    return _ENCODER.encode(value)


def load(kind: type[T], text: str) -> T:
    """Load a dataclass. Raises StoreError for any other document."""
    try:
        value: T = _decode(kind, json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise StoreError(f"not a stored {kind.__name__}: {error}") from error
    return value


def pack(value: Any) -> bytes:
    """As `dump`, compressed."""
    return compress(dump(value))


def compress(document: str) -> bytes:
    """Compress the result of `dump` for `unpack`."""
    return zlib.compress(document.encode(), 6)


def unpack(kind: type[T], data: bytes) -> T:
    """As `load`. Raises StoreError also for damaged data and for data over MAX_DOCUMENT."""
    decoder = zlib.decompressobj()
    try:
        text = decoder.decompress(data, MAX_DOCUMENT)
    except zlib.error as error:
        raise StoreError(f"not a stored {kind.__name__}: {error}") from error
    if not decoder.eof:
        raise StoreError(f"a stored {kind.__name__} is cut, or larger than {MAX_DOCUMENT} bytes")
    return load(kind, text.decode())


def _plain(value: object) -> object:
    """Convert a value the encoder does not know. `asdict` copies every member: ten times slower."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: getattr(value, name) for name in _members(type(value))}
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be stored")


@cache
def _members(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


_ENCODER = json.JSONEncoder(separators=(",", ":"), default=_plain)


def _decode(kind: Any, value: Any) -> Any:
    return _decoder(kind)(value)


@cache
def _decoder(kind: Any) -> Callable[[Any], Any]:
    """Return the function from a JSON value to this type, built once for each type."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        inner = _decoder(next(a for a in get_args(kind) if a is not type(None)))
        return lambda value: None if value is None else inner(value)
    if origin is tuple:
        return _tuple_decoder(get_args(kind))
    if isinstance(kind, type):
        if is_dataclass(kind):
            return _dataclass_decoder(kind)
        if kind is datetime:
            return datetime.fromisoformat
        if issubclass(kind, Enum):
            return kind
    return lambda value: value


def _tuple_decoder(inner: tuple[Any, ...]) -> Callable[[Any], Any]:
    if len(inner) == 2 and inner[1] is Ellipsis:
        each = _decoder(inner[0])
        return lambda value: tuple(map(each, value))
    decoders = [_decoder(kind) for kind in inner]
    return lambda value: tuple(decoder(item) for decoder, item in zip(decoders, value, strict=True))


def _dataclass_decoder(kind: type) -> Callable[[Any], Any]:
    # model.py imports datetime for type checking only.
    hints = get_type_hints(kind, localns={"datetime": datetime})
    members = [(field.name, hints[field.name]) for field in fields(kind)]
    # For these types JSON's value needs no conversion, so most members cost nothing.
    plain = {name for name, hint in members if hint in (str, int, float, bool)}
    decoders = [(name, _decoder(hint)) for name, hint in members if name not in plain]
    known = {name for name, _ in members}

    def decode(value: dict[str, Any]) -> Any:
        members_given = {name: item for name, item in value.items() if name in known}
        for name, decoder in decoders:
            if name in members_given:
                members_given[name] = decoder(members_given[name])
        return kind(**members_given)

    return decode
