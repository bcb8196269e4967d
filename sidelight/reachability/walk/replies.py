"""The way back: network ACLs are stateless, so an answer needs routes and entries of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.reachability.addresses import intervals
from sidelight.reachability.addresses.bundles import Bundle

if TYPE_CHECKING:
    from sidelight.reachability.addresses.intervals import Intervals

EPHEMERAL: Final = ((1024, 65535),)
"""The ports from which clients send, to which answers go [VPC user guide, "Ephemeral ports"]."""

_ECHO_REPLY: Final = {1: ((0, 0),), 58: ((129, 129),)}
_WITH_PORTS: Final = (6, 17)


def reply_to(bundle: Bundle, protocol: int) -> Bundle:
    """The answers to a bundle: one ephemeral port that gets back is enough for a client.

    A stateless rule of a firewall may have let only some of the clients' ports through.
    """
    ports = reply_ports(protocol)
    if protocol in _WITH_PORTS:
        ports = intervals.intersection(ports, bundle.src_ports)
    return Bundle(bundle.dst, bundle.src, ports, bundle.ports)


def reply_ports(protocol: int) -> Intervals:
    """The destination ports of answers; for ICMP the type of the echo's answer."""
    if protocol in _WITH_PORTS:
        return EPHEMERAL
    return _ECHO_REPLY.get(protocol, ((0, 0),))
