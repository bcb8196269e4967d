"""The packet simulator against traces that nobody here wrote: batfish's tests of real networks.

What the data cannot decide is named: the traces that need a router's configuration, or AWS's list
of public ranges. `hops` are the ids that batfish passes; its names for other networks are ours.
"""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest

from tests.reachability.packet_simulator import packets
from tests.reachability.packet_simulator.described import Described, read_folder
from tests.reachability.packet_simulator.journey import Journey
from tests.reachability.packet_simulator.packet_way import Sessions
from tests.reachability.packet_simulator.packets import (
    FromInterface,
    FromInternet,
    FromPremises,
    FromRouter,
    FromSubnet,
    Outcome,
    Packet,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.reachability.packet_simulator.packets import Start

NETWORKS = "control-plane/reachability/batfish"
NUMBERS = {"TCP": "tcp", "AN": "107"}
# The path ends at the virtual gateway: the far router's configuration is not among the answers.
UNDECIDABLE = {
    "test-vpn-gateway ToOnPrem",
    "test-direct-connect-private-vif InstanceToOnPrem",
}
ON_PREMISES = {"on-prem", "onprem-high", "onprem-low"}
# AWS's own public addresses are known only from its list of ranges.
RENAMED = {**dict.fromkeys(ON_PREMISES, "on-prem"), "aws-services": "internet"}


def _traces(shared_data: Path) -> list[dict[str, Any]]:
    lines = (shared_data / NETWORKS / "expected.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _start(network: Described, ingress: str) -> tuple[Start, str]:
    """Return where a trace begins, and the source address if the trace has none."""
    match ingress.partition("-")[0]:
        case "internet":
            return FromInternet(), "8.8.8.8"
        case "i":
            interface = network.primary_interface(ingress)
            address = network.interfaces[interface]["PrivateIpAddress"]
            return FromInterface(interface), address
        case "vpc":
            return FromRouter(ingress), "8.8.8.8"
        case "subnet":
            return FromSubnet(ingress), "8.8.8.8"
        case _:
            gateway = network.all("VpnGateways")[0]["VpnGatewayId"]
            return FromPremises(gateway), "192.168.77.7"


def _walk(network: Described, trace: dict[str, Any], sessions: Sessions) -> Outcome:
    start, source = _start(network, trace["ingress"])
    packet = Packet(
        ip_address(trace.get("src", source)),
        ip_address(trace["dst"]),
        NUMBERS[trace.get("protocol", "TCP")],
        trace.get("dst_port", 80),
    )
    return Journey(network, sessions).run(start, packet)


@pytest.mark.conformance
def test_every_decidable_trace_of_batfish_ends_with_its_disposition_and_hops(
    shared_data: Path,
) -> None:
    undecided = set()
    traces = _traces(shared_data)
    assert len(traces) == 39
    for trace in traces:
        network = Described(read_folder(shared_data / NETWORKS / trace["network"]))
        outcome = _walk(network, trace, Sessions())
        name = f"{trace['network']} {trace['test']}"
        hops = tuple(RENAMED.get(hop, hop) for hop in trace["hops"])
        if (outcome.verdict, outcome.hops) != (trace["disposition"], hops):
            undecided.add(name)
            assert trace["check"] == "undecidable", f"{name}: {outcome}"
            assert outcome.verdict == packets.EXITS_NETWORK  # handed over to the far network
            assert (*outcome.hops, "on-prem") == hops
    assert undecided == UNDECIDABLE


@pytest.mark.conformance
def test_the_answer_of_a_website_comes_back_through_the_nat_gateway_by_batfishs_hops(
    shared_data: Path,
) -> None:
    trace = next(it for it in _traces(shared_data) if it["test"] == "InstanceToInternet")
    network = Described(read_folder(shared_data / NETWORKS / trace["network"]))
    sessions = Sessions()
    there = _walk(network, trace, sessions)
    back = Journey(network, sessions, reply=True).run(FromInternet(), there.packet.reply())
    assert back.verdict == packets.ACCEPTED
    assert list(back.hops) == trace["reverse"]
