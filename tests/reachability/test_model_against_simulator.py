"""The network model answers as the packet simulator does, which is written by other ideas.

Networks are drawn with every feature that the simulator has; a difference is shown with a network
that was made as small as it can be. What once differed is kept in `counter_examples`.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidelight.reachability import Answers, Network
from tests.reachability.comparison import difference, differences, network_of
from tests.reachability.found_ports import found_ports, walked_ports
from tests.reachability.packet_simulator.connection import client_ports
from tests.reachability.packet_simulator.described import Described
from tests.reachability.questions import Question, starts_of
from tests.reachability.random_networks.accounts import by_account, draw_blocked, draw_peered
from tests.reachability.random_networks.hubs import draw_gateways, draw_hub
from tests.reachability.random_networks.network import draw_network
from tests.reachability.shrinking import shrunk

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


@pytest.mark.slow
@settings(max_examples=60)
@given(st.randoms(use_true_random=False), st.integers(0, 1 << 32))
def test_the_model_answers_as_the_simulator_does(random: Random, seed: int) -> None:
    _compare(draw_network(random), Random(seed))


@pytest.mark.slow
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
    described = Described(kept["answers"])
    beginnings = [start for start in starts_of(described) if start[1] == kept["source"]]
    assert beginnings
    for starts, source in beginnings:
        question = Question(starts, source, kept["target"], kept["port"], kept["protocol"])
        ports = client_ports(described)
        assert difference(network_of(kept["answers"]), described, ports, question) is None


@pytest.mark.slow
def test_findings_are_the_ports_at_which_packets_arrive() -> None:
    opened: Counter[str] = Counter()
    for seed in range(200):
        answers = draw_network(Random(seed))
        walked = walked_ports(answers)
        assert found_ports(answers) == walked, seed
        opened.update(port.edge for port in walked)
    assert set(opened) == {"internet", "peering", "premises", "service", "transit"}


@pytest.mark.slow
def test_blocked_public_access_is_as_the_simulator_has_it() -> None:
    closed = 0
    for seed in range(50):
        answers = draw_blocked(Random(seed))
        _compare(answers, Random(seed))
        walked = walked_ports(answers)
        assert found_ports(answers) == walked, seed
        closed += len(walked_ports(draw_network(Random(seed))) - walked)
    assert closed > 10


@pytest.mark.slow
def test_peered_vpcs_of_two_accounts_are_as_the_simulator_has_them() -> None:
    opened: Counter[str] = Counter()
    for seed in range(50):
        answers = draw_peered(Random(seed))
        model = Network.from_answers(Answers(by_account(answers)))
        assert list(differences(answers, Random(seed), QUESTIONS, model)) == []
        walked = walked_ports(answers)
        assert found_ports(answers, model) == walked, seed
        opened.update(port.edge for port in walked)
    assert opened["peering"] > 100


@pytest.mark.slow
def test_ways_through_an_inspection_vpc_are_as_the_simulator_has_them() -> None:
    opened: Counter[str] = Counter()
    for seed in range(60):
        answers = draw_hub(Random(seed))
        _compare(answers, Random(seed))
        walked = walked_ports(answers)
        assert found_ports(answers) == walked, seed
        opened.update(port.edge for port in walked)
    assert opened["transit"] > 100


@pytest.mark.slow
def test_ways_over_two_transit_gateways_are_as_the_simulator_has_them() -> None:
    opened: Counter[str] = Counter()
    for seed in range(60):
        answers = draw_gateways(Random(seed))
        _compare(answers, Random(seed))
        walked = walked_ports(answers)
        assert found_ports(answers) == walked, seed
        opened.update(port.edge for port in walked)
    assert opened["transit"] > 20
