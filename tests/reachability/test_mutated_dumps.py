"""Dumps of real and of random networks, changed at random: nothing but a UsageError is raised."""

from __future__ import annotations

import copy
import json
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.errors import UsageError
from sidelight.reachability import Answers, Network
from sidelight.reachability.answers.dump import load_dump
from tests.fixtures.hypothesis_profiles import many
from tests.reachability.drawing import ACCOUNT, REGION, Drawing, public_network, route, tcp
from tests.reachability.random_networks.network import draw_network

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Lists: TypeAlias = dict[tuple[str, str], dict[str, list[Any]]]

_FOLDER = "control-plane/reachability/batfish"
_JUNK: tuple[object, ...] = (
    None, True, -1, 99999, 1 << 70, 1.5, "", "x" * 3000, "10.0.0.0/8", "999.1.1.1/99",
    "10.0.0.0/33", "::/0", "fe80::1%eth0", "-1", "tcp", "local", "\uff11\uff12", "\u00b2",
    [], {}, [[]], [{}],
)  # fmt: skip
_SOURCES = ("internet", "8.8.8.8", "192.168.7.7", "2001:db8::1")
_NAMED = (
    ("NetworkInterfaces", "NetworkInterfaceId"),
    ("VpnGateways", "VpnGatewayId"),
    ("TransitGateways", "TransitGatewayId"),
    ("TransitGatewayAttachments", "TransitGatewayAttachmentId"),
    ("VpcPeeringConnections", "VpcPeeringConnectionId"),
)


def _members(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container with each of its keys or indexes."""
    keys = value if isinstance(value, dict) else range(len(value))
    for key in list(keys):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _members(value[key])


def _mutate(lists: dict[str, list[Any]], random: Random) -> None:
    found = list(_members(lists))
    texts = [owner[key] for owner, key in found if isinstance(owner[key], str)]
    for _ in range(random.randint(1, 12)):
        owner, key = random.choice(found)
        if (
            owner is lists
            or (isinstance(owner, list) and key >= len(owner))
            or (isinstance(owner, dict) and key not in owner)
        ):
            continue
        match random.randrange(4):
            case 0:
                owner[key] = random.choice(_JUNK)
            case 1:
                owner[key] = random.choice(texts)
            case 2:
                del owner[key]
            case _:
                other, place = random.choice(found)
                if not isinstance(other, dict) or place in other:
                    owner[key] = copy.deepcopy(other[place : place + 1] or None) if isinstance(
                        other, list
                    ) else copy.deepcopy(other[place])  # fmt: skip


def _ask(lists: Lists, random: Random) -> None:
    network = Network.from_answers(Answers(lists))
    list(network.findings())
    names = [
        item[key]
        for stems in lists.values()
        for stem, key in _NAMED
        for item in stems.get(stem, [])
        if isinstance(item, dict) and isinstance(item.get(key), str)
    ]
    names += _SOURCES
    for _ in range(8):
        source, target = random.choice(names), random.choice(names)
        try:
            explained = network.explain(source, target, random.choice(["tcp", "icmp"]), 80)
        except UsageError:
            continue
        assert explained.hops or not explained.reachable


@many(120)
@given(st.integers(0, 1 << 32))
def test_a_mutated_random_network_is_answered(seed: int) -> None:
    random = Random(seed)
    lists = {(ACCOUNT, REGION): draw_network(random)}
    _mutate(lists[ACCOUNT, REGION], random)
    _ask(lists, random)


@cache
def _real(folder: Path) -> list[str]:
    dumps = [
        load_dump(path) for path in sorted(folder.iterdir()) if (path / "aws_configs").is_dir()
    ]
    return [
        json.dumps([[*place, {stem: list(objects) for stem, objects in stems.items()}]
                    for place, stems in dump.items()])
        for dump in dumps
    ]  # fmt: skip


@pytest.mark.conformance
@many(80)
@given(seed=st.integers(0, 1 << 32))
def test_a_mutated_dump_of_a_live_account_is_answered(shared_data: Path, seed: int) -> None:
    random = Random(seed)
    chosen = json.loads(random.choice(_real(shared_data / _FOLDER)))
    lists = {(account, region): stems for account, region, stems in chosen}
    for stems in lists.values():
        _mutate(stems, random)
    _ask(lists, random)


def _entries(count: int) -> list[dict[str, str]]:
    return [{"Cidr": f"11.{i >> 14 & 255}.{i >> 6 & 255}.{(i & 63) << 2}/32"} for i in range(count)]


@pytest.mark.parametrize("where", ["group", "route"])
def test_entries_beyond_a_prefix_lists_limit_are_not_accounted_for(where: str) -> None:
    drawing = public_network()
    drawing.lists["ManagedPrefixListEntries"].append(
        {"PrefixListId": "pl-1", "Entries": _entries(20_000)}
    )
    if where == "group":
        drawing.lists["SecurityGroups"][0]["IpPermissions"] = [tcp(443, "pl-1")]
    else:
        drawing.lists["RouteTables"][0]["Routes"] = [route("pl-1", "igw-1")]
    network = Network.from_answers(drawing.answers())
    finding = next(network.findings())
    assert "not accounted for: the last entries of pl-1" in finding.notes
    assert "pl-1" in {problem.where for problem in network.problems}


def _balanced(rules: int) -> Drawing:
    drawing = public_network()
    drawing.group("sg-lb", "vpc-1", tcp(80, "0.0.0.0/0"))
    drawing.lists["SecurityGroups"][0]["IpPermissions"] = [tcp(443, "sg-lb")]
    drawing.target_group("tg", "vpc-1", 443, {"i-web": "healthy"})
    nodes = {"subnet-1": "198.51.100.99"}
    drawing.load_balancer("lb", "application", {80: "tg"}, nodes, "sg-lb")
    listed = [
        {"RuleArn": f"rule-{number}", "Priority": str(number), "Actions": [{"Type": "redirect"}],
         "Conditions": [{"Field": "path-pattern", "Values": [f"/{number}"]}]}
        for number in range(rules)
    ]  # fmt: skip
    drawing.lists["ListenerRules"].append({"ListenerArn": "listener-lb-80", "Rules": listed})
    return drawing


@pytest.mark.parametrize(("rules", "noted"), [(100, False), (5000, True)])
def test_rules_beyond_a_listeners_limit_are_not_accounted_for(rules: int, noted: bool) -> None:
    network = Network.from_answers(_balanced(rules).answers())
    finding = next(one for one in network.findings() if one.instance_id == "i-web")
    note = "not accounted for: the last rules of listener-lb-80"
    assert (note in finding.notes) == noted
    assert bool(network.problems) == noted
