"""Load balancers: a client's packet to a node, and what the node sends to a target.

Sources: Application Load Balancers guide, "Listener rules" and "Target groups"; Network Load
Balancers guide, "Client IP preservation", "Cross-zone load balancing", "Security groups",
"Network ACL rules"; Classic Load Balancers guide; PrivateLink guide, "Endpoint services"; Elastic
Load Balancing guide, "Health checks" (without a healthy target all are used).
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from tests.reachability.packet_simulator.connection import EPHEMERAL, best_connection
from tests.reachability.packet_simulator.described import holds
from tests.reachability.packet_simulator.filters import groups_allow, refusing_acl
from tests.reachability.packet_simulator.packets import FromInterface, Packet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.reachability.packet_simulator.described import Described, Item
    from tests.reachability.packet_simulator.packets import Address, Start

PROTOCOLS = {"HTTP": ["tcp"], "TCP": ["tcp"], "UDP": ["udp"], "TCP_UDP": ["tcp", "udp"]}


class Reached(NamedTuple):
    """A target that a client reaches: its interface, the protocol and its own port."""

    interface: str
    protocol: str
    port: int


class _Listener(NamedTuple):
    """A listener of a load balancer of any kind, with its rules in the words of the new ones."""

    balancer: Item
    kind: str
    described: str
    protocols: list[str]
    port: int
    rules: list[Item]


class _Chosen(NamedTuple):
    """A target that a node may choose."""

    listener: _Listener
    group: Item
    interface: str
    address: Address
    port: int


class _Call(NamedTuple):
    """A client's call: its address, the protocol, and the ports that clients use."""

    client: Address
    protocol: str
    ports: list[int]


def reached(
    network: Described, start: Start, client: Address, ports: list[int]
) -> Iterator[Reached]:
    """Yield what a client reaches through load balancers, whose nodes it sends packets to."""
    for listener in _listeners(network):
        opened = _unfiltered(network, listener)
        for node, item in _nodes(opened, listener):
            for protocol in listener.protocols:
                calls = [
                    Packet(client, address, protocol, listener.port)
                    for address in _addresses_of(item, client, start)
                ]
                if any(best_connection(opened, start, it, ports).arrived for it in calls):
                    call = _Call(client, protocol, ports)
                    for chosen in _choices(opened, listener, node, client):
                        if _forwards(opened, chosen, node, call):
                            yield Reached(chosen.interface, protocol, chosen.port)


def reached_by_private_link(
    network: Described, client: Address, ports: list[int]
) -> Iterator[Reached]:
    """Yield what a client reaches by an endpoint of a service: targets see the node's address."""
    for listener in _listeners(network):
        if not _serves(network, listener):
            continue
        opened = _unfiltered(network, listener)
        enforced = listener.balancer.get("EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic")
        for node, _ in _nodes(network, listener):
            for protocol in listener.protocols:
                sent = Packet(client, client, protocol, listener.port)
                checked = listener.balancer.get("SecurityGroups") and enforced != "off"
                if checked and not groups_allow(
                    network, node, sent, egress=False, sender="", receiver=""
                ):
                    continue
                call = _Call(client, protocol, ports)
                for chosen in _choices(opened, listener, node, client):
                    if _as_node(opened, chosen, node, call):
                        yield Reached(chosen.interface, protocol, chosen.port)


def _serves(network: Described, listener: _Listener) -> bool:
    return any(
        listener.balancer.get("LoadBalancerArn") in service["NetworkLoadBalancerArns"]
        and service["ServiceState"] == "Available"
        for service in network.all("VpcEndpointServiceConfigurations")
    )


