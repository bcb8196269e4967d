"""The network model answers as the packet simulator does, which is written by other ideas.

Networks are drawn with every feature that the simulator has; a difference is shown with a network
that was made as small as it can be. What once differed is kept in `counter_examples`.
"""

from __future__ import annotations

import json
import os
from ipaddress import ip_address, ip_network
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidelight.reachability.results import EdgeKind
from tests.reachability.comparison import difference, differences, network_of
from tests.reachability.packet_simulator.connection import best_connection, client_ports
from tests.reachability.packet_simulator.described import Described, associations
from tests.reachability.packet_simulator.packets import FromInternet, packet
from tests.reachability.random_networks.blocks import INTERNET, INTERNET_SIX, PORTS
from tests.reachability.random_networks.network import draw_network
from tests.reachability.shrinking import shrunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.reachability import Network
    from tests.reachability.questions import Question

COUNTER_EXAMPLES = sorted((Path(__file__).parent / "counter_examples").glob("*.json"))
QUESTIONS = 15  # of each network


def _small(answers: dict[str, list[Any]], question: Question) -> str:
    """Return a difference and its network, made small."""

    def differs(smaller: dict[str, list[Any]]) -> bool:
        described = Described(smaller)
        ports = client_ports(described)
        return difference(network_of(smaller), described, ports, question) is not None

    smallest = shrunk(answers, differs)
    described = Described(smallest)
    found = difference(network_of(smallest), described, client_ports(described), question)
    return f"{found}\n{json.dumps(smallest)}"


def _compare(answers: dict[str, list[Any]], random: Random) -> None:
    for found in differences(answers, random, QUESTIONS):
        pytest.fail(_small(answers, found.question))


@settings(max_examples=60)
@given(st.randoms(use_true_random=False), st.integers(0, 1 << 32))
def test_the_model_answers_as_the_simulator_does(random: Random, seed: int) -> None:
    _compare(draw_network(random), Random(seed))


def test_the_model_answers_as_the_simulator_does_in_hundreds_of_networks() -> None:
    for seed in range(400):
        _compare(draw_network(Random(seed)), Random(seed))


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_the_model_answers_as_the_simulator_does_in_a_hundred_thousand_networks() -> None:
    # SIDELIGHT_TEST_NETWORKS=20000 takes as many.
    count = int(os.environ.get("SIDELIGHT_TEST_NETWORKS", "100000"))
    for seed in range(1000, 1000 + count):
        _compare(draw_network(Random(seed)), Random(seed))
    print(f"{count} networks, {QUESTIONS} questions each")  # noqa: T201 - how much


@pytest.mark.parametrize("path", COUNTER_EXAMPLES, ids=lambda path: path.stem)
def test_what_once_differed_is_answered_as_documented(path: Path) -> None:
    kept = json.loads(path.read_text(encoding="utf-8"))
    answer = network_of(kept["answers"]).explain(
        kept["source"], kept["target"], kept["protocol"], kept["port"]
    )
    assert (answer.reachable, answer.verdict.value) == (kept["reachable"], kept["verdict"])


OpenPort: TypeAlias = tuple[str, str, int]  # instance, protocol, port


def _found(model: Network, source: str) -> set[OpenPort]:
    """Return the ports that the model's findings open to an address of the internet."""
    return {
        (finding.instance_id, finding.protocol, port)
        for finding in model.findings()
        if finding.edge_kind is EdgeKind.INTERNET_GATEWAY and _has(finding.sources, source)
        for port in PORTS
        if finding.port_begin <= port <= finding.port_end
    }


def _has(sources: tuple[str, ...], source: str) -> bool:
    """Return whether an address is in one of these CIDR blocks or first-last ranges."""
    address = ip_address(source)
    for text in sources:
        first, dash, last = text.partition("-")
        if not dash:
            block = ip_network(first)
            first, last = str(block[0]), str(block[-1])
        low, high = ip_address(first), ip_address(last)
        if low.version == address.version and int(low) <= int(address) <= int(high):
            return True
    return False


def _walked(answers: dict[str, list[Any]], source: str) -> set[OpenPort]:
    """Return the ports at which the simulator's packets from an address reach an instance."""
    network = Described(answers)
    ports = client_ports(network)
    return {
        (instance, protocol.upper(), port)
        for instance, target in _public(network, six=":" in source)
        for protocol in ("tcp", "udp")
        for port in PORTS
        if best_connection(
            network, FromInternet(), packet(source, target, port, protocol), ports
        ).established
    }


def _public(network: Described, *, six: bool) -> Iterator[tuple[str, str]]:
    """Yield instances with the addresses by which the internet may reach them."""
    for item in network.interfaces.values():
        instance = item.get("Attachment", {}).get("InstanceId")
        if instance and six:
            yield from ((instance, it["Ipv6Address"]) for it in item["Ipv6Addresses"])
        elif instance:
            yield from ((instance, public) for _, public in associations(item))


@pytest.mark.parametrize("source", [INTERNET, INTERNET_SIX])
def test_findings_are_the_ports_at_which_packets_from_the_internet_arrive(source: str) -> None:
    opened = 0
    for seed in range(300):
        answers = draw_network(Random(seed))
        walked = _walked(answers, source)
        assert _found(network_of(answers), source) == walked, seed
        opened += len(walked)
    assert opened > 30
