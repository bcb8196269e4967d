"""The API without a socket: roles, refusals, the audit log, rate limits, and any request at all."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from dispatcher.api.errors import ResourceNotFoundError
from dispatcher.api.operations import HANDLERS
from dispatcher.api.protocol.operation import ROLES
from dispatcher.api.protocol.service import inspector2
from dispatcher.services.access_keys import AccessKeyService, Seal, revoke
from sidelight.errors import StoreError, UsageError
from sidelight.model import Principal, Role
from tests.fixtures.api_fuzzer import ApiFuzzer, model_handlers
from tests.fixtures.api_requests import ACCOUNT, NOW, ApiRig, issued, rig, seal, signed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dispatcher.api.call import ApiResponse, Call
    from dispatcher.api.protocol.answers import Answer
    from sidelight.store import Store


def error(answer: Answer) -> str:
    return answer.headers.get("x-amzn-ErrorType", "")


@pytest.fixture
def api(store: Store) -> ApiRig:
    return rig(store, model_handlers(1))


@pytest.mark.slow
@pytest.mark.parametrize("role", list(Role))
def test_a_role_calls_its_operations_and_no_other(api: ApiRig, role: Role) -> None:
    key, random = issued(api.store, role), Random(3)
    fuzzer = ApiFuzzer(random, [key])
    called = 0
    while called < 300:
        request = fuzzer.request()
        answer = api.gateway.answer(request)
        if error(answer) in {"UnknownOperationException", "ValidationException"}:
            continue
        operation, _ = inspector2().route(request.method, request.path)
        called += 1
        allowed = role.includes(ROLES[operation.name])
        assert (error(answer) != "AccessDeniedException") == allowed, operation.name


def test_a_refusal_names_operation_and_role_and_is_in_the_audit_log(api: ApiRig) -> None:
    answer = api.call(issued(api.store, Role.READER), "/enable", {"resourceTypes": ["EC2"]})
    assert answer.status == 403
    assert "inspector2:Enable" in json.loads(answer.body)["message"]
    (record,) = api.store.audit_log.newest(10)
    assert (record.principal, record.operation, record.outcome) == (
        "alice", "Enable", "AccessDeniedException"
    )  # fmt: skip


def test_an_operation_that_is_not_offered_is_refused_with_a_plain_text(api: ApiRig) -> None:
    key = issued(api.store)
    others = inspector2().operations.keys() - ROLES.keys()
    assert len(others) >= 36
    for name in others:
        operation = inspector2().operations[name]
        answer = api.call(key, operation.path, {}, operation.method)
        assert (answer.status, error(answer)) == (400, "ValidationException")
        assert name in json.loads(answer.body)["message"]


def test_the_audit_log_has_each_change_with_its_outcome_and_no_read(store: Store) -> None:
    def refuse(*_: object) -> ApiResponse:
        raise ResourceNotFoundError("no such filter")

    def fail(*_: object) -> ApiResponse:
        raise StoreError("gone", where="here")

    api = rig(store, {**model_handlers(1), "DeleteFilter": refuse, "AssociateMember": fail})
    key = issued(store)
    assert api.call(key, "/findings/list").status == 200
    assert api.call(key, "/enable", {"resourceTypes": ["EC2"]}).status == 200
    assert api.call(key, "/filters/delete", {"arn": "arn:x" * 20}).status == 404
    assert api.call(key, "/members/associate", {"accountId": ACCOUNT}).status == 503
    records = list(store.audit_log.newest(10))
    assert [(record.operation, record.outcome) for record in records] == [
        ("AssociateMember", "ServiceUnavailableException"),
        ("DeleteFilter", "ResourceNotFoundException"),
        ("Enable", "OK"),
    ]
    assert "no such filter" in records[1].detail
    assert '"EC2"' in records[2].detail
    assert list(store.audit_log.newest(10, principal="bob")) == []


def test_a_failed_call_is_answered_without_its_error_and_logged_with_it(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> ApiResponse:
        raise KeyError("secret")

    with caplog.at_level(logging.ERROR):
        answer = rig(store, {"ListFindings": fail}).call(issued(store), "/findings/list")
    assert (answer.status, error(answer)) == (500, "InternalServerException")
    assert b"secret" not in answer.body
    assert answer.headers["x-amzn-RequestId"] in caplog.text
    assert "secret" in caplog.text


def test_a_principal_beyond_its_rate_is_throttled_and_no_other(store: Store) -> None:
    api = rig(store, model_handlers(1), rate=0.001, burst=3)
    alice, again = issued(store), issued(store)
    bob = issued(store, name="bob")
    answers = [api.call(alice, "/findings/list") for _ in range(3)]
    assert {answer.status for answer in answers} == {200}
    throttled = api.call(again, "/findings/list")
    assert (throttled.status, error(throttled)) == (429, "ThrottlingException")
    assert int(throttled.headers["Retry-After"]) >= 1
    assert api.call(bob, "/findings/list").status == 200


def test_a_key_that_is_unknown_revoked_expired_or_changed_is_refused(store: Store) -> None:
    api = rig(store, model_handlers(1))
    service = AccessKeyService(store, seal())
    brief = service.issue(Principal("carol", Role.READER, ACCOUNT), days=1)
    key = issued(store)
    assert api.call(key, "/findings/list").status == 200
    used = store.access_keys.get(key.key.id)
    assert used is not None
    assert used.last_used_at is not None
    later = rig(store, model_handlers(1), now=brief.key.created_at + timedelta(days=1))
    request = signed(brief, at=brief.key.created_at + timedelta(days=1))
    assert error(later.gateway.answer(request)) == "UnrecognizedClientException"
    assert revoke(store, [key.key.id]) == [key.key.id]
    assert revoke(store, [key.key.id]) == []
    assert error(api.call(key, "/findings/list")) == "UnrecognizedClientException"
    unknown = replace(key, key=replace(key.key, id="SLKA" + "A" * 16))
    assert error(api.call(unknown, "/findings/list")) == "UnrecognizedClientException"
    with pytest.raises(UsageError, match="no such access key"):
        revoke(store, ["SLKAX"])


def test_a_secret_is_sealed_for_its_key_role_and_scope_alone(store: Store) -> None:
    key = issued(store, Role.READER)
    assert key.secret.encode() not in key.key.sealed
    assert seal().decrypt(key.key) == key.secret
    stronger = replace(key.key, principal=replace(key.key.principal, role=Role.ADMINISTRATOR))
    wider = replace(key.key, principal=replace(key.key.principal, accounts=None))
    for changed in (stronger, wider, replace(key.key, id="SLKA"), replace(key.key, sealed=b"")):
        with pytest.raises(UsageError, match="sealed by another key"):
            seal().decrypt(changed)
    with pytest.raises(UsageError, match="sealed by another key"):
        Seal(bytes(32)).decrypt(key.key)


@pytest.mark.parametrize("text", ["x", "c2hvcnQ=", "file:/nonexistent/seal", "é"])
def test_a_seal_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Seal.of(text)


@pytest.mark.parametrize(
    ("name", "account"), [("", ACCOUNT), ("a b", ACCOUNT), ("-a", ACCOUNT), ("a", "1"), ("a", "x")]
)  # fmt: skip
def test_a_principal_that_is_none_gets_no_key(store: Store, name: str, account: str) -> None:
    with pytest.raises(UsageError):
        issued(store, name=name, account=account)


def test_a_page_token_is_of_its_query_and_principal(store: Store) -> None:
    def findings(call: Call, request: Mapping[str, object]) -> ApiResponse:
        token = request.get("nextToken")
        if isinstance(token, str):
            assert call.pages.unseal(token) == {"n": 1}
        return {"findings": [], "nextToken": call.pages.seal({"n": 1})}

    api = rig(store, {"ListFindings": findings})
    alice, bob = issued(store), issued(store, name="bob")
    token = json.loads(api.call(alice, "/findings/list", {"maxResults": 2}).body)["nextToken"]
    assert api.call(alice, "/findings/list", {"nextToken": token}).status == 200
    # Another server of the deployment seals with the same key.
    other = rig(store, {"ListFindings": findings})
    assert other.call(alice, "/findings/list", {"nextToken": token}).status == 200
    assert api.call(bob, "/findings/list", {"nextToken": token}).status == 400
    sort = {"nextToken": token, "sortCriteria": {"field": "SEVERITY", "sortOrder": "ASC"}}
    assert api.call(alice, "/findings/list", sort).status == 400
    assert api.call(alice, "/findings/list", {"nextToken": token + "x"}).status == 400


def _fuzz(api: ApiRig, count: int, seed: int) -> dict[str, int]:
    keys = [issued(api.store, role, name=role.value) for role in Role]
    fuzzer = ApiFuzzer(Random(seed), [*keys, keys[-1], keys[-1]])
    for _ in range(count):
        request = fuzzer.request()
        fuzzer.check(request, api.gateway.answer(request))
    return fuzzer.counts


@pytest.mark.slow
def test_every_answer_to_any_request_is_valid_by_the_model(api: ApiRig) -> None:
    counts = _fuzz(api, 1500, seed=1)
    assert counts["OK"] > 200
    assert counts["ValidationException"] > 200


@pytest.mark.slow
@pytest.mark.skipif(not HANDLERS, reason="no operation is there yet")
def test_every_answer_of_the_operations_is_valid_by_the_model(store: Store) -> None:
    counts = _fuzz(rig(store), 1000, seed=2)
    assert counts["OK"] > 20


@pytest.mark.long
@pytest.mark.parametrize("handlers", ["model", "operations"])
def test_every_answer_to_a_hundred_thousand_requests_is_valid(store: Store, handlers: str) -> None:
    chosen = model_handlers(1) if handlers == "model" else HANDLERS
    counts = _fuzz(rig(store, chosen), 50_000, seed=int(NOW.timestamp()))
    assert sum(counts.values()) == 50_000
