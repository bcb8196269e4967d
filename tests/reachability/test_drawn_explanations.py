"""Explanations and what-if questions of networks drawn by hand."""

from __future__ import annotations

import pytest

from sidelight.errors import UsageError
from tests.reachability.drawing import Drawing, public_network, tcp
from tests.reachability.drawn_findings import network_of


def test_what_if_rules_or_objects_were_not_there() -> None:
    network = network_of(public_network())
    assert (
        not network.without(["sg-1/ingress/tcp/443-443/0.0.0.0/0"])
        .explain("internet", "i-web", "tcp", 443)
        .reachable
    )
    for ids in (["rtb-vpc-1/0.0.0.0/0"], ["igw-1"], ["acl-vpc-1/egress/100"]):
        assert list(network.without(ids).findings()) == []
    with pytest.raises(UsageError, match="no such rule"):
        network.without(["sg-1/ingress/tcp/1-1/0.0.0.0/0"])


def test_what_if_other_objects_were_there() -> None:
    network = network_of(public_network())
    changed = Drawing()
    changed.lists.clear()
    changed.group("sg-1", "vpc-1", tcp(3389, "0.0.0.0/0"))
    assert {one.port_begin for one in network.with_changes(changed.answers()).findings()} == {3389}
    assert {one.port_begin for one in network.findings()} == {22, 443}


@pytest.mark.parametrize(
    ("rule", "verdict", "kind"),
    [
        ("sg-1/ingress/tcp/443-443/0.0.0.0/0", "DENIED_IN", "AWS::EC2::SecurityGroup"),
        ("acl-vpc-1/ingress/100", "DENIED_IN", "AWS::EC2::NetworkAcl"),
        ("acl-vpc-1/egress/100", "DENIED_OUT", "AWS::EC2::NetworkAcl"),
        ("rtb-vpc-1/0.0.0.0/0", "NO_ROUTE", "AWS::EC2::RouteTable"),
    ],
)
def test_an_explanation_names_the_control_that_stops_the_packet_or_its_answer(
    rule: str, verdict: str, kind: str
) -> None:
    explained = (
        network_of(public_network()).without([rule]).explain("internet", "i-web", "tcp", 443)
    )
    assert explained.stopped_by is not None
    assert (explained.verdict, explained.stopped_by.type) == (verdict, kind)
    assert not explained.reachable


def test_an_explanation_says_from_where_a_port_is_reached() -> None:
    network = network_of(public_network())
    assert network.explain("internet", "i-web", "tcp", 22).sources == ("203.0.113.7/32",)
    assert network.explain("203.0.113.7", "i-web", "tcp", 22).reachable
    assert not network.explain("203.0.113.8", "i-web", "tcp", 22).reachable
