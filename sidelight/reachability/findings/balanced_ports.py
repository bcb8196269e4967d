"""The ports of interfaces that edges reach through load balancers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.reachability.addresses import intervals, port_maps
from sidelight.reachability.addresses.bundles import Bundle
from sidelight.reachability.addresses.prefixes import ALL
from sidelight.reachability.components import component_types as types
from sidelight.reachability.components.records import EGRESS, INGRESS, UDP
from sidelight.reachability.crossings.routes import cross
from sidelight.reachability.findings.network_edge import NetworkEdge
from sidelight.reachability.findings.open_ports import OpenRange
from sidelight.reachability.results import EdgeKind
from sidelight.reachability.results import ReachabilityVerdict as Verdict
from sidelight.reachability.walk.packets import Trail
from sidelight.reachability.walk.replies import reply_ports, reply_to
from sidelight.reachability.walk.walker import Walker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.reachability.addresses.intervals import Intervals
    from sidelight.reachability.components.records import InterfaceRecord
    from sidelight.reachability.findings.open_ports import OpenPorts, Reached
    from sidelight.reachability.graph.load_balancers import Balancing, LoadBalancers
    from sidelight.reachability.graph.routing import Routing
    from sidelight.reachability.graph.topology import Topology
    from sidelight.reachability.rules.filters import Filters


_ALWAYS_KEPT = frozenset({"UDP", "TCP_UDP", "QUIC", "TCP_QUIC"})


class BalancedPorts:
    """Carries packets over an edge to a load balancer's nodes, and from there to a target."""

    def __init__(
        self,
        topology: Topology,
        filters: Filters,
        routing: Routing,
        open_ports: OpenPorts,
        load_balancers: LoadBalancers,
    ) -> None:
        self._topology = topology
        self._filters = filters
        self._routing = routing
        self._open_ports = open_ports
        self._load_balancers = load_balancers
        self._taken: dict[tuple[str, str, int, int, int], bool] = {}

    def of(
        self, interface: InterfaceRecord, depth: int = 0
    ) -> Iterator[tuple[NetworkEdge, int, int, tuple[OpenRange, ...]]]:
        """Each edge, family and protocol that reaches an interface by a load balancer."""
        for balancing in self._load_balancers.of.get(interface.id, ()):
            for name in balancing.nodes:
                node = self._topology.interfaces[name]
                for edge, family, protocol, ranges in self._at_node(node, balancing, depth):
                    found = tuple(
                        one
                        for opened in ranges
                        if opened.first <= balancing.listener.port <= opened.last
                        for one in self._behind((edge, family, protocol), opened, balancing, node)
                    )
                    if found:
                        yield edge, family, protocol, found

    def _at_node(
        self, node: InterfaceRecord, balancing: Balancing, depth: int
    ) -> Iterator[tuple[NetworkEdge, int, int, tuple[OpenRange, ...]]]:
        """The ranges that reach a node: directly, or by a load balancer in front of this one."""
        if balancing.balancer.groups and not node.groups:
            return
        filtered = balancing.balancer.kind != "network" or bool(balancing.balancer.groups)
        for edge, family, protocol, ranges in self._open_ports.of(node, filtered=filtered):
            if protocol in balancing.listener.protocols:
                yield edge, family, protocol, ranges
        for service in self._load_balancers.services.get(balancing.balancer.id, ()):
            for protocol in balancing.listener.protocols:
                for family in service.families:
                    yield self._by_private_link(service.id, node, balancing, protocol, family)
        if depth == 0:
            yield from self.of(node, depth + 1)

    def _by_private_link(
        self,
        service: str,
        node: InterfaceRecord,
        balancing: Balancing,
        protocol: int,
        family: int,
    ) -> Reached:
        """From the endpoints of a PrivateLink service, wherever these are.

        The load balancer's security groups see the address of the client before the endpoint,
        unless they are switched off for PrivateLink. Targets see the load balancer's address.
        """
        edge = NetworkEdge(
            EdgeKind.PRIVATE_LINK, service, types.ENDPOINT_SERVICE, node.vpc, service, dict(ALL)
        )
        opened = port_maps.everything(ALL[family])
        if balancing.balancer.groups and balancing.balancer.checks_private_link:
            opened = self._filters.groups(node.groups, INGRESS, family, protocol)
        note = f"not accounted for: whose endpoints {service} accepts"
        trail = Trail((service,), notes=(note,))
        ranges = tuple(OpenRange(first, last, src, trail) for first, last, src in opened)
        return edge, family, protocol, ranges

    def _behind(
        self,
        way: tuple[NetworkEdge, int, int],
        opened: OpenRange,
        balancing: Balancing,
        node: InterfaceRecord,
    ) -> Iterator[OpenRange]:
        edge, family, protocol = way
        interface = self._topology.interfaces[balancing.interface]
        clients = intervals.intersection(opened.sources, balancing.forwarding.clients[family])
        if not clients:
            return
        keeps = edge.kind != EdgeKind.PRIVATE_LINK and self._keeps_client(balancing, protocol)
        if keeps and family == balancing.family:
            clients = self._as_clients(clients, balancing, node, interface, protocol)
        else:
            key = (node.id, interface.id, balancing.number, balancing.port, protocol)
            if key not in self._taken:
                self._taken[key] = self._as_node(balancing, node, interface, protocol)
            if not self._taken[key]:
                return
        if clients:
            classic = balancing.balancer.kind == "classic"
            kind = types.CLASSIC_BALANCER if classic else types.BALANCER
            trail = opened.trail
            for group in node.groups:
                trail = trail.through(group, types.GROUP)
            trail = trail.through(node.id, types.INTERFACE).through(balancing.balancer.id, kind)
            if not classic:
                trail = trail.through(
                    balancing.listener.id, types.LISTENER, balancing.forwarding.rule
                )
                trail = trail.through(balancing.group.id, types.TARGET_GROUP)
            acl = self._topology.acl_of_subnet(interface.subnet)
            trail = trail.through(interface.subnet, types.SUBNET).through(acl, types.ACL)
            trail = trail.over(balancing.balancer.id)
            if balancing.forwarding.authenticated:
                what = f"that {balancing.listener.id} authenticates clients"
                trail = trail.noting(f"not accounted for: {what}")
            if balancing.listener.cut:
                trail = trail.noting(
                    f"not accounted for: the last rules of {balancing.listener.id}"
                )
            yield OpenRange(balancing.port, balancing.port, clients, trail)

    def _keeps_client(self, balancing: Balancing, protocol: int) -> bool:
        """Whether targets see the client's address: Network Load Balancers may keep it.

        Always for UDP and for target groups of UDP, else as the attribute says; by default for all
        targets but addresses [Network Load Balancer guide, "Client IP preservation"].
        """
        group = balancing.group
        if balancing.balancer.kind != "network":
            return False
        if protocol == UDP or group.protocol in _ALWAYS_KEPT:
            return True
        return group.kind != "ip" if group.keeps_client is None else group.keeps_client

    def _as_clients(
        self,
        clients: Intervals,
        balancing: Balancing,
        node: InterfaceRecord,
        interface: InterfaceRecord,
        protocol: int,
    ) -> Intervals:
        """The clients whose packets a target takes from a node that keeps their addresses.

        Answers go back through the node, whatever the target's route table says; the subnets'
        network ACLs see the client's address on the target's side.
        """
        family, port = balancing.family, balancing.port
        target = ((balancing.number, balancing.number),)
        topology, filters = self._topology, self._filters
        if node.groups:
            scope = topology.group_scope(node.vpc)
            sent = filters.groups(node.groups, EGRESS, family, protocol, scope)
            if not intervals.contains(port_maps.at_port(sent, port), balancing.number):
                return ()
        if node.subnet != interface.subnet:
            leaving = filters.acl(topology.acl_of_subnet(node.subnet), EGRESS, family, protocol)
            if not intervals.contains(port_maps.at_port(leaving, port), balancing.number):
                return ()
            acl = topology.acl_of_subnet(interface.subnet)
            entering = filters.acl(acl, INGRESS, family, protocol)
            clients = intervals.intersection(clients, port_maps.at_port(entering, port))
            answers = Bundle(target, clients, reply_ports(protocol))
            answering = filters.acl(acl, EGRESS, family, protocol)
            near = filters.acl(topology.acl_of_subnet(node.subnet), INGRESS, family, protocol)
            clients = intervals.of(
                pair
                for part in answers.to(answering)
                for arrived in part.coming_from(near)
                for pair in arrived.dst
            )
        opened = filters.groups(interface.groups, INGRESS, family, protocol, (node.vpc,))
        if node.groups and self._named(interface, node, protocol, port):
            return clients
        return intervals.intersection(clients, port_maps.at_port(opened, port))

    def _named(
        self, interface: InterfaceRecord, node: InterfaceRecord, protocol: int, port: int
    ) -> bool:
        """Whether a rule of the target lets in the load balancer's security group by its id."""
        for group in interface.groups:
            record = self._topology.groups.get(group)
            for rule in record.rules[INGRESS] if record else ():
                if (
                    rule.group in node.groups
                    and rule.protocol in (protocol, -1)
                    and rule.first_port <= port <= rule.last_port
                ):
                    return True
        return False

    def _as_node(
        self, balancing: Balancing, node: InterfaceRecord, interface: InterfaceRecord, protocol: int
    ) -> bool:
        """Whether a node's own packets get to a target and the answers back."""
        family = balancing.family
        number = _number(node, family)
        if number is None:
            return False
        parts = (self._topology, self._filters, self._routing, cross, family, protocol)
        walker = Walker(*parts, explain=False)
        bundle = Bundle(((number, number),), ((balancing.number,) * 2,), ((balancing.port,) * 2,))
        for outcome in walker.leave_interface(node, bundle, Trail()):
            if outcome.verdict == Verdict.ACCEPTED and outcome.at == interface.id:
                back = Walker(*parts, replies=True, explain=False)
                answers = reply_to(outcome.bundle, protocol)
                # A NAT gateway on the way takes the answers; a route may be more specific than
                # the local one.
                sender = self._topology.interface_at(node.vpc, family, outcome.bundle.src[0][0])
                return any(
                    answer.verdict == Verdict.ACCEPTED and answer.at == (sender or node.id)
                    for answer in back.leave_interface(interface, answers, Trail())
                )
        return False


def _number(node: InterfaceRecord, family: int) -> int | None:
    return next((own.number for own in node.addresses if own.family == family), None)
