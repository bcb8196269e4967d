"""Organizations: slow, denied, and with units that change while they are listed."""

from __future__ import annotations

from typing import Any

import pytest

from sidelight.aws import organizations
from sidelight.aws.organizations import Units
from sidelight.errors import AccessDeniedError, CloudError
from tests.fakes.scripted_aws import Scripted, Sessions, refused


def organization(**answers: Any) -> tuple[Any, Scripted]:
    described = {"Organization": {"MasterAccountId": "1"}}
    client = Scripted(describe_organization=[described], **answers)
    return Sessions(client), client


def test_organizations_is_waited_for_longer_than_any_other_service() -> None:
    throttled = [refused("TooManyRequestsException") for _ in range(10)]
    session, _ = organization(list_accounts=[*throttled, {"Accounts": [{"Id": "2"}]}])
    waits: list[float] = []
    found = organizations.accounts(session, sleep=waits.append)
    assert [one.id for one in found] == ["2"]
    assert len(waits) == 10
    assert 10 < max(waits) <= 30
    assert sum(waits) > 60


def test_organizations_denial_is_not_tried_again() -> None:
    session, client = organization(list_accounts=[refused("AccessDeniedException")])
    with pytest.raises(AccessDeniedError):
        organizations.accounts(session, sleep=lambda _: None)
    assert len(client.requests) == 2


class Tree(Scripted):
    """Units by parent; each has an account of the same name."""

    def __init__(self, units: dict[str, list[str]]) -> None:
        super().__init__(describe_organization=[{"Organization": {"MasterAccountId": "1"}}])
        self.units = units
        self.gone: set[str] = set()

    def list_accounts_for_parent(self, ParentId: str) -> Any:  # noqa: N803 - boto3's
        self.requests.append(("accounts", {"ParentId": ParentId}))
        if ParentId in self.gone:
            raise refused("ParentNotFoundException")
        return {"Accounts": [{"Id": f"in {ParentId}"}]}

    def list_organizational_units_for_parent(self, ParentId: str) -> Any:  # noqa: N803 - boto3's
        self.requests.append(("units", {"ParentId": ParentId}))
        return {"OrganizationalUnits": [{"Id": unit} for unit in self.units.get(ParentId, ())]}


def test_units_are_listed_once_in_hours_and_each_once() -> None:
    tree = Tree({"root": ["a", "b"], "a": ["c"]})
    session: Any = Sessions(tree)
    time = [0.0]
    known = Units(lambda: time[0])

    def look() -> list[str]:
        tree.requests.clear()
        units = ["root", "a"]
        return [one.id for one in organizations.accounts(session, units=units, known=known)]

    everything = ["in a", "in b", "in c", "in root"]
    assert look() == everything
    assert len(tree.requests) == 1 + 4 + 4
    assert look() == everything
    assert [name for name, _ in tree.requests] == ["accounts"] * 4
    time[0] += 24 * 3600
    tree.units["b"] = ["d"]
    assert look() == sorted([*everything, "in d"])


def test_a_unit_that_was_removed_since_it_was_listed_stops_no_other() -> None:
    tree = Tree({"root": ["a", "b"]})
    session: Any = Sessions(tree)
    known = Units()
    organizations.accounts(session, units=["root"], known=known)
    tree.gone = {"a"}
    found = organizations.accounts(session, units=["root"], known=known)
    assert [one.id for one in found] == ["in b", "in root"]
    tree.gone = {"root"}
    with pytest.raises(CloudError, match="ParentNotFoundException"):
        organizations.accounts(session, units=["root"], known=known)
