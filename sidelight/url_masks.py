"""URLs of brokers and stores without their secrets, for messages, logs and checks."""

from __future__ import annotations

import re
from typing import Final

_SECRET_NAME: Final = re.compile("pass|secret|token|key", re.IGNORECASE)
MASK: Final = "***"


def masked(url: str) -> str:
    """Return the URL, or several with `;` between, without passwords.

    A password that was not percent-encoded may hold any mark of a URL: all between the user and the
    last `@` is hidden. So is a port that is not a number: a password without a host is read as one.
    Of a query, the values of passwords, keys and tokens are hidden.
    """
    return ";".join(_masked_one(part) for part in re.split(r";(?=[a-z+]+://)", url))


def _masked_one(url: str) -> str:
    kind, mark, rest = url.partition("://")
    if not mark:
        kind, rest = "", url
    if rest.startswith("/"):  # a file, which has no login
        return f"{kind}{mark}{_without_query(rest)}"
    login, at, address = rest.rpartition("@")
    user, colon, _password = login.partition(":")
    if colon:
        user = f"{user}:{MASK}"
    elif "/" in login or "?" in login:
        user = MASK
    return f"{kind}{mark}{user}{at}{_without_port(_without_query(address))}"


def _without_query(address: str) -> str:
    begin, mark, query = address.partition("?")
    parts = [part.partition("=") for part in query.split("&")]
    shown = [
        f"{name}{equals}{MASK if equals and _SECRET_NAME.search(name) else value}"
        for name, equals, value in parts
    ]
    return f"{begin}{mark}{'&'.join(shown)}"


def _without_port(address: str) -> str:
    """Hide all from a port that is not a number. An address of IPv6 is in brackets."""
    host = re.match(r"\[[0-9A-Fa-f:.%]*\]|[^:/?]*", address)
    end = host.end() if host else 0
    if address[end : end + 1] != ":" or re.match(r":\d*(?:[/?]|$)", address[end:]):
        return address
    return f"{address[:end]}:{MASK}"
