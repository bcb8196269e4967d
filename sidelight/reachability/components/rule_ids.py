"""The names of single rules: in paths, in what stops a packet, and in what `without` leaves out.

AWS has no ids for most of them, and describe answers none. A rule's id is the id of its object and
what the rule says, joined by `/` as `sg-1/ingress/tcp/22-22/0.0.0.0/0`, `acl-1/ingress/100`,
`rtb-1/0.0.0.0/0` or `tgw-rtb-1/10.0.0.0/8`: the same in every page order.
"""

from __future__ import annotations

from typing import Final

_LAST_ACL_ENTRY: Final = 32767  # what EC2 shows as `*`
_NAMES: Final = {-1: "all", 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}


def group_rule(group: str, direction: str, protocol: int, ports: tuple[int, int], peer: str) -> str:
    """The id of a security group's rule for one peer: a CIDR block, a group or a prefix list."""
    name = _NAMES.get(protocol, str(protocol))
    return f"{group}/{direction}/{name}/{ports[0]}-{ports[1]}/{peer}"


def acl_entry(acl: str, direction: str, number: int | None) -> str:
    """The id of a network ACL's entry: its number, `*` for the last one."""
    return f"{acl}/{direction}/{'*' if number == _LAST_ACL_ENTRY else number}"


def route(table: str, destination: str) -> str:
    """The id of a route: a table has one for each destination."""
    return f"{table}/{destination}"
