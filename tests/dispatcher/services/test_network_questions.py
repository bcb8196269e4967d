"""Questions about a stored network: what is, and what would be after a change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dispatcher.services.network_questions import AddedRule, NetworkQuestion, StoredNetwork
from sidelight.errors import UsageError
from sidelight.fleet.networks.kept_answers import kept_of, part_for_peers, read_kept
from tests.fixtures.network_answers import ACCOUNT, REGION, answers

if TYPE_CHECKING:
    from sidelight.store import Store

RULE = "sg-1/ingress/tcp/22-22/0.0.0.0/0"


def keep(store: Store, data: bytes) -> None:
    store.network_evaluations.keep([(ACCOUNT, REGION)])
    claim = store.network_evaluations.claim(ACCOUNT, REGION, 60)
    assert claim is not None
    store.network_evaluations.finish(claim, 3600, "", data)


@pytest.fixture
def network(store: Store) -> StoredNetwork:
    keep(store, kept_of(answers(vpcs=2)))
    return StoredNetwork.load(store, ACCOUNT, REGION)


def test_an_open_port_is_closed_without_its_rule(network: StoredNetwork) -> None:
    found = network.answer(NetworkQuestion("i-1", "tcp", 22, removed=(RULE,)))
    assert found.now.reachable
    assert found.changed is not None
    assert not found.changed.reachable
    assert found.changed.stopped_by is not None
    assert found.changed.stopped_by.id == "sg-1"
    assert found.evaluated_at is not None


def test_a_closed_port_is_opened_by_another_rule(network: StoredNetwork) -> None:
    added = AddedRule("sg-1", "tcp", 80, "198.51.100.0/24")
    found = network.answer(NetworkQuestion("i-1", "tcp", 80, "198.51.100.7", added=added))
    assert not found.now.reachable
    assert found.changed is not None
    assert found.changed.reachable
    other = network.answer(NetworkQuestion("i-1", "tcp", 80, "203.0.113.7", added=added))
    assert other.changed is not None
    assert not other.changed.reachable


def test_a_question_without_a_change_has_one_answer(network: StoredNetwork) -> None:
    found = network.answer(NetworkQuestion("i-1", "tcp", 443))
    assert not found.now.reachable
    assert found.changed is None


def test_the_rules_of_an_instance_are_those_of_its_groups(network: StoredNetwork) -> None:
    assert network.groups("i-1") == ["sg-1"]
    assert network.rules("i-1") == [RULE]
    assert network.rules("i-9") == []


@pytest.mark.parametrize(
    "question",
    [
        NetworkQuestion("i-9", "tcp", 22),
        NetworkQuestion("", "tcp", 22),
        NetworkQuestion("i-1", "icmp", 22),
        NetworkQuestion("i-1", "tcp", 22, "i-of-another-account"),
        NetworkQuestion("i-1", "tcp", 22, removed=("sg-of-another-account",)),
        NetworkQuestion("i-1", "tcp", 22, removed=("sg-1/ingress/tcp/1-1/0.0.0.0/0",)),
        NetworkQuestion("i-1", "tcp", 22, removed=tuple(f"sg-1/{n}" for n in range(60))),
        NetworkQuestion("i-1", "tcp", 22, added=AddedRule("sg-9", "tcp", 1, "0.0.0.0/0")),
        NetworkQuestion("i-1", "tcp", 22, added=AddedRule("sg-1", "tcp", 1, "anywhere")),
        NetworkQuestion("i-1", "tcp", 22, added=AddedRule("sg-1", "gre", 1, "0.0.0.0/0")),
    ],
    ids=range(10),
)
def test_a_question_of_what_is_not_there_is_refused(
    network: StoredNetwork, question: NetworkQuestion
) -> None:
    with pytest.raises(UsageError):
        network.answer(question)


@pytest.mark.parametrize("data", [b"", b"damaged", kept_of(answers())[:-9]])
def test_a_network_without_answers_cannot_be_asked(store: Store, data: bytes) -> None:
    with pytest.raises(UsageError, match="not evaluated yet"):
        StoredNetwork.load(store, ACCOUNT, REGION)
    keep(store, data)
    with pytest.raises(UsageError, match="too large"):
        StoredNetwork.load(store, ACCOUNT, REGION)


def test_kept_answers_have_of_instances_what_decides_alone() -> None:
    found = answers()
    found["Reservations"][0]["Instances"][0]["UserData"] = "secret"
    kept = read_kept(kept_of(found))
    assert kept is not None
    (instance,) = kept["Reservations"][0]["Instances"]
    assert instance == {"InstanceId": "i-1", "State": {"Name": "running"}, "VpcId": "vpc-1"}
    assert "Attachment" in kept["NetworkInterfaces"][0]
    of_peers = part_for_peers(kept)
    assert "Attachment" not in of_peers["NetworkInterfaces"][0]
    assert "Reservations" not in of_peers
