"""Changed networks: describe answers without some rules or objects, or with other ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sidelight.errors import UsageError
from sidelight.reachability.answers.answers import Answers
from sidelight.reachability.answers.fields import Fields, flag, items, mapping, number, text
from sidelight.reachability.components import reading_filters, rule_ids
from sidelight.reachability.components.records import EGRESS, INGRESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Removal = Callable[[Fields, "_Wanted"], Fields]

# The member that is an object's id. Lists of other stems are replaced as a whole.
IDS: Final[Mapping[str, str]] = {
    "Addresses": "PublicIp",
    "EgressOnlyInternetGateways": "EgressOnlyInternetGatewayId",
    "InternetGateways": "InternetGatewayId",
    "NatGateways": "NatGatewayId",
    "NetworkAcls": "NetworkAclId",
    "NetworkInterfaces": "NetworkInterfaceId",
    "RouteTables": "RouteTableId",
    "SecurityGroups": "GroupId",
    "Subnets": "SubnetId",
    "TransitGatewayAttachments": "TransitGatewayAttachmentId",
    "TransitGatewayPropagations": "TransitGatewayRouteTableId",
    "TransitGatewayRouteTables": "TransitGatewayRouteTableId",
    "TransitGatewayStaticRoutes": "TransitGatewayRouteTableId",
    "TransitGatewayVpcAttachments": "TransitGatewayAttachmentId",
    "TransitGateways": "TransitGatewayId",
    "VpcEndpoints": "VpcEndpointId",
    "VpcPeeringConnections": "VpcPeeringConnectionId",
    "Vpcs": "VpcId",
    "VpnConnections": "VpnConnectionId",
    "VpnGateways": "VpnGatewayId",
    "LoadBalancers": "LoadBalancerArn",
    "TargetGroups": "TargetGroupArn",
}


class _Wanted:
    """The ids that are to go, and which of them were found."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids = frozenset(ids)
        self.found: set[str] = set()

    def has(self, name: str) -> bool:
        """Whether an id is to go; it is found then."""
        if name in self.ids:
            self.found.add(name)
            return True
        return False


def without(answers: Answers, ids: Iterable[str]) -> Answers:
    """The answers without some rules (see `rule_ids`) or whole objects.

    Raises UsageError if an id is of no rule and no object of the answers.
    """
    wanted = _Wanted(ids)
    lists = {
        place: {
            stem: [
                _trimmed(stem, mapping(item), wanted)
                for item in objects
                if _kept(stem, item, wanted)
            ]
            for stem, objects in stems.items()
        }
        for place, stems in answers.items()
    }
    if missing := sorted(wanted.ids - wanted.found):
        raise UsageError("no such rule or object in the network", where=missing[0])
    return Answers(lists, answers.problems)


def replaced(answers: Answers, changes: Answers) -> Answers:
    """The answers with the objects of `changes` added, or in the place of those of the same id."""
    lists: dict[tuple[str, str], dict[str, list[object]]] = {
        place: {stem: list(objects) for stem, objects in stems.items()}
        for place, stems in answers.items()
    }
    for place, stems in changes.items():
        own = lists.setdefault(place, {})
        for stem, objects in stems.items():
            key = IDS.get(stem)
            names = {text(mapping(item), key) for item in objects} if key else set()
            kept = [
                item
                for item in (own.get(stem, []) if key else [])
                if text(mapping(item), key or "") not in names
            ]
            own[stem] = [*kept, *objects]
    return Answers(lists, (*answers.problems, *changes.problems))


def _kept(stem: str, item: object, wanted: _Wanted) -> bool:
    key = IDS.get(stem)
    return key is None or not wanted.has(text(mapping(item), key))


def _trimmed(stem: str, item: Fields, wanted: _Wanted) -> Fields:
    removal = _REMOVALS.get(stem)
    return removal(item, wanted) if removal else item


def _group(item: Fields, wanted: _Wanted) -> Fields:
    name = text(item, "GroupId")
    if not any(id_.startswith(f"{name}/") for id_ in wanted.ids):
        return item
    trimmed: dict[str, Any] = dict(item)
    for direction, key in ((INGRESS, "IpPermissions"), (EGRESS, "IpPermissionsEgress")):
        trimmed[key] = [
            _permission(name, direction, permission, wanted) for permission in items(item, key)
        ]
    return trimmed


def _permission(group: str, direction: str, permission: Fields, wanted: _Wanted) -> Fields:
    protocol, ports = reading_filters.protocol_and_ports(permission)
    if protocol is None or ports is None:
        return permission
    trimmed: dict[str, object] = dict(permission)
    for key, member in reading_filters.PEERS:
        trimmed[key] = [
            peer
            for peer in items(permission, key)
            if not wanted.has(
                rule_ids.group_rule(group, direction, protocol, ports, text(peer, member))
            )
        ]
    return trimmed


def _acl(item: Fields, wanted: _Wanted) -> Fields:
    name = text(item, "NetworkAclId")
    entries = [
        entry
        for entry in items(item, "Entries")
        if not wanted.has(
            rule_ids.acl_entry(
                name, EGRESS if flag(entry, "Egress") else INGRESS, number(entry, "RuleNumber")
            )
        )
    ]
    return {**item, "Entries": entries}


def _table(item: Fields, wanted: _Wanted) -> Fields:
    name = text(item, "RouteTableId")
    routes = [one for one in items(item, "Routes") if not _is_removed(name, one, wanted)]
    return {**item, "Routes": [_led_nowhere(one, wanted) for one in routes]}


def _led_nowhere(route: Fields, wanted: _Wanted) -> Fields:
    """The route as EC2 has it once its target is deleted: a blackhole."""
    if wanted.has(reading_filters.target(route)[1]):
        return {**route, "State": "blackhole"}
    return route


def _transit_table(item: Fields, wanted: _Wanted) -> Fields:
    name = text(item, "TransitGatewayRouteTableId")
    return {
        **item,
        "Routes": [one for one in items(item, "Routes") if not _is_removed(name, one, wanted)],
    }


def _is_removed(table: str, route: Fields, wanted: _Wanted) -> bool:
    return wanted.has(rule_ids.route(table, reading_filters.destination(route)))


_REMOVALS: Final[Mapping[str, Removal]] = {
    "SecurityGroups": _group,
    "NetworkAcls": _acl,
    "RouteTables": _table,
    "TransitGatewayStaticRoutes": _transit_table,
}
