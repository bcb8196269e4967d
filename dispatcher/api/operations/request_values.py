"""Members of a validated request with their types, and pages of answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, cast

from dispatcher.api.errors import InvalidField, ValidationError
from sidelight.errors import FormatError
from sidelight.suppression import Criteria, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from dispatcher.api.call import ApiRequest, ApiResponse, Call

Document = Mapping[str, object]


def text(request: Document, name: str, default: str = "") -> str:
    """Return a string member."""
    value = request.get(name)
    return value if isinstance(value, str) else default


def texts(request: Document, name: str) -> list[str]:
    """Return a list of strings; empty where it is missing."""
    value = request.get(name)
    return [str(item) for item in value] if isinstance(value, Sequence) else []


def flag(request: Document, name: str) -> bool | None:
    """Return a boolean member; None where it is missing."""
    value = request.get(name)
    return value if isinstance(value, bool) else None


def number(request: Document, name: str, default: int) -> int:
    """Return an integer member."""
    value = request.get(name)
    return value if isinstance(value, int) else default


def structure(request: Document, name: str) -> Document:
    """Return a structure; empty where it is missing."""
    value = request.get(name)
    return cast("Document", value) if isinstance(value, Mapping) else {}


def structures(request: Document, name: str) -> list[Document]:
    """Return a list of structures; empty where it is missing."""
    value = request.get(name)
    return [cast("Document", item) for item in value] if isinstance(value, Sequence) else []


def text_map(request: Document, name: str) -> dict[str, str]:
    """Return a map of strings; empty where it is missing."""
    return {str(key): str(value) for key, value in structure(request, name).items()}


def invalid(name: str, why: str) -> ValidationError:
    """Return the error of one member."""
    return ValidationError(f"{name}: {why}", fields=[InvalidField(name, why)])


def position(call: Call, request: Document) -> dict[str, object] | None:
    """Return the position after which a page begins; None at first. Raises ValidationError."""
    token = text(request, "nextToken")
    return call.pages.unseal(token) if token else None


def token(call: Call, after: Mapping[str, object] | None) -> dict[str, str]:
    """Return the member nextToken of an answer after which more follows; empty at the end."""
    return {} if after is None else {"nextToken": call.pages.seal(after)}


def page_of_items(
    call: Call, request: Document, items: Sequence[tuple[str, object]], most: int
) -> tuple[list[object], dict[str, str]]:
    """Return a page of (unique key, item), which are sorted by key here, and its nextToken."""
    size = number(request, "maxResults", most)
    after = position(call, request)
    last = text(after, "after") if after is not None else None
    ordered = sorted(items, key=lambda pair: pair[0])
    rest = [pair for pair in ordered if last is None or pair[0] > last]
    page = rest[:size]
    more = {"after": page[-1][0]} if len(rest) > size else None
    return [item for _, item in page], token(call, more)


def criteria_document(criteria: Document) -> dict[str, object]:
    """Return criteria as JSON: times in ISO 8601."""
    return cast("dict[str, object]", _plain(criteria))


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value


def filter_criteria(request: Document, name: str = "filterCriteria") -> Criteria | None:
    """Return parsed FilterCriteria; None where there are none. Raises ValidationError."""
    document = criteria_document(structure(request, name))
    if not document:
        return None
    try:
        return parse(document)
    except FormatError as error:
        raise invalid(f"{name}.{error.where}" if error.where else name, error.what) from error


def once(
    call: Call, operation: str, request: ApiRequest, run: Callable[[], ApiResponse]
) -> ApiResponse:
    """Run an operation once for its clientToken: a repeated request gets the first answer.

    Raises ValidationError where another request had the token.
    """
    client_token = text(request, "clientToken")
    if not client_token:
        return run()
    plain = json.dumps(_plain(request), sort_keys=True)
    digest = hashlib.sha256(plain.encode()).hexdigest()
    tokens, account = call.services.store.request_tokens, call.account_id
    stored = tokens.answer(account, operation, client_token)
    if stored is not None:
        if stored[0] != digest:
            raise invalid("clientToken", "was used with another request")
        return cast("ApiResponse", json.loads(stored[1]))
    response = run()
    tokens.keep(account, operation, client_token, digest, json.dumps(_plain(response)))
    return response
