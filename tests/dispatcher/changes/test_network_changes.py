"""Events of changed networks: one evaluation of what they name, or of the whole network."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.changes.bus_events import BusEvent
from dispatcher.changes.network_changes import (
    API_CALL,
    NetworkChangeHandler,
    ids_of,
    is_change,
)
from dispatcher.discovery.accounts import AccountRegion

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = AccountRegion("123456789012", "eu-west-1")
NOW = datetime(2026, 11, 29, tzinfo=UTC)


def call(name: str, **more: object) -> dict[str, object]:
    return {"eventName": name, "requestParameters": {"groupId": "sg-1"}, **more}


def event(detail: Mapping[str, object], number: int = 1) -> BusEvent:
    return BusEvent(str(number), HERE.account, HERE.region, ("aws.ec2", API_CALL), NOW, detail)


def test_a_burst_of_changes_is_one_request_with_their_ids() -> None:
    requests: list[tuple[AccountRegion, set[str]]] = []
    handler = NetworkChangeHandler(lambda place, ids: requests.append((place, set(ids))))
    events = [event(call("AuthorizeSecurityGroupIngress"), number) for number in range(5)]
    assert handler.handle(HERE, events) == ()
    assert requests == [(HERE, {"sg-1"})]


def test_ids_are_found_in_nested_parameters_and_answers() -> None:
    detail = {
        "eventName": "CreateNetworkInterface",
        "requestParameters": {"groupSet": {"items": [{"groupId": "sg-1"}]}, "region": "eu-west-1"},
        "responseElements": {"networkInterface": {"networkInterfaceId": "eni-1"}},
    }
    assert set(ids_of(detail)) == {"sg-1", "eni-1"}


def test_a_change_that_names_no_object_is_one_of_the_whole_network() -> None:
    requests: list[set[str]] = []
    handler = NetworkChangeHandler(lambda _, ids: requests.append(set(ids)))
    unknown = {"eventName": "DisassociateRouteTable", "requestParameters": {"associationId": "x"}}
    handler.handle(HERE, [event(call("CreateRoute")), event(unknown, 2)])
    assert requests == [set()]


@pytest.mark.parametrize(
    "name",
    [
        "AuthorizeSecurityGroupIngress", "RevokeSecurityGroupEgress", "ReplaceNetworkAclEntry",
        "CreateRoute", "DeleteRoute", "ReplaceRouteTableAssociation", "AttachNetworkInterface",
        "AssociateAddress", "AttachInternetGateway", "AcceptVpcPeeringConnection",
        "RegisterTargets", "ModifyInstanceAttribute", "CreateListener", "UpdateFirewallPolicy",
    ],
)  # fmt: skip
def test_calls_that_change_a_network_are_changes(name: str) -> None:
    assert is_change(call(name))


@pytest.mark.parametrize("name", ["DescribeRouteTables", "CreateSnapshot", "RunInstances", "", 3])
def test_other_calls_are_none(name: object) -> None:
    assert not is_change({"eventName": name})


def test_a_refused_call_changed_nothing() -> None:
    assert not is_change(call("CreateRoute", errorCode="Client.UnauthorizedOperation"))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner),
    max_leaves=20,
)


@given(_JSON, _JSON)
def test_hostile_details_raise_nothing(detail: object, parameters: object) -> None:
    is_change(detail)
    found = list(ids_of({"requestParameters": parameters}))
    assert all(len(identity) <= 300 for identity in found)
    list(ids_of(detail))
