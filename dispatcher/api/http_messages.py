"""A request as it arrived, and hosts' names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dispatcher.api.errors import MalformedRequestError, MisdirectedRequestError
from dispatcher.services.host_names import is_loopback

if TYPE_CHECKING:
    from collections.abc import Sequence

# A name or an address, and a port: no user, no scope, no other part of a URL.
_HOST: Final = re.compile(r"(?P<name>[\w.-]*|\[[\da-fA-F:.]+\])(?::\d{0,5})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request. `path` and `query` are as sent, still encoded; headers' names in lower case."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    source: str

    def values(self, name: str) -> list[str]:
        """Return the values of a header, in the order received."""
        return [value for key, value in self.headers if key == name]


def check_host(request: HttpRequest, hosts: frozenset[str] | None) -> None:
    """Raise ApiError unless the request names a host that is served; None is every one.

    So no page of another site can make a browser read what is served on loopback.
    """
    values = request.values("host")
    if len(values) > 1:
        raise MalformedRequestError("several Host headers")
    host = _HOST.fullmatch(values[0].strip() if values else "")
    if host is None:
        raise MalformedRequestError("not a valid Host header")
    if hosts is not None and not is_loopback(host["name"]) and host["name"].lower() not in hosts:
        raise MisdirectedRequestError("this host is not served")
