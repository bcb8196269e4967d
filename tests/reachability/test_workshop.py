"""AWS's reachability workshop: Inspector's own findings of its network are ours."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from sidelight.model.advisories import Severity
from sidelight.reachability import EdgeKind, Network, ReachabilityFinding
from tests.reachability.workshop import workshop_answers

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.conformance

_INTERNET, _PEERING = EdgeKind.INTERNET_GATEWAY, EdgeKind.VPC_PEERING
# The workshop's table: ports from the internet, ports over the peering from the Bastion's VPC.
_EXPECTED = {
    "i-PoCServerAZ1": ({80}, {22, 3389}),
    "i-PoCServerAZ2": ({22, 443}, {22, 3389}),
    "i-DbServerAZ1": ({3306}, {22, 3306, 3389}),
    "i-DbServerAZ2": ({3306}, {22, 3306, 3389}),
    "i-WebAppServerAZ1": ({80}, {22, 3389}),
    "i-WebAppServerAZ2": ({80}, {22, 3389}),
}
# Open to every source, and so to the peer's too, which the workshop's table leaves out: the PoC
# servers' own ports, and the application load balancer's, which has private addresses as well.
_TO_PEERS_TOO = {
    "i-PoCServerAZ1": {80},
    "i-PoCServerAZ2": {443},
    "i-WebAppServerAZ1": {80},
    "i-WebAppServerAZ2": {80},
}


@pytest.fixture(scope="module")
def network(shared_data: Path) -> Network:
    folder = shared_data / "control-plane/reachability/aws-workshop"
    return Network.from_answers(workshop_answers(folder / "EnvironmentBuild.cfn.json"))


@pytest.fixture(scope="module")
def findings(network: Network) -> list[ReachabilityFinding]:
    return list(network.findings())


def _ports(findings: list[ReachabilityFinding], instance: str, edge: EdgeKind) -> set[int]:
    found = [one for one in findings if one.instance_id == instance and one.edge_kind == edge]
    assert all(one.port_begin == one.port_end and one.protocol == "TCP" for one in found)
    return {one.port_begin for one in found}


def test_each_server_has_the_ports_that_inspector_lists(
    findings: list[ReachabilityFinding],
) -> None:
    found = {
        instance: (_ports(findings, instance, _INTERNET), _ports(findings, instance, _PEERING))
        for instance in {finding.instance_id for finding in findings}
    }
    assert found == {
        instance: (internet, peering | _TO_PEERS_TOO.get(instance, set()))
        for instance, (internet, peering) in _EXPECTED.items()
    }
    assert {finding.edge_kind for finding in findings} == {_INTERNET, _PEERING}


def test_ssh_is_medium_from_the_internet_and_low_over_a_peering(
    findings: list[ReachabilityFinding],
) -> None:
    ssh = Counter((one.edge_kind, one.severity) for one in findings if one.port_begin == 22)
    assert ssh == {(_INTERNET, Severity.MEDIUM): 1, (_PEERING, Severity.LOW): 6}


def test_no_path_crosses_two_peerings(findings: list[ReachabilityFinding]) -> None:
    assert {finding.sources for finding in findings if finding.edge_kind == _PEERING} == {
        ("10.1.0.0/16",)
    }


def test_the_web_servers_are_reached_through_the_load_balancer_alone(
    findings: list[ReachabilityFinding], network: Network
) -> None:
    steps = {
        tuple(step.id for step in finding.steps)
        for finding in findings
        if finding.instance_id == "i-WebAppServerAZ1" and finding.edge_kind == _INTERNET
    }
    assert steps == {
        (
            "igw-WebAppInternetGateway",
            "acl-vpc-WebAppVPC",
            "sg-WebAppLoadBalancerSecurityGroup",
            "arn:loadbalancer/app/lb-WebAppLoadBalancer/1",
            "r-WebAppLoadBalancerListener",
            "tg-WebAppLoadBalancerTarget",
            "acl-vpc-WebAppVPC",
            "sg-WebAppWebServerSecurityGroup",
            "eni-i-WebAppServerAZ1",
            "i-WebAppServerAZ1",
        )
    }
    assert not network.explain("internet", "eni-i-WebAppServerAZ1", "tcp", 22).reachable
