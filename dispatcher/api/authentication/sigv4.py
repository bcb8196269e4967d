"""Verify Signature Version 4, in the header form and the query (presigned) form.

Refused: another region or service than is served, a time beyond the allowed skew, unsigned Host or
x-amz- headers, a body without its hash or with another, chunked and unsigned payloads, session
tokens. Every refusal is as AWS's, and none says more of the key than AWS does.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from dispatcher.api.authentication.canonical import (
    ALGORITHM,
    Scope,
    SignedParts,
    canonical_request,
    signature,
)
from dispatcher.api.errors import (
    IncompleteSignatureError,
    InvalidSignatureError,
    MissingAuthenticationError,
    UnrecognizedClientError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SERVICE: Final = "inspector2"
MOST_HEADERS: Final = 60  # signed headers; a client of AWS signs about ten
LONGEST_PRESIGNED: Final = 900  # seconds; AWS allows a week, and this is not a service of downloads
CLIENT_UNKNOWN: Final = "The security token included in the request is invalid."
_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your"
    " Secret Access Key and signing method."
)
_TIME: Final = "%Y%m%dT%H%M%SZ"
_TIME_SHAPE = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_KEY_ID = re.compile(r"[A-Z0-9]{16,64}")
_DAY = re.compile(r"[0-9]{8}")
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]{2,10}){1,3}-[0-9]{1,2}")
_HEADER = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,100}")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request's claims, read but not verified. `expires` is the presigned form's, in seconds."""

    key_id: str
    scope: Scope
    time: str
    at: datetime
    signed_headers: tuple[str, ...]
    signature: str
    parts: SignedParts
    expires: int | None = None


def read_signature(parts: SignedParts, body: bytes) -> SignedRequest:
    """Return a request's claims. Raises MissingAuthenticationError and its siblings."""
    authorization = _all(parts.headers, "authorization")
    presigned = _query_fields(parts.query)
    if not authorization and "X-Amz-Signature" not in presigned:
        raise MissingAuthenticationError("Missing Authentication Token")
    if authorization and "X-Amz-Signature" in presigned:
        raise IncompleteSignatureError("the request is signed twice: in its header and its query")
    if len(authorization) > 1:
        raise IncompleteSignatureError("the request has several Authorization headers")
    fields = _header_fields(authorization[0]) if authorization else presigned
    if _all(parts.headers, "x-amz-security-token") or "X-Amz-Security-Token" in fields:
        raise UnrecognizedClientError(CLIENT_UNKNOWN)
    signed = tuple(_required(fields, "SignedHeaders").split(";"))
    _check_headers(parts, signed)
    time = _single_time(parts) if authorization else _required(fields, "X-Amz-Date")
    key_id, scope = _credential(_required(fields, "Credential"))
    claimed = _required(fields, "Signature")
    if not _SIGNATURE.fullmatch(claimed):
        raise InvalidSignatureError(_MISMATCH)
    if not authorization:
        kept = [(name, value) for name, value in parts.query if name != "X-Amz-Signature"]
        parts = SignedParts(parts.method, parts.path, kept, parts.headers, parts.body_sha256)
    _check_body(parts, body)
    expires = None if authorization else _expires(_required(fields, "X-Amz-Expires"))
    return SignedRequest(key_id, scope, time, _moment(time, scope), signed, claimed, parts, expires)


def check_time(request: SignedRequest, now: datetime, skew: timedelta) -> None:
    """Raise InvalidSignatureError unless the request was signed about now."""
    until = request.at + (skew if request.expires is None else timedelta(seconds=request.expires))
    if now > until:
        late = f"{now:{_TIME}} ({request.time} + {int((until - request.at).total_seconds())} s)"
        raise InvalidSignatureError(f"Signature expired: {request.time} is now earlier than {late}")
    if now < request.at - skew:
        raise InvalidSignatureError(
            f"Signature not yet current: {request.time} is still later than {now:{_TIME}}"
        )


def check_scope(request: SignedRequest, regions: frozenset[str]) -> None:
    """Raise InvalidSignatureError for another service, or a region that is not served."""
    scope = request.scope
    if scope.service != SERVICE:
        raise InvalidSignatureError(f"Credential should be scoped to correct service: '{SERVICE}'.")
    if not _REGION.fullmatch(scope.region) or (regions and scope.region not in regions):
        raise InvalidSignatureError("Credential should be scoped to a valid region.")


def check_signature(request: SignedRequest, secret: str) -> None:
    """Raise InvalidSignatureError unless the secret signed this request."""
    wanted = canonical_request(request.parts, request.signed_headers)
    computed = signature(secret, request.scope, request.time, wanted)
    if not hmac.compare_digest(computed, request.signature):
        raise InvalidSignatureError(_MISMATCH)


