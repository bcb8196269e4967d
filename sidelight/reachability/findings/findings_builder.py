"""Findings: the open ranges of instances' interfaces in Inspector's terms and texts."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from sidelight.reachability.addresses import intervals
from sidelight.reachability.addresses.prefixes import IPV4, IPV6, texts_of
from sidelight.reachability.components import component_types as types
from sidelight.reachability.components.records import ANY_PROTOCOL, INGRESS, TCP
from sidelight.reachability.findings.severities import severity
from sidelight.reachability.results import EdgeKind, PathComponent, ReachabilityFinding
from sidelight.reachability.walk.walker import first_rule

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sidelight.reachability.components.records import InterfaceRecord
    from sidelight.reachability.findings.balanced_ports import BalancedPorts
    from sidelight.reachability.findings.network_edge import NetworkEdge
    from sidelight.reachability.findings.open_ports import OpenPorts, OpenRange
    from sidelight.reachability.graph.topology import Topology

REMEDIATION: Final = (
    "You can restrict access to your instance by modifying the Security Groups or ACLs in the "
    "network path."
)
# Edges beyond which any address may be: every one of them is written as this.
EVERYWHERE: Final = {IPV4: ("0.0.0.0/0",), IPV6: ("::/0",)}
_TO_ANYONE: Final = frozenset(
    {
        EdgeKind.INTERNET_GATEWAY,
        EdgeKind.VIRTUAL_GATEWAY,
        EdgeKind.DIRECT_CONNECT,
        EdgeKind.PRIVATE_LINK,
    }
)
_RULES_SHOWN: Final = 100  # rules that open a range, in its full path
# States of instances that answer. An instance whose state is in no answer counts too.
_ANSWERING: Final = frozenset({"running", "pending", ""})
_STEPS: Final = frozenset(
    {
        types.ACL, types.ENDPOINT, types.GROUP, types.BALANCER, types.CLASSIC_BALANCER,
        types.LISTENER, types.TARGET_GROUP,
    }
)  # fmt: skip
# Inspector's words for an edge in a title and in a description; those of the peering and the
# virtual gateway were found in no published sample.
_WORDS: Final = {
    EdgeKind.INTERNET_GATEWAY: ("an Internet Gateway", "InternetGateway"),
    EdgeKind.VPC_PEERING: ("a VPC Peering Connection", "VPCPeeringConnection"),
    EdgeKind.VIRTUAL_GATEWAY: ("a Virtual Private Gateway", "VPNGateway"),
    EdgeKind.DIRECT_CONNECT: ("a Direct Connect connection", "DirectConnect"),
    EdgeKind.TRANSIT_GATEWAY: ("a Transit Gateway", "TransitGateway"),
    EdgeKind.PRIVATE_LINK: ("a VPC Endpoint Service", "VPCEndpointService"),
}


class FindingsBuilder:
    """Builds the findings of one network. Equal interfaces share what is equal."""

    def __init__(
        self, topology: Topology, open_ports: OpenPorts, balanced_ports: BalancedPorts
    ) -> None:
        self._topology = topology
        self._open_ports = open_ports
        self._balanced_ports = balanced_ports
        self._paths: dict[tuple[object, ...], tuple[tuple[PathComponent, ...], ...]] = {}
        self._sources: dict[tuple[int, intervals.Intervals], tuple[str, ...]] = {}

    def findings(self, vpcs: Collection[str] | None = None) -> Iterator[ReachabilityFinding]:
        """The findings of the instances of these VPCs or of all, by VPC, instance, interface, edge.

        The results of a VPC are freed after it: its interfaces are equal to no others.
        """
        interfaces = self._topology.interfaces
        before = ""
        of_all = self._topology.interfaces_of
        for vpc, instance in sorted((interfaces[of_all[name][0]].vpc, name) for name in of_all):
            if vpcs is not None and vpc not in vpcs:
                continue
            if vpc != before:
                self._forget()
                before = vpc
            if self._topology.instance_states.get(instance, "") in _ANSWERING:
                for name in of_all[instance]:
                    yield from self._of_interface(interfaces[name])

    def _forget(self) -> None:
        self._paths.clear()
        self._sources.clear()
        self._open_ports.forget()

    def _of_interface(self, interface: InterfaceRecord) -> Iterator[ReachabilityFinding]:
        joined: dict[tuple[object, ...], tuple[NetworkEdge, int, int, OpenRange]] = {}
        ways = chain(self._open_ports.of(interface), self._balanced_ports.of(interface))
        for edge, family, protocol, ranges in ways:
            for found in ranges:
                steps, _ = self._path(interface, edge, family, protocol, found)
                key = (edge.id, family, protocol, found.first, found.last, steps)
                # Two nodes of a load balancer, or two rules of its listener, are one path's.
                before = joined.get(key)
                whole = found if before is None else before[3].joined_with(found)
                joined[key] = (edge, family, protocol, whole)
        for edge, family, protocol, found in joined.values():
            yield self._finding(interface, edge, family, protocol, found)

    def _finding(
        self,
        interface: InterfaceRecord,
        edge: NetworkEdge,
        family: int,
        protocol: int,
        found: OpenRange,
    ) -> ReachabilityFinding:
        steps, full_path = self._path(interface, edge, family, protocol, found)
        ends = (
            PathComponent(interface.id, types.INTERFACE),
            PathComponent(interface.instance, types.INSTANCE),
        )
        name = "TCP" if protocol == TCP else "UDP"
        title, description = _texts(interface, edge, name, found)
        anywhere = intervals.is_subset(edge.sources.get(family, ()), found.sources)
        return ReachabilityFinding(
            instance_id=interface.instance,
            interface_id=interface.id,
            account=interface.account,
            region=interface.region,
            protocol=name,
            port_begin=found.first,
            port_end=found.last,
            edge_kind=edge.kind,
            edge_id=edge.id,
            family=family,
            severity=severity(name, found.first, found.last, edge.kind),
            title=title,
            description=description,
            remediation=REMEDIATION,
            steps=(*steps, *ends),
            full_path=(*full_path, *ends),
            sources=EVERYWHERE[family]
            if anywhere and edge.kind in _TO_ANYONE
            else self._texts_of(family, found.sources),
            anywhere=anywhere,
            notes=found.trail.notes,
        )

    def _texts_of(self, family: int, sources: intervals.Intervals) -> tuple[str, ...]:
        texts = self._sources.get((family, sources))
        if texts is None:
            texts = self._sources[family, sources] = texts_of(family, sources)
        return texts

    def _path(
        self,
        interface: InterfaceRecord,
        edge: NetworkEdge,
        family: int,
        protocol: int,
        found: OpenRange,
    ) -> tuple[tuple[PathComponent, ...], ...]:
        """Inspector's steps and the full path, both up to the interface."""
        key = (edge.kind, edge.id, family, protocol, found, interface.groups)
        paths = self._paths.get(key)
        if paths is None:
            start = [PathComponent(edge.id, edge.type)]
            if edge.kind == EdgeKind.DIRECT_CONNECT:
                start.append(PathComponent(edge.goal, types.VIRTUAL_GATEWAY))
            way = [
                self._with_rule(component, family, protocol, found)
                for component in found.trail.components
            ]
            groups = self._groups(interface, family, protocol, found)
            steps = [
                PathComponent(one.id, one.type)
                for one in (*start, *(one for one in way if one.type in _STEPS and one.id))
            ]
            steps += dict.fromkeys(PathComponent(one.id, one.type) for one in groups)
            paths = self._paths[key] = (tuple(steps), (*start, *way, *groups))
        return paths

    def _with_rule(
        self, component: PathComponent, family: int, protocol: int, found: OpenRange
    ) -> PathComponent:
        """A network ACL with the entry that lets the first of the sources in."""
        record = self._topology.acls.get(component.id) if component.type == types.ACL else None
        if record is None:
            return component
        rule = first_rule(record.rules[INGRESS], family, protocol, found.sources[0][0], found.first)
        return PathComponent(component.id, component.type, rule.id if rule else "")

    def _groups(
        self, interface: InterfaceRecord, family: int, protocol: int, found: OpenRange
    ) -> list[PathComponent]:
        """The security groups' rules that open the range to any of the sources."""
        opening = []
        for group in interface.groups:
            record = self._topology.groups.get(group)
            for rule in record.rules[INGRESS] if record else ():
                if rule.protocol not in (protocol, ANY_PROTOCOL):
                    continue
                if rule.last_port < found.first or found.last < rule.first_port:
                    continue
                if rule.block is not None and (
                    rule.block.family != family
                    or not intervals.intersection(
                        found.sources, ((rule.block.first, rule.block.last),)
                    )
                ):
                    continue
                opening.append(PathComponent(group, types.GROUP, rule.id))
                if len(opening) >= _RULES_SHOWN:
                    return opening
        return opening


def _texts(
    interface: InterfaceRecord, edge: NetworkEdge, protocol: str, found: OpenRange
) -> tuple[str, str]:
    """Inspector's title and description."""
    in_title, in_description = _WORDS[edge.kind]
    ports = (
        f"Port {found.first}"
        if found.first == found.last
        else f"Port range {found.first}-{found.last}"
    )
    return (
        f"{ports} is reachable from {in_title} - {protocol}",
        (
            f"On the instance {interface.instance}, the port range {found.first}-{found.last} is "
            f"reachable from the {in_description} {edge.id} from an attached ENI {interface.id}."
        ),
    )
