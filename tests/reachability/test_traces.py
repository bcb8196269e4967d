"""Batfish's expected traces through networks that were pulled from live AWS accounts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sidelight.reachability.answers.dump import load_dump
from sidelight.reachability.network import Network

pytestmark = pytest.mark.conformance

_FOLDER = "control-plane/reachability/batfish"
# What the describe answers do not have: the customer's routers' own routes.
_UNDECIDABLE = {
    ("test-vpn-gateway", "ToOnPrem"),
    ("test-direct-connect-private-vif", "InstanceToOnPrem"),
}
# Nodes of Batfish's own: routers of the customer's, and AWS's services by their public ranges.
_NOT_IN_ANSWERS = {"aws-services", "on-prem", "onprem-high"}


def _expected() -> list[dict[str, Any]]:
    path = Path(__file__).resolve().parents[3] / "shared/data" / _FOLDER / "expected.jsonl"
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def _hops(expected: dict[str, Any]) -> list[str]:
    hops = [hop for hop in expected["hops"] if hop not in _NOT_IN_ANSWERS]
    return [*hops, "internet"] if expected["hops"][-1] == "aws-services" else hops


def _source(expected: dict[str, Any]) -> str:
    if expected["ingress"] in _NOT_IN_ANSWERS:
        return str(_hops(expected)[0])
    return str(
        expected["src"] if expected["ingress"].startswith("subnet-") else expected["ingress"]
    )


@pytest.mark.parametrize(
    "expected",
    _expected(),
    ids=lambda expected: f"{expected['network']}-{expected['test']}-{expected['ingress']}",
)
def test_a_packet_takes_the_way_that_is_expected(
    shared_data: Path, expected: dict[str, Any]
) -> None:
    network = Network.from_answers(load_dump(shared_data / _FOLDER / expected["network"]))
    protocol = {"TCP": "tcp", "AN": "107"}[expected.get("protocol", "TCP")]
    found = network.explain(
        _source(expected), expected["dst"], protocol, expected.get("dst_port", 80)
    )
    if (expected["network"], expected["test"]) in _UNDECIDABLE:
        assert found.verdict != "ACCEPTED"
        return
    assert (found.verdict, list(found.hops)) == (expected["disposition"], _hops(expected))
    assert found.reachable == (expected["disposition"] in ("ACCEPTED", "EXITS_NETWORK"))
    # No object stops what nobody has the address of.
    nowhere = expected["ingress"] == "internet" and expected["disposition"] == "NULL_ROUTED"
    assert (found.stopped_by is None) == (found.reachable or nowhere)