def _listeners(network: Described) -> Iterator[_Listener]:
    for balancer in network.all("LoadBalancers"):
        arn = balancer["LoadBalancerArn"]
        described = "ELB " + arn.partition("loadbalancer/")[2]
        for answer in network.all("LoadBalancerListeners"):
            if answer["LoadBalancerArn"] != arn:
                continue
            for item in answer["Listeners"]:
                rules = [
                    rule
                    for found in network.all("ListenerRules")
                    if found["ListenerArn"] == item["ListenerArn"]
                    for rule in found["Rules"]
                    if not rule.get("IsDefault")
                ]
                rules.sort(key=lambda rule: int(rule["Priority"]))
                rules.append({"Conditions": [], "Actions": item["DefaultActions"]})
                protocols = PROTOCOLS[item["Protocol"]]
                yield _Listener(
                    balancer, balancer["Type"], described, protocols, item["Port"], rules
                )
    for balancer in network.all("LoadBalancersClassic"):
        for answer in balancer["ListenerDescriptions"]:
            item = answer["Listener"]
            forward = {"Type": "forward", "InstancePort": item["InstancePort"]}
            rules = [{"Conditions": [], "Actions": [forward]}]
            described = f"ELB {balancer['LoadBalancerName']}"
            yield _Listener(
                balancer, "classic", described, ["tcp"], item["LoadBalancerPort"], rules
            )


def _nodes(network: Described, listener: _Listener) -> Iterator[tuple[str, Item]]:
    for interface, item in network.interfaces.items():
        if item["Description"] == listener.described:
            yield interface, item


def _addresses_of(item: Item, client: Address, start: Start) -> Iterator[Address]:
    """Yield the addresses by which a client may call a node."""
    inside = type(start).__name__ != "FromInternet"
    for private in item["PrivateIpAddresses"]:
        public = private.get("Association", {}).get("PublicIp")
        text = private["PrivateIpAddress"] if inside else public
        if text and client.version == 4:
            yield ip_address(text)
    for six in item.get("Ipv6Addresses", []):
        if client.version == 6:
            yield ip_address(six["Ipv6Address"])


def _unfiltered(network: Described, listener: _Listener) -> Described:
    """A Network Load Balancer without groups takes everything, and sends everything."""
    if listener.kind == "network" and not listener.balancer.get("SecurityGroups"):
        return network.with_open_interfaces(listener.described)
    return network


def _choices(
    network: Described, listener: _Listener, node: str, client: Address
) -> Iterator[_Chosen]:
    """Yield the targets of the rules that the client can meet, by what it may choose to send."""
    for rule in listener.rules:
        sources = [it for it in rule["Conditions"] if it["Field"] == "source-ip"]
        others = [it for it in rule["Conditions"] if it["Field"] != "source-ip"]
        if any(
            not any(holds(block, client) for block in it["SourceIpConfig"]["Values"])
            for it in sources
        ):
            continue
        for action in rule["Actions"]:
            yield from _of_action(network, listener, node, action)
        if not others:
            return  # every packet of this client meets this rule


def _of_action(
    network: Described, listener: _Listener, node: str, action: Item
) -> Iterator[_Chosen]:
    if action["Type"] != "forward":
        return
    if listener.kind == "classic":
        states = {
            it["InstanceId"]: it["State"]
            for answer in network.all("ClassicInstanceHealth")
            if answer["LoadBalancerName"] == listener.balancer["LoadBalancerName"]
            for it in answer["InstanceStates"]
        }
        names = [it["InstanceId"] for it in listener.balancer["Instances"]]
        healthy = [name for name in names if states.get(name) == "InService"]
        group: Item = {"TargetType": "instance"}
        wanted = [(name, action["InstancePort"]) for name in healthy or names]
        yield from _interfaces(network, listener, node, group, wanted)
        return
    weights = action.get("ForwardConfig", {}).get("TargetGroups") or [
        {"TargetGroupArn": action.get("TargetGroupArn")}
    ]
    some = [it["TargetGroupArn"] for it in weights if it.get("Weight", 1) > 0]
    for arn in some or [it["TargetGroupArn"] for it in weights]:
        for group in network.all("TargetGroups"):
            if group["TargetGroupArn"] == arn:
                yield from _interfaces(network, listener, node, group, _registered(network, arn))


def _registered(network: Described, arn: str) -> list[tuple[str, int]]:
    described = [
        it
        for answer in network.all("LoadBalancerTargetHealth")
        if answer["TargetGroupArn"] == arn
        for it in answer["TargetHealthDescriptions"]
    ]
    healthy = [it for it in described if it["TargetHealth"]["State"] == "healthy"]
    usable = healthy or [
        it for it in described if it["TargetHealth"]["State"] not in {"draining", "unused"}
    ]
    return [(it["Target"]["Id"], it["Target"]["Port"]) for it in usable]


