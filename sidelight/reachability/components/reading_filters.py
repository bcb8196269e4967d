"""Security groups, network ACLs and route tables, from their describe answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.reachability.addresses.port_maps import LAST_PORT
from sidelight.reachability.addresses.prefixes import Prefix, prefix
from sidelight.reachability.answers.fields import Fields, flag, inner, items, number, text
from sidelight.reachability.components import rule_ids
from sidelight.reachability.components.records import (
    ANY_PROTOCOL,
    EGRESS,
    INGRESS,
    AclRecord,
    FilterRule,
    GroupRecord,
    RouteRecord,
    RouteTableRecord,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Report = Callable[[str, str], None]

_PROTOCOLS: Final = {
    "-1": ANY_PROTOCOL, "all": ANY_PROTOCOL, "tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58,
}  # fmt: skip
_BLOCK_PEERS: Final = ("IpRanges", "Ipv6Ranges")
PEERS: Final = (
    ("IpRanges", "CidrIp"),
    ("Ipv6Ranges", "CidrIpv6"),
    ("UserIdGroupPairs", "GroupId"),
    ("PrefixListIds", "PrefixListId"),
)
"""The lists of a permission's peers, and the member that names each."""
_WITH_PORTS: Final = (6, 17)
_ICMP: Final = (1, 58)
_ALL_PORTS: Final = (0, LAST_PORT)

# A route's member that has its target, and what kind that is. `GatewayId` is split by its value.
_TARGETS: Final = (
    ("NatGatewayId", "nat-gateway"),
    ("TransitGatewayId", "transit-gateway"),
    ("VpcPeeringConnectionId", "peering"),
    ("EgressOnlyInternetGatewayId", "egress-only-internet-gateway"),
    ("NetworkInterfaceId", "network-interface"),
    ("InstanceId", "instance"),
    ("CarrierGatewayId", "carrier-gateway"),
    ("LocalGatewayId", "local-gateway"),
    ("CoreNetworkArn", "core-network"),
    ("OdbNetworkArn", "odb-network"),
)
_GATEWAYS: Final = (
    ("igw-", "internet-gateway"),
    ("vgw-", "virtual-gateway"),
    ("vpce-", "endpoint"),
    ("eigw-", "egress-only-internet-gateway"),
    ("nat-", "nat-gateway"),
    ("tgw-", "transit-gateway"),
    ("pcx-", "peering"),
)

# Route priority [VPC user guide, "Route tables and route priority"]: of routes for the same block
# the local one, then a static one, then one by a prefix list, then a propagated one.
_LOCAL, _STATIC, _PREFIX_LIST, _PROPAGATED = range(4)


def protocol_number(value: str) -> int | None:
    """A protocol as EC2 writes it, by name or number; None if it is neither."""
    found = _PROTOCOLS.get(value.lower())
    if found is not None:
        return found
    return int(value) if value.isdecimal() and len(value) <= 3 and int(value) < 256 else None


def security_group(fields: Fields, report: Report) -> GroupRecord | None:
    """A security group, None without an id."""
    name = text(fields, "GroupId")
    if not name:
        return None
    rules = {}
    for direction, key in ((INGRESS, "IpPermissions"), (EGRESS, "IpPermissionsEgress")):
        found: list[FilterRule] = []
        for permission in items(fields, key):
            found.extend(_group_rules(name, direction, permission, report))
        rules[direction] = tuple(sorted(found, key=lambda rule: rule.id))
    return GroupRecord(name, text(fields, "VpcId"), rules)


def _group_rules(
    group: str, direction: str, permission: Fields, report: Report
) -> Iterator[FilterRule]:
    protocol, ports = protocol_and_ports(permission)
    if protocol is None or ports is None:
        report(group, "a rule with a protocol or ports that cannot be")
        return

    for peer, block, by_group, by_list in _peers(permission):
        if block is None and not by_group and not by_list:
            report(group, "a rule with no CIDR block that can be read")
        else:
            name = rule_ids.group_rule(group, direction, protocol, ports, peer)
            yield FilterRule(name, True, protocol, *ports, block, by_group, by_list)


def protocol_and_ports(permission: Fields) -> tuple[int | None, tuple[int, int] | None]:
    """A permission's protocol number and its range of ports; None for what cannot be."""
    protocol = protocol_number(text(permission, "IpProtocol"))
    if protocol is None:
        return None, None
    return protocol, _ports(protocol, number(permission, "FromPort"), number(permission, "ToPort"))


def _peers(permission: Fields) -> Iterator[tuple[str, Prefix | None, str, str]]:
    """Each peer of a permission: its text, and its block, security group or prefix list."""
    for key, member in PEERS:
        for item in items(permission, key):
            peer = text(item, member)
            if key in _BLOCK_PEERS:
                yield peer, prefix(peer), "", ""
            elif peer:
                by_group = peer if key == "UserIdGroupPairs" else ""
                yield peer, None, by_group, "" if by_group else peer


