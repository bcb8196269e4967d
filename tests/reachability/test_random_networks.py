"""The random networks are such as AWS could describe, and each kind of ending occurs in them."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from sidelight.reachability.answers.stems import STEMS
from tests.reachability.packet_simulator.connection import best_connection, client_ports
from tests.reachability.packet_simulator.described import Described
from tests.reachability.packet_simulator.packets import packet
from tests.reachability.questions import questions_of
from tests.reachability.random_networks.network import draw_network

if TYPE_CHECKING:
    from botocore.model import ServiceModel, StructureShape


def _models() -> dict[str, ServiceModel]:
    session = botocore.session.get_session()
    return {name: session.get_service_model(name) for name in {it.service for it in STEMS.values()}}


def _wrong_shapes(models: dict[str, ServiceModel], answers: dict[str, list[Any]]) -> list[str]:
    """Return what botocore's model of the answers does not have, or has with another type."""
    wrong = []
    for name, items in answers.items():
        stem = STEMS[name]
        shape = models[stem.service].operation_model(stem.operation).output_shape
        for answer in _as_answers(name, items):
            report = ParamValidator().validate(answer, _structure(shape))
            if report.has_errors():
                wrong.append(f"{name}: {report.generate_report()}")
    return wrong


def _structure(shape: StructureShape | None) -> StructureShape:
    assert shape is not None
    return shape


def _as_answers(name: str, items: list[Any]) -> list[dict[str, Any]]:
    """Return the answers that a dump's list was made of: one, or one for each parent object."""
    stem = STEMS[name]
    if not stem.parent or stem.flat:
        return [{stem.list_key: items}]
    return [{key: it for key, it in item.items() if key != stem.parent_key} for item in items]


@settings(max_examples=15)
@given(st.randoms(use_true_random=False))
def test_a_random_network_has_the_shapes_of_botocores_models(random: Random) -> None:
    assert _wrong_shapes(MODELS, draw_network(random)) == []


MODELS = _models()


@pytest.mark.slow
def test_many_random_networks_have_every_verdict_and_connections_of_every_kind() -> None:
    endings: Counter[tuple[str, str, bool]] = Counter()
    for seed in range(200):
        network = Described(draw_network(Random(seed)))
        ports = client_ports(network)
        for question in questions_of(network, Random(seed), 20):
            found = best_connection(
                network,
                question.starts[0],
                packet(question.source, question.target, question.port, question.protocol),
                ports,
            )
            endings[type(question.starts[0]).__name__, found.there.verdict, found.established] += 1
    verdicts = {verdict for _, verdict, _ in endings}
    assert verdicts == {
        "ACCEPTED",
        "DENIED_IN",
        "DENIED_OUT",
        "NO_ROUTE",
        "NULL_ROUTED",
        "NEIGHBOR_UNREACHABLE",
        "EXITS_NETWORK",
    }
    established = {start for start, _, arrives in endings if arrives}
    assert established == {"FromAttachment", "FromInterface", "FromInternet", "FromPremises"}
    lost = [
        count
        for (_, verdict, arrives), count in endings.items()
        if verdict == "ACCEPTED" and not arrives
    ]
    assert sum(lost) > 20  # the reply alone is lost
