"""The network model compared with the packet simulator, question by question."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from sidelight.reachability.answers.answers import Answers
from sidelight.reachability.network import Network
from tests.reachability.packet_simulator.connection import best_connection, client_ports, connect
from tests.reachability.packet_simulator.described import Described
from tests.reachability.packet_simulator.packets import (
    ACCEPTED,
    EXITS_NETWORK,
    packet,
)
from tests.reachability.questions import Question, questions_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random
    from typing import Any

    from tests.reachability.packet_simulator.connection import Connection
    from tests.reachability.packet_simulator.packets import Packet

PLACE = ("111111111111", "us-east-1")


class Difference(NamedTuple):
    """A question that the model answers otherwise than the simulator."""

    question: Question
    model: tuple[bool, str]
    simulator: tuple[bool, str]
    hops: tuple[tuple[str, ...], tuple[str, ...]]


def network_of(answers: dict[str, list[Any]]) -> Network:
    """Return the model's network of these answers."""
    return Network.from_answers(Answers({PLACE: answers}))


def differences(
    answers: dict[str, list[Any]], random: Random, most: int, model: Network | None = None
) -> Iterator[Difference]:
    """Ask both some questions about a network; yield those that they answer differently.

    `model` is the network of the same answers, distinguished by their accounts.
    """
    network = Described(answers)
    model = model or network_of(answers)
    ports = client_ports(network)
    for question in questions_of(network, random, most):
        found = difference(model, network, ports, question)
        if found:
            yield found


def difference(
    model: Network, network: Described, ports: list[int], question: Question
) -> Difference | None:
    """Ask both one question.

    Where the network has several ways in, one that leads to a connection counts. The verdict is
    compared where there is one way, and where the packet itself decides: if only the reply is lost,
    the two may name it differently.
    """
    sent = packet(question.source, question.target, question.port, question.protocol)
    walks = [best_connection(network, start, sent, ports) for start in question.starts]
    walked = max(walks, key=_reachable)
    answer = model.explain(question.source, question.target, question.protocol, question.port)
    simulated = (_reachable(walked), walked.there.verdict)
    explained = (answer.reachable, answer.verdict.value)
    hops = (_ids(answer.hops), _ids(walked.there.hops))
    if simulated[0] == explained[0]:
        if (
            len(walks) > 1
            or _reply_alone(walked)
            or _by_port(network, question, sent, explained[1])
        ):
            return None
        if simulated == explained and (_same_way(simulated[0], *hops) or _is_loop(walked)):
            return None
    return Difference(question, explained, simulated, hops)


def _by_port(network: Described, question: Question, sent: Packet, verdict: str) -> bool:
    """Whether a firewall distinguishes clients' ports, and one of them has the verdict.

    Or with one of them the packet arrives and its reply alone is lost, which the model names.
    """
    if not network.all("RuleGroups"):
        return False
    tries = (replace(sent, source_port=port) for port in client_ports(network))
    walks = (connect(network, question.starts[0], tried) for tried in tries)
    return any(walked.there.verdict == verdict or _reply_alone(walked) for walked in walks)


def _ids(hops: tuple[str, ...]) -> tuple[str, ...]:
    """Return the hops but the customer's own routers, each once where it follows itself."""
    named = [hop for hop in hops if hop != "on-prem" and not hop.startswith(("vpn-", "dxgw-"))]
    return tuple(hop for hop, _ in groupby(named))


def _reachable(walked: Connection) -> bool:
    return walked.established


def _same_way(
    arrives: bool,
    one: tuple[str, ...],
    other: tuple[str, ...],
) -> bool:
    """Compare hops; of a packet that is stopped at a border, either side may be the last hop."""
    if arrives:
        return one == other
    common = min(len(one), len(other))
    return one[:common] == other[:common]


def _is_loop(walked: Connection) -> bool:
    """A packet in a circle is given up after some hops, no matter how many."""
    return walked.there.stopper is not None and walked.there.stopper.kind == "loop"


def _reply_alone(walked: Connection) -> bool:
    return walked.there.verdict in {ACCEPTED, EXITS_NETWORK} and not walked.established
