"""Connections to public addresses alone, or to those of one's own network.

A name is resolved once, each of its addresses is checked, and the connection goes to a checked
address: an answer of the name server that changes in between has no effect. TLS still verifies the
name.
"""

from __future__ import annotations

import functools
import socket
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, ClassVar, Final

from urllib3.exceptions import HTTPError, LocationParseError, NameResolutionError

from sidelight.download.deadlines import PlainPool, TlsPool, WatchedConnection, WatchedTlsConnection
from sidelight.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from urllib3.connectionpool import HTTPConnectionPool

# Addresses of IPv6 whose last 32 bits are an address of IPv4 (RFC 6052 and RFC 8215).
_NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/96"))
MOST_ADDRESSES: Final = 8  # of one name; the others are not tried


# AWS's metadata service, and credentials of EKS, over IPv6: addresses that look private.
_AWS_LOCAL: Final = IPv6Network("fd00:ec2::/32")


class Reach(IntEnum):
    """Where an address leads: the smaller, the nearer to this machine and to its secrets."""

    METADATA = 0  # link-local: credentials of the machine, the task or the pod
    LOOPBACK = 1
    PRIVATE = 2
    PUBLIC = 3


def reach_of(address: str) -> Reach:
    """Return where an address leads.

    An address of IPv6 that leads to one of IPv4 (mapped, 6to4, Teredo, NAT64) reaches what that
    does. Raises ValueError for a text that is not an address.
    """
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address):
        inner = [parsed.ipv4_mapped, parsed.sixtofour, *(parsed.teredo or ())]
        inner += [IPv4Address(int(parsed) & 0xFFFFFFFF) for net in _NAT64 if parsed in net]
        nearest = min((reach_of(str(each)) for each in inner if each is not None), default=None)
        if nearest is not None and (nearest < Reach.PUBLIC or parsed.ipv4_mapped is not None):
            return nearest
        if parsed in _AWS_LOCAL:
            return Reach.METADATA
    if parsed.is_link_local:
        return Reach.METADATA
    if parsed.is_loopback or parsed.is_unspecified:
        return Reach.LOOPBACK
    return Reach.PUBLIC if parsed.is_global and not parsed.is_multicast else Reach.PRIVATE


def is_public(address: str) -> bool:
    """Return whether an address is of the internet: not private, loopback, link-local or reserved.

    Raises ValueError for a text that is not an address.
    """
    return reach_of(address) is Reach.PUBLIC


def public_addresses(host: str, port: int, least: Reach = Reach.PUBLIC) -> list[str]:
    """Return the addresses of a host, in the resolver's order.

    Raises DownloadError if one is nearer than `least`; OSError if the name cannot be resolved.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if reach_of(address) < least:
            raise DownloadError(f"its address {address} is not {_KINDS[least]}", where=host)
    return addresses[:MOST_ADDRESSES]


_KINDS: Final = {
    Reach.PUBLIC: "a public one",
    Reach.PRIVATE: "one of a network",
    Reach.LOOPBACK: "one of a network or this machine",
}


def _connect(
    connection: WatchedConnection, connect: Callable[[], socket.socket], least: Reach
) -> socket.socket:
    """Connect to the first checked address that answers; the connection keeps its name."""
    name = connection._dns_host  # noqa: SLF001 - where urllib3 connects to
    try:
        addresses = public_addresses(name, connection.port or 443, least)
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
    least: ClassVar[Reach] = Reach.PUBLIC

    def _new_conn(self) -> socket.socket:
        return _connect(self, super()._new_conn, self.least)


class _PublicTls(WatchedTlsConnection):
    least: ClassVar[Reach] = Reach.PUBLIC

    def _new_conn(self) -> socket.socket:
        return _connect(self, super()._new_conn, self.least)


@functools.cache
def pools_from(least: Reach) -> Mapping[str, type[HTTPConnectionPool]]:
    """Return pools whose connections go to addresses that are not nearer than `least`.

    For `PoolManager.pool_classes_by_scheme`.
    """
    plain = type("PlainConnectionFrom", (_Public,), {"least": least})
    tls = type("TlsConnectionFrom", (_PublicTls,), {"least": least})
    return {
        "http": type("PlainPoolFrom", (PlainPool,), {"ConnectionCls": plain}),
        "https": type("TlsPoolFrom", (TlsPool,), {"ConnectionCls": tls}),
    }


PUBLIC_POOLS: Final = pools_from(Reach.PUBLIC)
