"""The way back: network ACLs are stateless, so an answer needs routes and entries of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.reachability.packets import Bundle

if TYPE_CHECKING:
    from sidelight.reachability.intervals import Intervals

EPHEMERAL: Final = ((1024, 65535),)
"""From where clients send, and so whereto answers go [VPC user guide, "Ephemeral ports"]."""

_ECHO_REPLY: Final = {1: ((0, 0),), 58: ((129, 129),)}
_WITH_PORTS: Final = (6, 17)


def reply_to(bundle: Bundle, protocol: int) -> Bundle:
    """The answers to a bundle: one ephemeral port that gets back is enough for a client."""
    return Bundle(bundle.dst, bundle.src, reply_ports(protocol), bundle.ports)


def reply_ports(protocol: int) -> Intervals:
    """The destination ports of answers; for ICMP the type of the echo's answer."""
    if protocol in _WITH_PORTS:
        return EPHEMERAL
    return _ECHO_REPLY.get(protocol, ((0, 0),))
