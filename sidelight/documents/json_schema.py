"""Convert the types of documents to JSON Schema (draft 2020-12).

A TypedDict becomes an object without further members; its docstring becomes the description.
"""

from __future__ import annotations

import inspect
import types
from enum import Enum
from typing import (
    TYPE_CHECKING,
    Annotated,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from sidelight.documents.markers import OneOf, TextFormat

if TYPE_CHECKING:
    from collections.abc import Callable

DIALECT = "https://json-schema.org/draft/2020-12/schema"
JsonSchema = dict[str, object]
Definitions = dict[str, JsonSchema]
Arguments = tuple[object, ...]
_PLAIN: dict[object, JsonSchema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    type(None): {"type": "null"},
    object: {},
}


def schema_of(kind: object, title: str, source: str) -> JsonSchema:
    """Return the schema of a document. Raises TypeError for a type that JSON does not have."""
    definitions: Definitions = {}
    root = _schema(kind, definitions)
    return {
        "$schema": DIALECT,
        "title": title,
        "$comment": source,
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def _schema(kind: object, definitions: Definitions) -> JsonSchema:
    """Return the schema of a type; the objects it refers to are added to `definitions`."""
    if kind in _PLAIN:
        return dict(_PLAIN[kind])
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    if isinstance(kind, type) and is_typeddict(kind):
        return _reference(kind, definitions)
    convert = _GENERIC.get(get_origin(kind))
    if convert is None:
        raise TypeError(f"{kind!r} has no JSON Schema")
    return convert(get_args(kind), definitions)


def _required(arguments: Arguments, definitions: Definitions) -> JsonSchema:
    return _schema(arguments[0], definitions)


def _union(arguments: Arguments, definitions: Definitions) -> JsonSchema:
    return {"anyOf": [_schema(item, definitions) for item in arguments]}


def _array(arguments: Arguments, definitions: Definitions) -> JsonSchema:
    return {"type": "array", "items": _schema(arguments[0], definitions)}


def _mapping(arguments: Arguments, definitions: Definitions) -> JsonSchema:
    key, value = arguments
    found: JsonSchema = {"type": "object", "additionalProperties": _schema(value, definitions)}
    if key is not str:
        found["propertyNames"] = _schema(key, definitions)
    return found


def _marked(arguments: Arguments, definitions: Definitions) -> JsonSchema:
    found = _schema(arguments[0], definitions)
    for marker in arguments[1:]:
        if isinstance(marker, TextFormat):
            found["format"] = marker.name
        elif isinstance(marker, OneOf):
            found = {"enum": list(marker.values)}
    return found


def _reference(kind: type, definitions: Definitions) -> JsonSchema:
    name = kind.__name__
    if name not in definitions:
        found = definitions[name] = {}  # first, for a type that contains itself
        hints = get_type_hints(kind, include_extras=True)
        found["description"] = inspect.cleandoc(kind.__doc__ or "")
        found["type"] = "object"
        found["properties"] = {member: _schema(hint, definitions) for member, hint in hints.items()}
        found["required"] = [name for name, hint in hints.items() if _is_required(kind, name, hint)]
        found["additionalProperties"] = False
    return {"$ref": f"#/$defs/{name}"}


def _is_required(kind: type, member: str, hint: object) -> bool:
    """Whether a member is always there. Python's own sets do not see hints that are texts."""
    required: frozenset[str] = kind.__required_keys__  # type: ignore[attr-defined] # TypedDict
    origin = get_origin(hint)
    return origin is Required or (member in required and origin is not NotRequired)


_GENERIC: dict[object, Callable[[Arguments, Definitions], JsonSchema]] = {
    Annotated: _marked,
    NotRequired: _required,
    Required: _required,
    Union: _union,
    types.UnionType: _union,
    list: _array,
    dict: _mapping,
}
