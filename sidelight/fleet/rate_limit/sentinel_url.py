"""Parse a Sentinel's URL as kombu does: the same URL may name broker and rate limits."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

HOST, PORT = "127.0.0.1", 26379
_CERTIFICATES = {
    name: value
    for value in ssl.VerifyMode
    for name in (value.name, value.name.removeprefix("CERT_").lower())
}


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """One Sentinel's address, and the login, database and TLS options of its master."""

    host: str
    port: int
    user: str | None
    password: str | None
    database: int
    tls: Mapping[str, object] = field(default_factory=dict)


def parse(url: str) -> SentinelUrl:
    """Parse one URL. Raises ValueError for a port or database that is not a number."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    return SentinelUrl(
        host=unquote(parts.hostname or "") or HOST,
        port=parts.port or PORT,
        user=unquote(parts.username or "") or None,
        password=unquote(parts.password or "") or None,
        database=int(unquote(parts.path).removeprefix("/") or 0),
        tls={name: _option(name, value) for name, value in query.items() if name[:4] == "ssl_"},
    )


def _option(name: str, value: str) -> object:
    if name == "ssl_check_hostname":
        return value.lower() != "false"
    return _CERTIFICATES.get(value, value) if name == "ssl_cert_reqs" else value