def _interfaces(
    network: Described,
    listener: _Listener,
    node: str,
    group: Item,
    targets: list[tuple[str, int]],
) -> Iterator[_Chosen]:
    for name, port in targets:
        if group["TargetType"] == "instance":
            interface = network.primary_interface(name)
            address = ip_address(network.interfaces[interface]["PrivateIpAddress"])
        else:
            address = ip_address(name)
            interface = network.interface_with(group["VpcId"], address)
        if interface and _same_zone(network, listener, group, node, interface):
            yield _Chosen(listener, group, interface, address, port)


def _same_zone(
    network: Described, listener: _Listener, group: Item, node: str, interface: str
) -> bool:
    """Without cross-zone load balancing a node sends to the targets of its own zone."""
    of_group = _attribute(network, "TargetGroup", group.get("TargetGroupArn", ""), _CROSS_ZONE)
    if listener.kind == "classic":
        of_balancer = any(
            it["LoadBalancerName"] == listener.balancer["LoadBalancerName"]
            and it["LoadBalancerAttributes"]["CrossZoneLoadBalancing"]["Enabled"]
            for it in network.all("ClassicLoadBalancerAttributes")
        )
    else:
        arn = listener.balancer["LoadBalancerArn"]
        attribute = _attribute(network, "LoadBalancer", arn, _CROSS_ZONE)
        of_balancer = attribute == "true" if attribute else listener.kind == "application"
    if of_group == "true" or (of_balancer and of_group != "false"):
        return True
    zones = [
        network.subnets[network.interfaces[it]["SubnetId"]]["AvailabilityZone"]
        for it in (node, interface)
    ]
    return bool(zones[0] == zones[1])


_CROSS_ZONE = "load_balancing.cross_zone.enabled"


def _attribute(network: Described, kind: str, arn: str, key: str) -> str:
    for answer in network.all(f"{kind}Attributes"):
        if answer[f"{kind}Arn"] == arn:
            for it in answer["Attributes"]:
                if it["Key"] == key:
                    return str(it["Value"])
    return ""


def _forwards(network: Described, chosen: _Chosen, node: str, call: _Call) -> bool:
    if chosen.address.version == call.client.version and _keeps(network, chosen, call.protocol):
        return _as_client(network, chosen, node, call)
    return _as_node(network, chosen, node, call)


def _keeps(network: Described, chosen: _Chosen, protocol: str) -> bool:
    if chosen.listener.kind != "network":
        return False
    if protocol == "udp" or chosen.group["Protocol"] in {"UDP", "TCP_UDP"}:
        return True
    arn = chosen.group["TargetGroupArn"]
    attribute = _attribute(network, "TargetGroup", arn, "preserve_client_ip.enabled")
    return attribute == "true" if attribute else bool(chosen.group["TargetType"] == "instance")


def _as_node(network: Described, chosen: _Chosen, node: str, call: _Call) -> bool:
    """The node opens a connection of its own."""
    own = ip_address(network.interfaces[node]["PrivateIpAddress"])
    sent = Packet(own, chosen.address, call.protocol, chosen.port)
    return best_connection(network, FromInterface(node), sent, call.ports).arrived


def _as_client(network: Described, chosen: _Chosen, node: str, call: _Call) -> bool:
    """The target sees the client's address; its answers go back to the node, which is the flow's.

    The target's groups may name the client's address or the load balancer's group. Between two
    subnets their ACLs look at the packet, and at its answer.
    """
    sent = Packet(call.client, chosen.address, call.protocol, chosen.port)
    if network.interfaces[node].get("Groups") and not groups_allow(
        network, node, sent, egress=True, sender="", receiver=chosen.interface
    ):
        return False
    if not groups_allow(network, chosen.interface, sent, egress=False, sender=node, receiver=""):
        return False
    near = network.interfaces[node]["SubnetId"]
    far = network.interfaces[chosen.interface]["SubnetId"]
    if near == far:
        return True
    if refusing_acl(network, near, sent, egress=True) or refusing_acl(
        network, far, sent, egress=False
    ):
        return False
    for port in call.ports:
        if port in EPHEMERAL:
            answer = Packet(chosen.address, call.client, call.protocol, port, chosen.port)
            if not refusing_acl(network, far, answer, egress=True) and not refusing_acl(
                network, near, answer, egress=False
            ):
                return True
    return False
