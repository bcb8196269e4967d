"""AWS's reachability workshop through the fleet: the store has Inspector's own table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.fleet.networks.evaluation import NetworkEvaluation, evaluate
from sidelight.model import Coverage, NetworkFinding, Severity
from sidelight.reachability.answers.stems import STEMS
from tests.fixtures.network_answers import Answering
from tests.reachability.workshop import workshop_answers

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.store import Store

pytestmark = pytest.mark.conformance

# The workshop's table: ports from the internet, and over the peering from the Bastion's VPC.
_EXPECTED = {
    "i-PoCServerAZ1": ({80}, {22, 3389}),
    "i-PoCServerAZ2": ({22, 443}, {22, 3389}),
    "i-DbServerAZ1": ({3306}, {22, 3306, 3389}),
    "i-DbServerAZ2": ({3306}, {22, 3306, 3389}),
    "i-WebAppServerAZ1": ({80}, {22, 3389}),
    "i-WebAppServerAZ2": ({80}, {22, 3389}),
}
# Open to every source, so to the peer's too, which the workshop's table leaves out.
_TO_PEERS_TOO = {
    "i-PoCServerAZ1": {80}, "i-PoCServerAZ2": {443}, "i-WebAppServerAZ1": {80},
    "i-WebAppServerAZ2": {80},
}  # fmt: skip


@pytest.fixture
def rows(shared_data: Path, store: Store) -> list[tuple[str, NetworkFinding]]:
    folder = shared_data / "control-plane/reachability/aws-workshop"
    answers = workshop_answers(folder / "EnvironmentBuild.cfn.json")
    ((account, region), lists) = next(iter(answers.items()))
    account, region = account or "123456789012", region or "us-east-1"
    instances = [
        item["InstanceId"]
        for reservation in lists["Reservations"]
        for item in reservation["Instances"]  # type: ignore[index]
    ]
    store.instances.cover(
        [
            Coverage(account, region, name, "", "ACTIVE", "PENDING_INITIAL_SCAN", scan_mode="",
                     scan_type="NETWORK")
            for name in instances
        ]
    )  # fmt: skip
    store.network_evaluations.keep([(account, region)])
    whole = {stem: list(lists.get(stem, ())) for stem in STEMS}
    evaluated = NetworkEvaluation(store, lambda *_: Answering(whole), 43200.0, 60.0)
    assert evaluate(evaluated, account, region) is not None
    return [
        (row.instance, row.finding)
        for row in store.findings.rows()
        if isinstance(row.finding, NetworkFinding)
    ]


def test_each_server_has_the_ports_that_inspector_lists(
    rows: list[tuple[str, NetworkFinding]],
) -> None:
    def ports(instance: str, edge: str) -> set[int]:
        return {
            finding.port_begin
            for name, finding in rows
            if name == instance and finding.edge_kind == edge
        }

    found = {
        name: (
            ports(name, "INTERNET_GATEWAY"),
            ports(name, "VPC_PEERING") - _TO_PEERS_TOO.get(name, set()),
        )
        for name in _EXPECTED
    }
    assert found == _EXPECTED
    assert {name for name, _ in rows} == set(_EXPECTED)


def test_ssh_from_the_internet_is_the_one_medium_finding_of_the_screenshot(
    rows: list[tuple[str, NetworkFinding]],
) -> None:
    medium = [
        (name, finding.port_begin)
        for name, finding in rows
        if finding.severity is Severity.MEDIUM and finding.port_begin == 22
    ]
    assert medium == [("i-PoCServerAZ2", 22)]
