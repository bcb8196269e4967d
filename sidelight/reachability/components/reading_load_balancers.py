"""Load balancers, listeners, rules and target groups, from their describe answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sidelight.reachability.addresses import intervals
from sidelight.reachability.addresses.prefixes import ALL, IPV4, IPV6, prefix
from sidelight.reachability.answers.fields import (
    Fields,
    flag,
    inner,
    items,
    number,
    pairs,
    text,
    texts,
)
from sidelight.reachability.components.records import TCP, UDP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sidelight.reachability.answers.collecting import Collector
    from sidelight.reachability.components.records import Blocks

_PROTOCOLS: Final = {
    "HTTP": (TCP,), "HTTPS": (TCP,), "TCP": (TCP,), "TLS": (TCP,), "SSL": (TCP,), "UDP": (UDP,),
    "TCP_UDP": (TCP, UDP), "QUIC": (UDP,), "TCP_QUIC": (TCP, UDP),
}  # fmt: skip
# A path that has all: such a condition is none.
_ANY_PATH: Final = frozenset({"*", "/*"})
RULE_LIMIT: Final = 1_000  # rules of a listener that are read: ten times the quota
_LAST_PRIORITY: Final = 1 << 30
_CROSS_ZONE: Final = "load_balancing.cross_zone.enabled"


class BalancedTarget(NamedTuple):
    """A registered target: an instance's id, an address or a load balancer's ARN.

    `zone` is a zone's id where that is known, else its name, `all`, or empty.
    """

    id: str
    port: int
    zone: str
    state: str


class TargetGroupRecord(NamedTuple):
    """A target group; `keeps_client` None leaves the client's address to the protocol's default."""

    id: str
    kind: str
    protocol: str
    vpc: str
    cross_zone: bool | None
    keeps_client: bool | None
    targets: tuple[BalancedTarget, ...]
    family: int = IPV4


class Forwarding(NamedTuple):
    """Client addresses that a listener's rule may forward, some only after authentication."""

    target_group: str
    clients: Blocks
    rule: str
    authenticated: bool = False


class ListenerRecord(NamedTuple):
    """A listener: its protocols by number, its port and where it forwards.

    `cut` says that it has more rules than are read.
    """

    id: str
    balancer: str
    protocols: tuple[int, ...]
    port: int
    forwardings: tuple[Forwarding, ...]
    cut: bool = False


class BalancerRecord(NamedTuple):
    """A load balancer; `kind` is application, network, gateway or classic.

    `described_as` is the description of its interfaces.
    """

    id: str
    name: str
    kind: str
    vpc: str
    groups: tuple[str, ...]
    subnets: tuple[str, ...]
    cross_zone: bool
    checks_private_link: bool
    described_as: str


def balancers(collector: Collector) -> Iterator[BalancerRecord]:
    """Application, network and gateway load balancers that are active."""
    attributes = {
        text(fields, "LoadBalancerArn"): pairs(fields, "Attributes")
        for fields, _, _ in collector.objects("LoadBalancerAttributes")
    }
    for fields, _, _ in collector.objects("LoadBalancers"):
        arn = text(fields, "LoadBalancerArn")
        if not arn or text(inner(fields, "State"), "Code") in ("failed", "provisioning"):
            continue
        kind = text(fields, "Type") or "application"
        cross = attributes.get(arn, {}).get(_CROSS_ZONE, "")
        enforced = text(fields, "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic")
        yield BalancerRecord(
            arn,
            text(fields, "LoadBalancerName"),
            kind,
            text(fields, "VpcId"),
            tuple(sorted(texts(fields, "SecurityGroups"))),
            tuple(text(zone, "SubnetId") for zone in items(fields, "AvailabilityZones")),
            cross == "true" if cross else kind == "application",
            enforced != "off",
            "ELB " + arn.rpartition("loadbalancer/")[2],
        )