def _header_fields(value: str) -> dict[str, str]:
    """Return the fields of Authorization: `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, …`."""
    algorithm, _, rest = value.strip().partition(" ")
    if algorithm != ALGORITHM:
        raise IncompleteSignatureError(f"Authorization is not of the algorithm {ALGORITHM}")
    fields: dict[str, str] = {}
    for part in rest.split(","):
        name, equals, text = part.strip().partition("=")
        if not equals or name in fields or name not in {"Credential", "SignedHeaders", "Signature"}:
            raise IncompleteSignatureError("Authorization has a field that is not of SigV4")
        fields[name] = text
    return fields


def _query_fields(query: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the fields of the presigned form, each of which is there once."""
    fields: dict[str, str] = {}
    for name, value in query:
        if name.startswith("X-Amz-"):
            if name in fields:
                raise IncompleteSignatureError("the query has an X-Amz- field twice")
            fields[name] = value
    if "X-Amz-Signature" in fields and fields.get("X-Amz-Algorithm") != ALGORITHM:
        raise IncompleteSignatureError(f"X-Amz-Algorithm is not {ALGORITHM}")
    return fields


def _required(fields: Mapping[str, str], name: str) -> str:
    value = fields.get(name) or fields.get(f"X-Amz-{name}")
    if not value:
        raise IncompleteSignatureError(f"Authorization requires '{name.removeprefix('X-Amz-')}'")
    return value


def _credential(text: str) -> tuple[str, Scope]:
    key_id, *rest = text.split("/")
    if len(rest) != 4 or rest[3] != "aws4_request" or not _DAY.fullmatch(rest[0]):
        raise IncompleteSignatureError(
            "Credential must be KEY/YYYYMMDD/REGION/SERVICE/aws4_request"
        )
    if not _KEY_ID.fullmatch(key_id):
        raise UnrecognizedClientError(CLIENT_UNKNOWN)
    return key_id, Scope(*rest[:3])


def _check_headers(parts: SignedParts, signed: Sequence[str]) -> None:
    """Raise unless all headers that must be signed are, each once, and in order."""
    if len(signed) > MOST_HEADERS or list(signed) != sorted(set(signed)):
        raise IncompleteSignatureError("SignedHeaders must be sorted, each name once")
    if not all(_HEADER.fullmatch(name) for name in signed):
        raise IncompleteSignatureError("SignedHeaders has what is not a header in lower case")
    sent = {name for name, _ in parts.headers}
    must = {"host"} | {name for name in sent if name.startswith("x-amz-")}
    missing = sorted(must - set(signed)) or sorted(set(signed) - sent)
    if missing:
        raise InvalidSignatureError(
            f"header '{missing[0][:100]}' must be sent and be in SignedHeaders"
        )
    if len(_all(parts.headers, "host")) != 1:
        raise IncompleteSignatureError("the request must have one Host header")


def _check_body(parts: SignedParts, body: bytes) -> None:
    """Raise unless the hash that is signed is the body's."""
    stated = _all(parts.headers, "x-amz-content-sha256")
    actual = hashlib.sha256(body).hexdigest()
    if len(stated) > 1 or (stated and not _SHA256.fullmatch(stated[0])):
        raise InvalidSignatureError("unsigned and chunked payloads are not accepted")
    if (stated and stated[0] != actual) or parts.body_sha256 != actual:
        raise InvalidSignatureError("the body is not that of x-amz-content-sha256")


def _single_time(parts: SignedParts) -> str:
    times = _all(parts.headers, "x-amz-date")
    if len(times) != 1:
        raise IncompleteSignatureError("Authorization requires one header 'X-Amz-Date'")
    return times[0]


def _moment(text: str, scope: Scope) -> datetime:
    if not _TIME_SHAPE.fullmatch(text):
        raise IncompleteSignatureError("Date must be YYYYMMDDTHHMMSSZ")
    if not text.startswith(scope.day):
        raise InvalidSignatureError("Date in Credential scope does not match the request's date")
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError as error:
        raise IncompleteSignatureError("Date is not a time") from error


def _expires(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise IncompleteSignatureError("X-Amz-Expires must be a number of seconds")
    if not 1 <= int(text) <= LONGEST_PRESIGNED:
        raise InvalidSignatureError(f"X-Amz-Expires must be 1 to {LONGEST_PRESIGNED} seconds")
    return int(text)


def _all(headers: Sequence[tuple[str, str]], name: str) -> list[str]:
    return [value for key, value in headers if key == name]
