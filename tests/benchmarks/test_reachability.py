"""The benchmark's networks: how often the model works something out, as they grow."""

from __future__ import annotations

import pytest

from benchmarks.reachability import answers
from sidelight.reachability import Network


def _evaluations(vpcs: int, interfaces: int) -> dict[str, int]:
    network = Network.from_answers(answers(vpcs, interfaces, groups=4))
    assert sum(1 for _ in network.findings()) > 0
    assert network.problems == ()
    return dict(network.evaluations)


@pytest.mark.slow
def test_more_vpcs_behind_a_transit_gateway_cost_no_more_each() -> None:
    few, many = _evaluations(4, 400), _evaluations(12, 400)
    assert few["subnets"] == 4 * 10 * 2 * 2  # subnets, edges, protocols
    assert many["subnets"] == 3 * few["subnets"]
    assert many["filters"] == pytest.approx(3 * few["filters"], rel=0.1)


def test_more_interfaces_in_the_same_groups_cost_nothing() -> None:
    some, more = _evaluations(1, 2000), _evaluations(1, 4000)
    assert some["subnets"] == more["subnets"]
    # 10 subnets, at most 4 groups and 6 pairs of them, two protocols, one edge.
    assert some["interfaces"] <= more["interfaces"] <= 10 * 10 * 2
