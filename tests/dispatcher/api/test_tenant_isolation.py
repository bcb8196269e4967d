"""No principal sees or changes what is not of its accounts, whatever it asks.

Principals x accounts x operations: requests are made from the model, and name other accounts and
their resources. What belongs to an account is marked, and no answer to another has its marks.
"""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING

import pytest

from dispatcher.api.operations import HANDLERS
from dispatcher.api.protocol.operation import ROLES
from dispatcher.api.protocol.service import inspector2
from dispatcher.services.configuration import ConfigurationService
from sidelight.model import Role
from tests.fixtures.api_requests import ApiRig, issued, rig, signed
from tests.fixtures.model_requests import ModelValues
from tests.fixtures.searched_findings import ACCOUNTS, fill

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dispatcher.services.access_keys import IssuedKey
    from sidelight.store import Store

pytestmark = pytest.mark.skipif(
    not ROLES.keys() <= HANDLERS.keys(), reason="not every operation is there yet"
)

ADMINISTRATOR, MEMBER, STRANGER = ACCOUNTS
# Scope of each principal by its name: what it may see.
SEES = {
    "administrator": {ADMINISTRATOR, MEMBER},
    "member": {MEMBER},
    "stranger": {STRANGER},
    "auditor": {STRANGER, ADMINISTRATOR, MEMBER},
    "also": {STRANGER, MEMBER},
}


class Tenants:
    """A store with findings, coverage, filters and an organization, and principals of accounts."""

    def __init__(self, store: Store) -> None:
        self.store = store
        fill(store, 7, covers=True)
        self.machines = {
            account: {f"i-{number:017x}" for number in range(12) if number % 3 == position}
            for position, account in enumerate(ACCOUNTS)
        }
        service = ConfigurationService(store, agent_based=True)
        organization = service.configure_organization("o-exampleorgid", administrator=ADMINISTRATOR)
        service.join(organization, [MEMBER])
        self.api: ApiRig = rig(store)
        self.marks = {account: {f"filter-of-{account}", *self.machines[account]}
                      for account in ACCOUNTS}  # fmt: skip
        for account in ACCOUNTS:
            self.create_filter(account)

    def create_filter(self, account: str) -> None:
        key = issued(self.store, Role.OPERATOR, account, name=f"owner-{account}")
        body = {
            "name": f"filter-of-{account}", "action": "NONE", "tags": {"mark": f"of-{account}"},
            "filterCriteria": {"severity": [{"comparison": "EQUALS", "value": "HIGH"}]},
        }  # fmt: skip
        answer = self.api.call(key, "/filters/create", body)
        assert answer.status == 200, answer
        self.marks[account] |= {json.loads(answer.body)["arn"], f"of-{account}"}

    def principals(self, role: Role) -> dict[str, IssuedKey]:
        scopes: Mapping[str, tuple[str, frozenset[str] | None]] = {
            "administrator": (ADMINISTRATOR, frozenset()),
            "member": (MEMBER, frozenset()),
            "stranger": (STRANGER, frozenset()),
            "auditor": (STRANGER, None),
            "also": (STRANGER, frozenset({MEMBER})),
        }
        return {
            name: issued(self.store, role, account, f"{role}-{name}", accounts)
            for name, (account, accounts) in scopes.items()
        }

    def configured(self, account: str) -> object:
        """All of an account that a call could change."""
        key = issued(self.store, Role.READER, account, name=f"owner-{account}")
        paths = ("/filters/list", "/configuration/get", "/status/batch/get",
                 "/ec2deepinspectionconfiguration/get", "/members/list",
                 "/organizationconfiguration/describe", "/delegatedadminaccounts/list")  # fmt: skip
        return [json.loads(self.api.call(key, path, {}).body) for path in paths]


@pytest.fixture
def tenants(store: Store) -> Tenants:
    return Tenants(store)


def request_body(tenants: Tenants, random: Random, name: str) -> dict[str, object]:
    """A valid request in which texts may name the accounts and resources of the store."""
    shape = inspector2().operations[name].input_shape
    if not shape:
        return {}
    arguments = ModelValues(inspector2(), random).valid(shape)
    known = [*ACCOUNTS, *(mark for marks in tenants.marks.values() for mark in sorted(marks))]
    result = replaced(arguments, random, known)
    assert isinstance(result, dict)
    return result


