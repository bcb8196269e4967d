"""Connections to public addresses alone.

A name is resolved once, each of its addresses is checked, and the connection goes to a checked
address: an answer of the name server that changes in between has no effect. TLS still verifies the
name.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final

from urllib3.exceptions import HTTPError, LocationParseError, NameResolutionError

from sidelight.download.deadlines import PlainPool, TlsPool, WatchedConnection, WatchedTlsConnection
from sidelight.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Callable

# Addresses of IPv6 whose last 32 bits are an address of IPv4 (RFC 6052 and RFC 8215).
_NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/96"))
MOST_ADDRESSES: Final = 8  # of one name; the others are not tried


def is_public(address: str) -> bool:
    """Return whether an address is of the internet: not private, loopback, link-local or reserved.

    An address of IPv6 that leads to one of IPv4 (mapped, 6to4, Teredo, NAT64) is as public as that.
    Raises ValueError for a text that is not an address.
    """
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address):
        inner = [parsed.ipv4_mapped, parsed.sixtofour, *(parsed.teredo or ())]
        inner += [IPv4Address(int(parsed) & 0xFFFFFFFF) for net in _NAT64 if parsed in net]
        if any(each is not None and not is_public(str(each)) for each in inner):
            return False
        if parsed.ipv4_mapped is not None:
            return True
    return parsed.is_global and not parsed.is_multicast


def public_addresses(host: str, port: int) -> list[str]:
    """Return the addresses of a host, in the resolver's order.

    Raises DownloadError if one is not public; OSError if the name cannot be resolved.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if not is_public(address):
            raise DownloadError(f"its address {address} is not a public one", where=host)
    return addresses[:MOST_ADDRESSES]


def _connect(connection: WatchedConnection, connect: Callable[[], socket.socket]) -> socket.socket:
    """Connect to the first checked address that answers; the connection keeps its name."""
    name = connection._dns_host  # noqa: SLF001 - where urllib3 connects to
    try:
        addresses = public_addresses(name, connection.port or 443)
    except socket.gaierror as error:
        raise NameResolutionError(name, connection, error) from error
    except (OSError, UnicodeError) as error:
        raise LocationParseError(f"{name!r}, label empty or too long") from error
    try:
        for address in addresses[:-1]:
            connection._dns_host = address  # noqa: SLF001
            try:
                return connect()
            except (OSError, HTTPError):  # the last one's error is reported
                continue
        connection._dns_host = addresses[-1]  # noqa: SLF001
        return connect()
    finally:
        connection._dns_host = name  # noqa: SLF001


class _Public(WatchedConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self, super()._new_conn)


class _PublicTls(WatchedTlsConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self, super()._new_conn)


class _PublicPool(PlainPool):
    ConnectionCls = _Public


class _PublicTlsPool(TlsPool):
    ConnectionCls = _PublicTls


# For `PoolManager.pool_classes_by_scheme`.
PUBLIC_POOLS: Final = {"http": _PublicPool, "https": _PublicTlsPool}
