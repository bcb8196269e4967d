"""Which VPCs a change is evaluated in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.fleet.networks.evaluation import NetworkEvaluation, evaluate
from sidelight.fleet.networks.scopes import ids_in, scope_of
from sidelight.model import NetworkFinding, ScanType
from tests.fixtures.network_answers import ACCOUNT, REGION, Answering, answers, cover
from tests.reachability.random_networks.network import draw_network

if TYPE_CHECKING:
    from datetime import datetime
    from random import Random

    from sidelight.store import Store
    from tests.fakes.clocks import Clock

HERE = (ACCOUNT, REGION)
PEER = ("2" * 12, REGION)
TWELVE_HOURS = 43200.0


def peering(one: str, other: str, owner: str = ACCOUNT) -> dict[str, Any]:
    return {
        "VpcPeeringConnectionId": "pcx-1",
        "RequesterVpcInfo": {"VpcId": one, "OwnerId": ACCOUNT, "Region": REGION},
        "AccepterVpcInfo": {"VpcId": other, "OwnerId": owner, "Region": REGION},
        "Status": {"Code": "active"},
    }


def attachment(number: int) -> dict[str, Any]:
    return {"TransitGatewayId": "tgw-1", "TransitGatewayAttachmentId": f"tgw-attach-{number}",
            "ResourceType": "vpc", "ResourceId": f"vpc-{number}"}  # fmt: skip


def vpcs(found: dict[str, list[Any]], *changed: str) -> set[str] | None:
    scope = scope_of({HERE: found}, changed)
    return None if scope is None else set(scope.of(*HERE))


@pytest.mark.parametrize(
    "changed", ["vpc-2", "sg-2", "rtb-2", "acl-2", "eni-2", "subnet-2", "igw-2", "i-2"]
)
def test_a_change_of_an_object_is_one_of_its_vpc(changed: str) -> None:
    assert vpcs(answers(vpcs=3), changed) == {"vpc-2"}


def test_peered_and_attached_vpcs_and_those_of_endpoints_are_joined() -> None:
    found = answers(vpcs=8)
    found["VpcPeeringConnections"] = [peering("vpc-1", "vpc-2")]
    found["TransitGatewayAttachments"] = [attachment(3), attachment(4)]
    service = "com.amazonaws.vpce.eu-west-1.vpce-svc-1"
    balancer = "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/net/n/1"
    found["VpcEndpoints"] = [{"VpcEndpointId": "vpce-1", "VpcId": "vpc-5", "ServiceName": service}]
    found["VpcEndpointServiceConfigurations"] = [
        {"ServiceId": "vpce-svc-1", "ServiceName": service, "NetworkLoadBalancerArns": [balancer]}
    ]
    found["LoadBalancers"] = [{"LoadBalancerArn": balancer, "VpcId": "vpc-6"}]
    found["SecurityGroupVpcAssociations"] = [{"GroupId": "sg-7", "VpcId": "vpc-8"}]
    assert vpcs(found, "sg-1") == {"vpc-1", "vpc-2"}
    assert vpcs(found, "rtb-4") == {"vpc-3", "vpc-4"}
    assert vpcs(found, "acl-6") == {"vpc-5", "vpc-6"}
    assert vpcs(found, "sg-7", "sg-2") == {"vpc-1", "vpc-2", "vpc-7", "vpc-8"}


@pytest.mark.parametrize("changed", [("sg-9",), ("sg-1", "rtb-9"), ("pl-1",)])
def test_an_object_that_is_not_there_may_have_been_anywhere(changed: tuple[str, ...]) -> None:
    found = answers(vpcs=2)
    found["ManagedPrefixLists"] = [{"PrefixListId": "pl-1"}]
    for table in found["RouteTables"]:
        table["Routes"].append({"DestinationPrefixListId": "pl-1", "GatewayId": "local"})
    assert vpcs(found, *changed) is None
    assert vpcs(found, "sg-1") == {"vpc-1"}, "a prefix list joins nothing"


@given(st.randoms(use_true_random=False))
def test_vpcs_that_are_not_joined_have_the_same_findings_after_any_change(random: Random) -> None:
    found = draw_network(random)
    names = sorted(item["VpcId"] for item in found["Vpcs"])
    changed = random.choice(names)
    scope = vpcs(found, changed)
    assert scope is not None
    assert changed in scope
    lone = {item["VpcId"] for item in found["Vpcs"]} - scope
    for pair in found["VpcPeeringConnections"]:
        ends = {pair["RequesterVpcInfo"]["VpcId"], pair["AccepterVpcInfo"]["VpcId"]}
        assert not (ends & lone and ends & scope)


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=20) | st.just("sg-1"),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=20,
    )
)
def test_hostile_objects_raise_nothing(value: object) -> None:
    list(ids_in(value))
    scope_of({HERE: {"Vpcs": [value]}}, ["sg-1"])


def evaluated(store: Store, found: dict[str, list[Any]], account: str = ACCOUNT) -> int:
    parts = NetworkEvaluation(store, lambda *_: Answering(found), TWELVE_HOURS, 60.0)
    result = evaluate(parts, account, REGION)
    return -1 if result is None else result.evaluated


def times(store: Store) -> dict[str, datetime | None]:
    return {row.instance: row.scanned_at for row in store.instances.coverage(ScanType.NETWORK)}


def ports(store: Store) -> set[tuple[str, int]]:
    return {
        (row.instance, row.finding.port_begin)
        for row in store.findings.rows()
        if isinstance(row.finding, NetworkFinding)
    }


def test_a_change_is_evaluated_in_its_vpc_alone_and_the_rest_stays(
    store: Store, clock: Clock
) -> None:
    cover(store, "i-1", "i-2")
    store.network_evaluations.keep([HERE])
    assert evaluated(store, answers(vpcs=2)) == 2
    first, (time,) = times(store), store.network_evaluations.times().values()
    clock.advance(60.0)
    store.network_evaluations.request([HERE], changed=["sg-2"])
    assert evaluated(store, answers(vpcs=2, ports=(80,))) == 1
    assert ports(store) == {("i-1", 22), ("i-2", 80)}
    assert times(store) == {"i-1": first["i-1"], "i-2": clock()}
    (after,) = store.network_evaluations.times().values()
    assert (after.due_at, after.evaluated_at) == (time.due_at, time.evaluated_at)
    assert evaluated(store, answers(vpcs=2)) == -1, "it is not due"
    clock.advance(TWELVE_HOURS)
    assert evaluated(store, answers(vpcs=2)) == 2


def test_a_change_of_an_unknown_object_is_evaluated_everywhere(store: Store, clock: Clock) -> None:
    cover(store, "i-1", "i-2")
    store.network_evaluations.keep([HERE])
    evaluated(store, answers(vpcs=2))
    clock.advance(60.0)
    store.network_evaluations.request([HERE], changed=["sg-2", "sg-gone"])
    assert evaluated(store, answers(vpcs=2)) == 2


def test_more_changes_than_are_kept_are_one_of_the_whole_network(
    store: Store, clock: Clock
) -> None:
    cover(store, "i-1", "i-2")
    store.network_evaluations.keep([HERE])
    evaluated(store, answers(vpcs=2))
    clock.advance(60.0)
    for part in range(3):
        names = [f"sg-{number}" for number in range(part * 100, part * 100 + 100)]
        store.network_evaluations.request([HERE], changed=names)
    claim = store.network_evaluations.claim(*HERE, 60.0)
    assert claim is not None
    assert claim.changed == ()


def test_a_failed_evaluation_keeps_what_changed(store: Store, clock: Clock) -> None:
    store.network_evaluations.keep([HERE])
    evaluated(store, answers())
    store.network_evaluations.request([HERE], changed=["sg-1"])
    claim = store.network_evaluations.claim(*HERE, 60.0)
    assert claim is not None
    store.network_evaluations.fail(claim, "throttled")
    clock.advance(61.0)
    again = store.network_evaluations.claim(*HERE, 60.0)
    assert again is not None
    assert again.changed == ("sg-1",)


def test_peers_evaluate_the_joined_vpcs_and_do_not_ask_back(store: Store, clock: Clock) -> None:
    own, other = answers(), answers()
    for lists in (own, other):
        lists["VpcPeeringConnections"] = [peering("vpc-1", "vpc-7", PEER[0])]
    for stem, items in other.items():
        if stem != "VpcPeeringConnections":
            text = str(items).replace("vpc-1", "vpc-7").replace(ACCOUNT, PEER[0])
            other[stem] = eval(text)  # noqa: S307 - our own literals
    store.network_evaluations.keep([HERE, PEER])
    for _ in range(3):
        evaluated(store, own)
        evaluated(store, other, PEER[0])
    clock.advance(60.0)
    store.network_evaluations.request([HERE], changed=["sg-1"])
    evaluated(store, own)
    assert store.network_evaluations.due() == [PEER]
    evaluated(store, other, PEER[0])
    assert store.network_evaluations.due() == []
