"""The addresses of the internet: those that are not reserved for other use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.reachability.addresses import intervals
from sidelight.reachability.addresses.prefixes import ALL, IPV4, IPV6, prefix

if TYPE_CHECKING:
    from sidelight.reachability.addresses.intervals import Intervals

# IANA's IPv4 Special-Purpose Address Registry (RFC 6890), those that are not globally reachable.
# The blocks for documentation are left in: examples and tests use them as internet addresses.
_NOT_GLOBAL: Final = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
)  # fmt: skip
_GLOBAL_IPV6: Final = "2000::/3"


def _blocks(*texts: str) -> Intervals:
    return intervals.of((found.first, found.last) for text in texts if (found := prefix(text)))


INTERNET: Final[dict[int, Intervals]] = {
    IPV4: intervals.difference(ALL[IPV4], _blocks(*_NOT_GLOBAL)),
    IPV6: _blocks(_GLOBAL_IPV6),
}