def _ports(protocol: int, first: int | None, last: int | None) -> tuple[int, int] | None:
    """The ports of a rule (for ICMP: the types), None if they are out of range."""
    if protocol in _ICMP:
        return _ALL_PORTS if first is None or first == -1 else _checked(first, first)
    if protocol not in _WITH_PORTS or first in (None, -1):
        return _ALL_PORTS
    return _checked(first, first if last is None else last)


def _checked(first: int | None, last: int) -> tuple[int, int] | None:
    return (first, last) if first is not None and 0 <= first <= last <= LAST_PORT else None


def network_acl(fields: Fields, report: Report) -> AclRecord | None:
    """A network ACL, None without an id. Its last entry, `*`, denies what is left."""
    name = text(fields, "NetworkAclId")
    if not name:
        return None
    found: dict[str, list[tuple[int, FilterRule]]] = {INGRESS: [], EGRESS: []}
    for entry in items(fields, "Entries"):
        direction = EGRESS if flag(entry, "Egress") else INGRESS
        order = number(entry, "RuleNumber")
        rule = _acl_rule(name, direction, order, entry)
        if rule is None or order is None:
            report(name, "an entry that cannot be read")
        else:
            found[direction].append((order, rule))
    return AclRecord(
        name,
        text(fields, "VpcId"),
        tuple(text(item, "SubnetId") for item in items(fields, "Associations")),
        flag(fields, "IsDefault"),
        {
            direction: tuple(rule for _, rule in sorted(rules, key=_order))
            for direction, rules in found.items()
        },
    )


def _order(pair: tuple[int, FilterRule]) -> tuple[int, bool, str]:
    """By number; of two with one number, which EC2 does not allow, the one that denies first."""
    return pair[0], pair[1].allow, repr(pair[1])


def _acl_rule(acl: str, direction: str, order: int | None, entry: Fields) -> FilterRule | None:
    block = prefix(text(entry, "CidrBlock") or text(entry, "Ipv6CidrBlock"))
    protocol = protocol_number(text(entry, "Protocol"))
    action = text(entry, "RuleAction")
    if block is None or protocol is None or order is None or action not in ("allow", "deny"):
        return None
    if protocol in _ICMP:
        kind = number(inner(entry, "IcmpTypeCode"), "Type")
        ports = _ports(protocol, kind, None)
    else:
        port_range = inner(entry, "PortRange")
        ports = _ports(protocol, number(port_range, "From"), number(port_range, "To"))
    if ports is None:
        return None
    name = rule_ids.acl_entry(acl, direction, order)
    return FilterRule(name, action == "allow", protocol, *ports, block)


def route_table(fields: Fields, report: Report) -> RouteTableRecord | None:
    """A route table, None without an id."""
    name = text(fields, "RouteTableId")
    if not name:
        return None
    associations = [
        item
        for item in items(fields, "Associations")
        if text(inner(item, "AssociationState"), "State") in ("", "associated", "associating")
    ]
    routes = []
    for item in items(fields, "Routes"):
        route = _route(name, item)
        if route is None:
            report(name, "a route that cannot be read")
        else:
            routes.append(route)
    return RouteTableRecord(
        name,
        text(fields, "VpcId"),
        any(flag(item, "Main") for item in associations),
        tuple(found for item in associations if (found := text(item, "SubnetId"))),
        tuple(found for item in associations if (found := text(item, "GatewayId"))),
        tuple(routes),
    )


def _route(table: str, fields: Fields) -> RouteRecord | None:
    by_list = text(fields, "DestinationPrefixListId")
    block = None if by_list else prefix(destination(fields))
    if not by_list and block is None:
        return None
    kind, led_to = target(fields)
    rank = _STATIC
    if kind == "local":
        rank = _LOCAL
    elif by_list:
        rank = _PREFIX_LIST
    elif text(fields, "Origin") == "EnableVgwRoutePropagation":
        rank = _PROPAGATED
    return RouteRecord(
        rule_ids.route(table, destination(fields)),
        block,
        by_list,
        kind,
        led_to,
        text(fields, "State") == "blackhole",
        rank,
    )


def destination(fields: Fields) -> str:
    """The destination of a route as its answer has it: a CIDR block, or a prefix list's id."""
    for key in ("DestinationPrefixListId", "DestinationCidrBlock", "DestinationIpv6CidrBlock"):
        if found := text(fields, key):
            return found
    return ""


def target(fields: Fields) -> tuple[str, str]:
    """The kind of a route's target and its id, `local` for the VPC's own."""
    gateway = text(fields, "GatewayId")
    if gateway == "local":
        return "local", gateway
    for start, kind in _GATEWAYS:
        if gateway.startswith(start):
            return kind, gateway
    for key, kind in _TARGETS:
        if found := text(fields, key):
            return kind, found
    return "unknown", gateway
