"""In random networks a port has a finding if and only if the explanation from its edge arrives.

Findings are worked out from the edge inwards, for all interfaces of a subnet at once; explanations
hop by hop, for one port of one interface. The two share routes and filters, but not the way.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from sidelight.reachability import Answers, EdgeKind, Network, ReachabilityVerdict
from tests.reachability.packet_simulator.described import Described
from tests.reachability.questions import questions_of
from tests.reachability.random_networks.network import draw_network

if TYPE_CHECKING:
    from sidelight.reachability import ReachabilityFinding

_PLACE = ("111111111111", "us-east-1")


def _running(lists: dict[str, list[Any]]) -> set[str]:
    return {
        instance["InstanceId"]
        for reservation in lists.get("Reservations", [])
        for instance in reservation["Instances"]
        if instance.get("State", {}).get("Name") in ("running", "pending")
    }


def _from(source: str, finding: ReachabilityFinding) -> bool:
    """Whether a finding's edge is the source: the internet, or a virtual private gateway."""
    if source == "internet":
        return finding.edge_kind == EdgeKind.INTERNET_GATEWAY
    return source in {step.id for step in finding.steps}


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_a_port_has_a_finding_if_its_explanation_arrives_and_only_then(part: int) -> None:
    arrived = 0
    for seed in range(part * 25, part * 25 + 25):
        lists = draw_network(Random(seed))
        running = _running(lists)
        network = Network.from_answers(Answers({_PLACE: lists}))
        findings = list(network.findings())
        gateways = [gateway["VpnGatewayId"] for gateway in lists.get("VpnGateways", [])]
        for interface in lists.get("NetworkInterfaces", []):
            name = interface["NetworkInterfaceId"]
            if interface.get("Attachment", {}).get("InstanceId") not in running:
                continue
            own = [finding for finding in findings if finding.interface_id == name]
            for source in ("internet", *gateways):
                for family, port in ((4, 22), (4, 8080), (6, 443), (4, 443)):
                    found = [
                        one
                        for one in own
                        if (one.protocol, one.family) == ("TCP", family)
                        and one.port_begin <= port <= one.port_end
                        and _from(source, one)
                    ]
                    explained = network.explain(source, name, "tcp", port, family=family)
                    assert explained.reachable == bool(found), (seed, source, name, port, family)
                    arrived += explained.reachable
    assert arrived > 5


@pytest.mark.parametrize("part", range(4))
def test_the_order_of_a_random_networks_answers_changes_no_finding(part: int) -> None:
    for seed in range(part * 25, part * 25 + 25):
        lists = draw_network(Random(seed))
        before = list(Network.from_answers(Answers({_PLACE: lists})).findings())
        chance = Random(seed)
        shuffled = {stem: chance.sample(objects, len(objects)) for stem, objects in lists.items()}
        assert list(Network.from_answers(Answers({_PLACE: shuffled})).findings()) == before


@pytest.mark.parametrize("part", range(4))
def test_without_the_rules_of_its_full_path_a_port_is_closed(part: int) -> None:
    closed = 0
    for seed in range(part * 15, part * 15 + 15):
        network = Network.from_answers(Answers({_PLACE: draw_network(Random(seed))}))
        for finding in list(network.findings())[:6]:
            rules = {
                step.rule
                for step in finding.full_path
                if step.type == "AWS::EC2::SecurityGroup" and step.rule
            }
            left = [
                one
                for one in network.without(rules).findings()
                if (one.interface_id, one.edge_id, one.protocol, one.family)
                == (finding.interface_id, finding.edge_id, finding.protocol, finding.family)
                and one.port_begin <= finding.port_begin <= one.port_end
                and set(one.sources) & set(finding.sources)
            ]
            assert left == [], (seed, finding)
            closed += 1
    assert closed > 10


def test_what_is_stopped_names_what_stops_it_and_every_verdict_occurs() -> None:
    verdicts: Counter[str] = Counter()
    for seed in range(150):
        lists = draw_network(Random(seed))
        network, described = Network.from_answers(Answers({_PLACE: lists})), Described(lists)
        for question in questions_of(described, Random(seed), 12):
            found = network.explain(
                question.source, question.target, question.protocol, question.port
            )
            verdicts[found.verdict] += 1
            assert found.reachable or found.hops
            # No object stops what nobody has the address of.
            nowhere = found.hops[:1] == ("internet",) and found.verdict == "NULL_ROUTED"
            if not nowhere and found.verdict not in ("ACCEPTED", "EXITS_NETWORK"):
                assert found.stopped_by is not None, (seed, question)
                assert found.stopped_by.type.startswith("AWS::EC2::")
    assert set(verdicts) == set(ReachabilityVerdict)