def listeners(collector: Collector) -> Iterator[ListenerRecord]:
    """Every listener, with the rules of application load balancers in their order."""
    rules = {
        text(fields, "ListenerArn"): items(fields, "Rules")
        for fields, _, _ in collector.objects("ListenerRules")
    }
    for wrapper, _, _ in collector.objects("LoadBalancerListeners"):
        for fields in items(wrapper, "Listeners"):
            arn, port = text(fields, "ListenerArn"), number(fields, "Port")
            protocols = _PROTOCOLS.get(text(fields, "Protocol"), ())
            if arn and port is not None and protocols:
                balancer = text(fields, "LoadBalancerArn") or text(wrapper, "LoadBalancerArn")
                own = rules.get(arn, [])
                cut = len(own) > RULE_LIMIT
                if cut:
                    collector.report(arn, f"more than {RULE_LIMIT} rules: the rest is not read")
                found = tuple(_forwardings(fields, own))
                yield ListenerRecord(arn, balancer, protocols, port, found, cut)


def _forwardings(listener: Fields, rules: list[Fields]) -> Iterator[Forwarding]:
    """Rules by priority: one with conditions on the sender alone leaves the others the rest."""
    left: Blocks = dict(ALL)
    arn = text(listener, "ListenerArn")
    ordered = sorted((rule for rule in rules if not flag(rule, "IsDefault")), key=_priority)
    del ordered[RULE_LIMIT:]
    for rule in ordered:
        clients, always = _clients(rule)
        reached = {family: intervals.intersection(left[family], clients[family]) for family in left}
        for group in _targets(items(rule, "Actions")):
            name = text(rule, "RuleArn")
            yield Forwarding(group, reached, name, _authenticates(items(rule, "Actions")))
        if always:
            left = {family: intervals.difference(left[family], clients[family]) for family in left}
    default = next((rule for rule in rules if flag(rule, "IsDefault")), None)
    actions = items(default, "Actions") if default else items(listener, "DefaultActions")
    for group in _targets(actions):
        yield Forwarding(group, left, arn, _authenticates(actions))


def _priority(rule: Fields) -> int:
    found = number(rule, "Priority")
    return _LAST_PRIORITY if found is None else found


def _clients(rule: Fields) -> tuple[Blocks, bool]:
    """The client addresses that a rule can match, and whether it matches all their requests."""
    clients: Blocks = dict(ALL)
    always = True
    for condition in items(rule, "Conditions"):
        field = text(condition, "Field")
        if field == "source-ip":
            values = texts(inner(condition, "SourceIpConfig"), "Values")
            blocks = [block for value in values if (block := prefix(value)) is not None]
            for family in (IPV4, IPV6):
                named = intervals.of(
                    (block.first, block.last) for block in blocks if block.family == family
                )
                clients[family] = intervals.intersection(clients[family], named)
        else:
            values = texts(condition, "Values") or texts(
                inner(condition, "PathPatternConfig"), "Values"
            )
            always = always and field == "path-pattern" and bool(_ANY_PATH.intersection(values))
    return clients, always


def _authenticates(actions: list[Fields]) -> bool:
    """Whether a client is authenticated before it is forwarded."""
    kinds = {text(action, "Type") for action in actions}
    return any(kind.startswith(("authenticate-", "jwt-")) for kind in kinds)


def _targets(actions: list[Fields]) -> Iterator[str]:
    """The target groups that a list of actions forwards to: a weight of 0 gets nothing."""
    for action in actions:
        if text(action, "Type") != "forward":
            continue
        groups = items(inner(action, "ForwardConfig"), "TargetGroups")
        weighed = [group for group in groups if number(group, "Weight") != 0]
        names = [text(group, "TargetGroupArn") for group in weighed or groups]
        yield from dict.fromkeys(names or [text(action, "TargetGroupArn")])


def target_groups(
    collector: Collector, zones: Mapping[tuple[str, str], str]
) -> Iterator[TargetGroupRecord]:
    """Target groups with their targets: those of LoadBalancerTargetHealth."""
    health = {
        text(fields, "TargetGroupArn"): items(fields, "TargetHealthDescriptions")
        for fields, _, _ in collector.objects("LoadBalancerTargetHealth")
    }
    attributes = {
        text(fields, "TargetGroupArn"): pairs(fields, "Attributes")
        for fields, _, _ in collector.objects("TargetGroupAttributes")
    }
    for fields, account, _ in collector.objects("TargetGroups"):
        arn = text(fields, "TargetGroupArn")
        if not arn:
            continue
        own = attributes.get(arn, {})
        port = number(fields, "Port")
        yield TargetGroupRecord(
            arn,
            text(fields, "TargetType") or "instance",
            text(fields, "Protocol"),
            text(fields, "VpcId"),
            _switch(own.get(_CROSS_ZONE, "")),
            _switch(own.get("preserve_client_ip.enabled", "")),
            tuple(_targets_of(health.get(arn, []), port, account, zones)),
            IPV6 if text(fields, "IpAddressType") == "ipv6" else IPV4,
        )
        if arn not in health:
            collector.report(arn, "no answer about the targets' health: its targets are unknown")


