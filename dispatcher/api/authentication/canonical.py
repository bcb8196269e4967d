"""Signature Version 4 as pure functions: the canonical request and its signature.

Source: "Create a signed AWS API request" in the IAM user guide, and the `aws-sig-v4-test-suite`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ALGORITHM: Final = "AWS4-HMAC-SHA256"
_UNRESERVED: Final = "-_.~"


@dataclass(frozen=True, slots=True)
class SignedParts:
    """The signed parts of a request. `path` is as it was sent, still encoded.

    `query` has decoded names and values; `headers` names in lower case, in the order received.
    """

    method: str
    path: str
    query: Sequence[tuple[str, str]]
    headers: Sequence[tuple[str, str]]
    body_sha256: str


@dataclass(frozen=True, slots=True)
class Scope:
    """A credential's scope: for which day, region and service a signature is made."""

    day: str
    region: str
    service: str

    def __str__(self) -> str:
        """As in Authorization."""
        return f"{self.day}/{self.region}/{self.service}/aws4_request"


def canonical_request(parts: SignedParts, signed_headers: Sequence[str]) -> str:
    """Return the canonical request, with these headers in this order."""
    values: Mapping[str, list[str]] = defaultdict(list)
    for name, value in parts.headers:
        values[name].append(" ".join(filter(None, value.replace("\t", " ").split(" "))))
    lines = [f"{name}:{','.join(values[name])}\n" for name in signed_headers]
    return "\n".join(
        (
            parts.method,
            canonical_path(parts.path),
            canonical_query(parts.query),
            "".join(lines),
            ";".join(signed_headers),
            parts.body_sha256,
        )
    )


def canonical_path(path: str) -> str:
    """Return the path without `.`, `..` and empty segments, encoded once more than it was sent."""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in {"", "."}:
            segments.append(segment)
    normal = "/" + "/".join(segments)
    if segments and path.endswith("/"):
        normal += "/"
    return quote(normal, safe="/" + _UNRESERVED)


def canonical_query(query: Iterable[tuple[str, str]]) -> str:
    """Return the query's fields encoded, and sorted by name and value."""
    encoded = [(quote(name, safe=_UNRESERVED), quote(text, safe=_UNRESERVED))
               for name, text in query]  # fmt: skip
    return "&".join(f"{name}={text}" for name, text in sorted(encoded))


def signature(secret: str, scope: Scope, time: str, request: str) -> str:
    """Return the signature of a canonical request, in hexadecimal digits."""
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = f"{ALGORITHM}\n{time}\n{scope}\n{digest}"
    key = f"AWS4{secret}".encode()
    for part in (scope.day, scope.region, scope.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
