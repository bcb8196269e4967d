"""The targets of load balancers' listeners by interface, and the nodes that send to them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from sidelight.reachability.addresses.prefixes import address
from sidelight.reachability.components import reading_load_balancers as reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.reachability.answers.collecting import Collector
    from sidelight.reachability.components.reading_load_balancers import (
        BalancedService,
        BalancedTarget,
        BalancerRecord,
        Forwarding,
        ListenerRecord,
        TargetGroupRecord,
    )
    from sidelight.reachability.components.records import InterfaceRecord
    from sidelight.reachability.graph.topology import Topology

_USABLE: Final = frozenset({"healthy", "unavailable"})
_NEVER: Final = frozenset({"unused", "draining"})


class Balancing(NamedTuple):
    """A way from a load balancer's nodes to a target's address and port."""

    balancer: BalancerRecord
    listener: ListenerRecord
    forwarding: Forwarding
    group: TargetGroupRecord
    nodes: tuple[str, ...]
    interface: str
    family: int
    number: int
    port: int


class LoadBalancers:
    """The load balancers of a network, by the interfaces that are their targets."""

    def __init__(self, collector: Collector, topology: Topology) -> None:
        self._topology = topology
        self.balancers = {found.id: found for found in reading.balancers(collector)}
        self.groups = {
            found.id: found for found in reading.target_groups(collector, topology.zones)
        }
        self.listeners: dict[str, list[ListenerRecord]] = defaultdict(list)
        for listener in reading.listeners(collector):
            self.listeners[listener.balancer].append(listener)
        for balancer, listeners, groups in reading.classic(collector):
            self.balancers[balancer.id] = balancer
            self.listeners[balancer.id] = listeners
            self.groups.update({group.id: group for group in groups})
        self.services: dict[str, list[BalancedService]] = defaultdict(list)
        for service in sorted(reading.endpoint_services(collector)):
            self.services[service.balancer].append(service)
        self.nodes = self._nodes()
        self.of: dict[str, list[Balancing]] = defaultdict(list)
        for name in sorted(self.balancers):
            balancer = self.balancers[name]
            if self.listeners.get(name) and not self.nodes.get(name):
                collector.report(name, "no network interface of this load balancer is known")
            for listener in sorted(self.listeners.get(name, ())):
                for balancing in self._balancings(balancer, listener):
                    self.of[balancing.interface].append(balancing)

    def _nodes(self) -> dict[str, list[str]]:
        """The interfaces of each load balancer: their description names it."""
        described = {found.described_as: found.id for found in self.balancers.values()}
        nodes: dict[str, list[str]] = defaultdict(list)
        for name in sorted(self._topology.interfaces):
            found = self._topology.interfaces[name]
            if found.description.startswith("ELB ") and found.description in described:
                nodes[described[found.description]].append(name)
        return nodes

    def _balancings(
        self, balancer: BalancerRecord, listener: ListenerRecord
    ) -> Iterator[Balancing]:
        for forwarding in listener.forwardings:
            group = self.groups.get(forwarding.target_group)
            if group is None:
                continue
            for target in _chosen(group):
                for interface, family, number in self._found(group, target):
                    nodes = self._nodes_for(balancer, group, target, interface)
                    if nodes:
                        yield Balancing(
                            balancer,
                            listener,
                            forwarding,
                            group,
                            nodes,
                            interface.id,
                            family,
                            number,
                            target.port,
                        )

    def _found(
        self, group: TargetGroupRecord, target: BalancedTarget
    ) -> Iterator[tuple[InterfaceRecord, int, int]]:
        topology = self._topology
        if group.kind == "instance":
            for name in topology.interfaces_of.get(target.id, ())[:1]:
                interface = topology.interfaces[name]
                yield from _first_of(interface, group.family)
        elif group.kind == "ip" and (found := address(target.id)) is not None:
            vpcs = (group.vpc, *topology.joined_to(group.vpc))
            holders = [at for vpc in vpcs if (at := topology.interface_at(vpc, *found))]
            for holder in holders[:1]:
                yield topology.interfaces[holder], *found
        elif group.kind == "alb":
            for name in self.nodes.get(target.id, ()):
                yield from _first_of(topology.interfaces[name], group.family)

    def _nodes_for(
        self,
        balancer: BalancerRecord,
        group: TargetGroupRecord,
        target: BalancedTarget,
        interface: InterfaceRecord,
    ) -> tuple[str, ...]:
        """The nodes that send to a target: without cross-zone balancing those of its zone."""
        nodes = self.nodes.get(balancer.id, [])
        cross = balancer.cross_zone if group.cross_zone is None else group.cross_zone
        zone = target.zone or self._topology.zone_of(interface.subnet)
        if cross or zone == "all":
            return tuple(nodes)
        own = self._topology.interfaces
        return tuple(name for name in nodes if self._topology.zone_of(own[name].subnet) == zone)


def _first_of(
    interface: InterfaceRecord, family: int
) -> Iterator[tuple[InterfaceRecord, int, int]]:
    """An interface with its first address of a family: the one that is registered by its id."""
    for own in interface.addresses:
        if own.family == family:
            yield interface, own.family, own.number
            return


def _chosen(group: TargetGroupRecord) -> list[BalancedTarget]:
    """The targets that get packets: the healthy ones, or without any all of them.

    [Elastic Load Balancing guide, "Health checks": a load balancer without healthy targets fails
    open.]
    """
    usable = [target for target in group.targets if target.state in _USABLE]
    return usable or [target for target in group.targets if target.state not in _NEVER]