def replaced(value: object, random: Random, known: list[str]) -> object:
    if isinstance(value, dict):
        return {key: replaced(item, random, known) for key, item in value.items()}
    if isinstance(value, list):
        return [replaced(item, random, known) for item in value]
    if value == "111122223333":
        return random.choice(ACCOUNTS)
    if isinstance(value, str) and random.random() < 0.2 and not value.isupper():
        return random.choice(known)
    return value


@pytest.mark.slow
@pytest.mark.parametrize("role", [Role.READER, Role.ADMINISTRATOR])
def test_no_answer_has_what_is_of_another_account(tenants: Tenants, role: Role) -> None:
    random, service = Random(11), inspector2()
    keys = tenants.principals(role)
    names = sorted(name for name in ROLES if not service.operations[name].is_write)
    answered = 0
    for number in range(900):
        name = names[number % len(names)]
        principal = random.choice(sorted(keys))
        body = request_body(tenants, random, name) if random.random() < 0.8 else {}
        operation = service.operations[name]
        if operation.method != "POST":
            continue
        answer = tenants.api.gateway.answer(signed(keys[principal], "POST", operation.path, body))
        answered += answer.status == 200
        sent, text = json.dumps(body), answer.body.decode()
        for account in set(ACCOUNTS) - SEES[principal]:
            shown = {mark for mark in tenants.marks[account] if mark in text and mark not in sent}
            assert not shown, (principal, name, body, answer)
            if f'"{account}"' in text and account not in sent:
                # An organization's administrator and members know of each other.
                assert {account, *SEES[principal]} <= {ADMINISTRATOR, MEMBER}, (name, answer)
    assert answered > 150


def test_each_principal_sees_all_that_is_of_its_accounts(tenants: Tenants) -> None:
    for principal, key in tenants.principals(Role.READER).items():
        found = set()
        for path, member in (("/coverage/list", "coveredResources"), ("/filters/list", "filters")):
            token: dict[str, object] = {}
            while True:
                answer = json.loads(tenants.api.call(key, path, token).body)
                found |= {item.get("resourceId") or item["name"] for item in answer[member]}
                if "nextToken" not in answer:
                    break
                token = {"nextToken": answer["nextToken"]}
        machines = {item for item in found if item.startswith("i-")}
        expected = {item for account in SEES[principal] for item in tenants.machines[account]}
        assert machines <= expected
        assert machines, principal


@pytest.mark.slow
def test_no_call_changes_what_is_of_another_account(tenants: Tenants) -> None:
    random, service = Random(13), inspector2()
    keys = tenants.principals(Role.ADMINISTRATOR)
    names = sorted(name for name in ROLES if service.operations[name].is_write)
    before = {account: tenants.configured(account) for account in ACCOUNTS}
    changed = 0
    # Nobody but the stranger itself, and who sees every account, may change the stranger's; and
    # the stranger changes nobody else's.
    for number in range(600):
        name = names[number % len(names)]
        operation = service.operations[name]
        if "{" in operation.path:
            continue
        principal = random.choice(["administrator", "member"])
        body = request_body(tenants, random, name)
        answer = tenants.api.gateway.answer(
            signed(keys[principal], operation.method, operation.path, body)
        )
        changed += answer.status == 200
        assert tenants.configured(STRANGER) == before[STRANGER], (principal, name, body, answer)
    assert changed > 30


@pytest.mark.slow
def test_a_stranger_changes_nothing_of_an_organization(tenants: Tenants) -> None:
    random, service = Random(17), inspector2()
    keys = tenants.principals(Role.ADMINISTRATOR)
    names = sorted(name for name in ROLES if service.operations[name].is_write)
    before = {account: tenants.configured(account) for account in (ADMINISTRATOR, MEMBER)}
    for number in range(400):
        name = names[number % len(names)]
        operation = service.operations[name]
        if "{" in operation.path:
            continue
        body = request_body(tenants, random, name)
        answer = tenants.api.gateway.answer(
            signed(keys["stranger"], operation.method, operation.path, body)
        )
        after = {account: tenants.configured(account) for account in before}
        assert after == before, (name, body, answer)
