"""Ways into a VPC that the model does not follow: each is a Problem, none is taken as closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    from sidelight.reachability.components.network_objects import NetworkObjects
    from sidelight.reachability.components.records import RouteRecord

# Targets of routes that may lead into a VPC too, and are not edges of the model.
_NO_EDGES: Final = frozenset(
    {"carrier-gateway", "local-gateway", "core-network", "odb-network", "unknown"}
)
# Interfaces by which services of AWS bring packets of others into a VPC.
_OF_SERVICES: Final = frozenset(
    {"global_accelerator_managed", "ec2_instance_connect_endpoint", "api_gateway_managed"}
)
_CLIENT_VPN: Final = "ClientVPN"
"""The start of the descriptions of a Client VPN endpoint's interfaces."""


def report_unknown_ways(network: NetworkObjects) -> None:
    """Report the targets of routes that are not edges or in no answer, and services' interfaces."""
    for table in network.tables.values():
        for route in table.routes:
            if route.blackhole:
                continue
            if route.kind in _NO_EDGES:
                what = f"{route.target or 'its target'} ({route.kind}) as a way into {table.vpc}"
                network.collector.report(table.id, f"not accounted for: {what}")
            elif _is_absent(network, table.vpc, route):
                what = f"{route.target}, which is not in the answers, as a way of {table.vpc}"
                network.collector.report(table.id, f"not accounted for: {what}")
    for interface in network.interfaces.values():
        by_vpn = interface.description.startswith(_CLIENT_VPN)
        if interface.kind in _OF_SERVICES or by_vpn:
            kind = "client_vpn" if by_vpn else interface.kind
            what = f"{interface.id} ({kind}) as a way into {interface.vpc}"
            network.collector.report(interface.subnet, f"not accounted for: {what}")


def _is_absent(network: NetworkObjects, vpc: str, route: RouteRecord) -> bool:
    """Whether no answer has a route's target: its owner is another account, or a call was denied.

    A deleted target's route is a blackhole. An internet gateway is known by its route.
    """
    if route.kind == "transit-gateway":
        return (vpc, route.target) not in network.transit.of_vpc
    known: dict[str, Collection[str]] = {
        "peering": network.peerings,
        "virtual-gateway": network.gateways,
        "endpoint": network.endpoints,
        "network-interface": network.interfaces,
    }
    return route.kind in known and route.target not in known[route.kind]
