"""Addresses with ports as configuration files write them."""

from __future__ import annotations

from typing import Final

LAST_PORT: Final = 65535
_EVERY: Final = frozenset({"", "*", "0.0.0.0", "::", "[::]"})  # noqa: S104 - read, not bound
_LONGEST: Final = 253  # characters of a host's name


def port_of(text: str) -> int | None:
    """Return a port of 1 to 65535; None for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        return None
    port = int(text)
    return port if 0 < port <= LAST_PORT else None


def address_of(text: str) -> str:
    """Return an address without brackets; empty for every address."""
    bare = text.strip().strip("'\"")
    if bare in _EVERY:
        return ""
    return bare.removeprefix("[").removesuffix("]")[:_LONGEST]


def split(text: str) -> tuple[str, int | None]:
    """Return address and port of `80`, `192.0.2.1:80`, `[::]:80`, `host`; port None if missing."""
    if (port := port_of(text)) is not None:
        return "", port
    if text.startswith("["):
        host, bracket, rest = text.partition("]")
        if not bracket:
            return address_of(text), None
        return address_of(host[1:]), port_of(rest.removeprefix(":"))
    host, colon, last = text.rpartition(":")
    if colon and ":" not in host:
        return address_of(host), port_of(last)
    return address_of(text), None  # an IPv6 address without a port, or a name