def _switch(value: str) -> bool | None:
    return {"true": True, "false": False}.get(value)


def _targets_of(
    descriptions: list[Fields],
    port: int | None,
    account: str,
    zones: Mapping[tuple[str, str], str],
) -> Iterator[BalancedTarget]:
    for description in descriptions:
        target = inner(description, "Target")
        own = number(target, "Port")
        found = port if own is None else own
        if found is not None and 0 < found < 1 << 16:
            named = text(target, "AvailabilityZone")
            zone = zones.get((account, named), named)
            state = text(inner(description, "TargetHealth"), "State")
            yield BalancedTarget(text(target, "Id"), found, zone, state)


class BalancedService(NamedTuple):
    """A PrivateLink service, a load balancer behind it, and the families of its endpoints."""

    id: str
    balancer: str
    families: tuple[int, ...]


def endpoint_services(collector: Collector) -> Iterator[BalancedService]:
    """Each available PrivateLink service with each Network Load Balancer behind it."""
    for fields, _, _ in collector.objects("VpcEndpointServiceConfigurations"):
        name = text(fields, "ServiceId")
        if name and text(fields, "ServiceState") in ("", "Available"):
            kinds = texts(fields, "SupportedIpAddressTypes") or ["ipv4"]
            families = tuple(
                family for family, kind in ((IPV4, "ipv4"), (IPV6, "ipv6")) if kind in kinds
            )
            for balancer in texts(fields, "NetworkLoadBalancerArns"):
                yield BalancedService(name, balancer, families)


def classic(
    collector: Collector,
) -> Iterator[tuple[BalancerRecord, list[ListenerRecord], list[TargetGroupRecord]]]:
    """Classic Load Balancers: each of their listeners is a listener with a target group."""
    health = {
        text(fields, "LoadBalancerName"): {
            text(item, "InstanceId"): text(item, "State")
            for item in items(fields, "InstanceStates")
        }
        for fields, _, _ in collector.objects("ClassicInstanceHealth")
    }
    cross = {
        text(fields, "LoadBalancerName"): flag(
            inner(inner(fields, "LoadBalancerAttributes"), "CrossZoneLoadBalancing"), "Enabled"
        )
        for fields, _, _ in collector.objects("ClassicLoadBalancerAttributes")
    }
    for fields, _, _ in collector.objects("LoadBalancersClassic"):
        name, vpc = text(fields, "LoadBalancerName"), text(fields, "VPCId")
        if not name:
            continue
        balancer = BalancerRecord(
            name,
            name,
            "classic",
            vpc,
            tuple(sorted(texts(fields, "SecurityGroups"))),
            tuple(texts(fields, "Subnets")),
            cross.get(name, False),
            False,
            f"ELB {name}",
        )
        instances = [text(item, "InstanceId") for item in items(fields, "Instances")]
        states = health.get(name, {})
        own_listeners, groups = [], []
        for description in items(fields, "ListenerDescriptions"):
            listener = inner(description, "Listener")
            port, to = number(listener, "LoadBalancerPort"), number(listener, "InstancePort")
            protocols = _PROTOCOLS.get(text(listener, "Protocol").upper(), ())
            if port is None or to is None or not protocols:
                continue
            id_ = f"{name}:{port}"
            targets = tuple(
                BalancedTarget(one, to, "", _CLASSIC_STATES.get(states.get(one, ""), ""))
                for one in instances
            )
            groups.append(TargetGroupRecord(id_, "instance", "HTTP", vpc, None, False, targets))
            forwarding = Forwarding(id_, dict(ALL), id_)
            own_listeners.append(ListenerRecord(id_, name, protocols, port, (forwarding,)))
        yield balancer, own_listeners, groups


_CLASSIC_STATES: Final = {"InService": "healthy", "OutOfService": "unhealthy"}
