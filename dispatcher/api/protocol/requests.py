"""A request of HTTP as an operation and its parameters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus

from dispatcher.api.errors import InvalidField, MalformedRequestError, Reason, ValidationError
from dispatcher.api.protocol.validation import Checker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dispatcher.api.protocol.operation import Operation
    from dispatcher.api.protocol.service import Service

BODY_LIMIT: Final = 2 << 20  # bytes; a nextToken may have 1,000,000 characters
NODES_LIMIT: Final = 100_000  # commas and openings of a body
QUERY_LIMIT: Final = 200  # fields; UntagResource has at most 50


def query_fields(query: str) -> list[tuple[str, str]]:
    """Return names and values of an encoded query. Raises MalformedRequestError."""
    if not query:
        return []
    parts = query.split("&")
    if len(parts) > QUERY_LIMIT:
        raise MalformedRequestError(f"the query has more than {QUERY_LIMIT} fields")
    try:
        pairs = [part.partition("=") for part in parts if part]
        return [
            (unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict"))
            for name, _, value in pairs
        ]
    except UnicodeDecodeError as error:
        raise MalformedRequestError("the query is not UTF-8") from error


def parameters(
    service: Service,
    operation: Operation,
    labels: Mapping[str, str],
    query: Sequence[tuple[str, str]],
    body: bytes,
) -> dict[str, object]:
    """Return the parameters of a request, valid by the model. Raises ValidationError."""
    if not operation.input_shape:
        return {}
    shape = service.shape(operation.input_shape)
    unchecked: dict[str, object] = {}
    if any(not member.location for member in shape.members.values()):
        unchecked.update(_body(body))
    for name, member in shape.members.items():
        if member.location == "uri":
            unchecked[name] = labels.get(member.wire_name)
        elif member.location == "querystring":
            values = [value for key, value in query if key == member.wire_name]
            unchecked[name] = _of_query(service, member.shape, values)
    checker = Checker(service)
    checked = checker.check(operation.input_shape, unchecked)
    if checker.faults or not isinstance(checked, dict):
        raise _invalid(checker.faults)
    return checked


def _body(body: bytes) -> dict[str, object]:
    """Return a body's members. Raises ValidationError with the reason CANNOT_PARSE."""
    if not body:
        return {}
    if body.count(b",") + body.count(b"{") + body.count(b"[") > NODES_LIMIT:
        raise _unreadable(f"the body has more than {NODES_LIMIT} values")
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise _unreadable("the body is not JSON") from error
    if not isinstance(value, dict):
        raise _unreadable("the body is not a JSON object")
    return value


def _refuse(text: str) -> object:
    raise ValueError(text)  # NaN and Infinity are not JSON


def _of_query(service: Service, shape_name: str, values: list[str]) -> object:
    """Return the texts of a query as JSON's values; the check finds the faults."""
    shape = service.shape(shape_name)
    if shape.kind == "list":
        return list(values)  # an empty list has no field in a query
    if not values:
        return None
    text = values[0]
    if shape.kind in {"integer", "long"} and len(text) <= 20:
        try:
            return int(text)
        except ValueError:
            return text
    if shape.kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    return text


def _unreadable(what: str) -> ValidationError:
    return ValidationError(what, reason=Reason.CANNOT_PARSE)


def _invalid(faults: Sequence[InvalidField]) -> ValidationError:
    """Return an error whose text is as AWS's: how many faults, and each of them."""
    count = len(faults)
    errors = "error" if count == 1 else "errors"
    texts = [f"Value at '{item.name}' failed to satisfy constraint: {item.message}"
             for item in faults]  # fmt: skip
    shown = f"{count} validation {errors} detected: {'; '.join(texts)}"
    return ValidationError(shown, fields=faults)
