"""Answers as bytes: by the model, with times in seconds since 1970."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from dispatcher.api.errors import MESSAGE_LIMIT

if TYPE_CHECKING:
    from dispatcher.api.errors import ApiError
    from dispatcher.api.protocol.operation import Operation
    from dispatcher.api.protocol.service import Service

JSON: Final = "application/json"
REQUEST_ID: Final = "x-amzn-RequestId"
ERROR_TYPE: Final = "x-amzn-ErrorType"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def success(
    service: Service, operation: Operation, response: Mapping[str, object], request_id: str
) -> Answer:
    """Return a handler's response as an answer. Members that are None are left out."""
    document: object = {}
    if operation.output_shape:
        document = _document(service, operation.output_shape, response)
    return Answer(operation.status, {"Content-Type": JSON, REQUEST_ID: request_id}, _json(document))


def failure(error: ApiError, request_id: str) -> Answer:
    """Return an error as an answer: its type in header and body, as every AWS SDK finds it."""
    message = error.what[:MESSAGE_LIMIT]
    document = {"__type": error.code, "message": message, **error.members()}
    headers = {"Content-Type": JSON, ERROR_TYPE: error.code, REQUEST_ID: request_id}
    return Answer(error.status, {**headers, **error.headers()}, _json(document))


def _document(service: Service, shape_name: str, value: object) -> object:
    """Return a value as JSON's, with the members that the model knows."""
    shape = service.shape(shape_name)
    if shape.kind == "structure" and isinstance(value, Mapping):
        return {
            name: _document(service, member.shape, value[name])
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if shape.kind == "list" and isinstance(value, Sequence):
        return [_document(service, shape.element, item) for item in value]
    if shape.kind == "map" and isinstance(value, Mapping):
        return {key: _document(service, shape.element, item) for key, item in value.items()}
    if isinstance(value, datetime):
        return _time(value, iso8601=shape.is_iso8601)
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _time(value: datetime, *, iso8601: bool) -> float | str:
    if iso8601:
        return value.isoformat().replace("+00:00", "Z")
    # Cut and not rounded: a range that begins with the time that is shown has what it is of.
    milliseconds = (value - _EPOCH) // timedelta(milliseconds=1)
    seconds, rest = divmod(milliseconds, 1000)
    return milliseconds / 1000 if rest else seconds


def _json(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "replace"
    )
