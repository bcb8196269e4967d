"""Signatures of botocore are accepted; whatever of a signed request is changed is refused."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from dispatcher.api.authentication.canonical import (
    ALGORITHM,
    Scope,
    SignedParts,
    canonical_request,
    signature,
)
from dispatcher.api.http_messages import HttpRequest
from sidelight.errors import StoreError
from tests.fixtures.api_requests import ACCOUNT, HOST, NOW, REGION, ApiRig, issued, rig, signed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dispatcher.api.call import ApiResponse, Call, Handler
    from dispatcher.services.access_keys import IssuedKey
    from sidelight.store import Store

BODY = {"maxResults": 5}


def _findings(_: Call, request: Mapping[str, object]) -> ApiResponse:
    assert request == BODY
    return {"findings": []}


def _tags(_: Call, request: Mapping[str, object]) -> ApiResponse:
    assert request["resourceArn"] == ARN
    return {"tags": {}}


ARN = f"arn:aws:inspector2:eu-west-1:{ACCOUNT}:owner/{ACCOUNT}/filter/0123456789abcdef"
TAGS = "/tags/" + ARN.replace(":", "%3A").replace("/", "%2F")
HANDLERS: dict[str, Handler] = {
    "ListFindings": _findings,
    "ListTagsForResource": _tags,
    "Enable": lambda *_: {"accounts": []},
}


@pytest.fixture
def api(store: Store) -> ApiRig:
    return rig(store, HANDLERS)


@pytest.fixture
def key(store: Store) -> IssuedKey:
    return issued(store)


def outcome(api: ApiRig, request: HttpRequest) -> str:
    answer = api.gateway.answer(request)
    return answer.headers.get("x-amzn-ErrorType", str(answer.status))


def test_a_signature_of_botocore_is_accepted_in_header_and_query(
    api: ApiRig, key: IssuedKey
) -> None:
    assert outcome(api, signed(key, body=BODY)) == "200"
    assert outcome(api, signed(key, "GET", TAGS)) == "200"
    assert outcome(api, signed(key, "GET", TAGS, expires=60)) == "200"
    # A client that names the body's hash, as S3's do.
    digest = hashlib.sha256(b'{"maxResults": 5}').hexdigest()
    request = signed(key, body=BODY, headers={"X-Amz-Content-Sha256": digest})
    assert outcome(api, request) == "200"


def by_hand(key: IssuedKey, body: bytes, headers: list[tuple[str, str]]) -> HttpRequest:
    """A request signed by the documentation's steps, without botocore."""
    names = sorted(name for name, _ in headers)
    time = f"{NOW:%Y%m%dT%H%M%SZ}"
    scope = Scope(time[:8], REGION, "inspector2")
    digest = hashlib.sha256(body).hexdigest()
    parts = SignedParts("POST", "/findings/list", [], headers, digest)
    proof = signature(key.secret, scope, time, canonical_request(parts, names))
    value = (
        f"{ALGORITHM} Credential={key.key.id}/{scope}, SignedHeaders={';'.join(names)},"
        f" Signature={proof}"
    )
    return HttpRequest(
        "POST", parts.path, "", [*headers, ("authorization", value)], body, "127.0.0.1"
    )


def test_the_least_that_must_be_signed_is_accepted(api: ApiRig, key: IssuedKey) -> None:
    headers = [("host", HOST), ("x-amz-date", f"{NOW:%Y%m%dT%H%M%SZ}")]
    assert outcome(api, by_hand(key, b'{"maxResults":5}', headers)) == "200"
    # A header that is not signed may be added by a proxy.
    request = by_hand(key, b'{"maxResults":5}', headers)
    traced = replace(request, headers=[*request.headers, ("x-amzn-trace-id", "Root=1")])
    assert outcome(api, traced) == "200"


def test_a_session_token_is_refused(api: ApiRig, key: IssuedKey) -> None:
    request = signed(key, body=BODY, headers={"X-Amz-Security-Token": "token"})
    assert outcome(api, request) == "UnrecognizedClientException"


@pytest.mark.parametrize(
    "hash_text",
    ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
     "e" * 64, "", "x"],
)  # fmt: skip
def test_an_unsigned_chunked_or_other_body_is_refused(
    api: ApiRig, key: IssuedKey, hash_text: str
) -> None:
    headers = [
        ("host", HOST), ("x-amz-content-sha256", hash_text),
        ("x-amz-date", f"{NOW:%Y%m%dT%H%M%SZ}"),
    ]  # fmt: skip
    assert outcome(api, by_hand(key, b'{"maxResults":5}', headers)) == "InvalidSignatureException"


@pytest.mark.parametrize("seconds", [-300, -299, 0, 299, 300])
def test_a_clock_within_the_skew_is_accepted(api: ApiRig, key: IssuedKey, seconds: int) -> None:
    request = signed(key, body=BODY, at=NOW + timedelta(seconds=seconds))
    assert outcome(api, request) == "200"


@pytest.mark.parametrize("seconds", [-86_400, -301, 301, 86_400])
def test_a_clock_beyond_the_skew_is_refused(api: ApiRig, key: IssuedKey, seconds: int) -> None:
    request = signed(key, body=BODY, at=NOW + timedelta(seconds=seconds))
    assert outcome(api, request) == "InvalidSignatureException"


@pytest.mark.parametrize(
    ("age", "expires", "expected"),
    [(59, 60, "200"), (61, 60, "InvalidSignatureException"), (0, 900, "200"),
     (0, 901, "InvalidSignatureException"), (-301, 60, "InvalidSignatureException")],
)  # fmt: skip
def test_a_presigned_request_is_accepted_until_it_expires(
    api: ApiRig, key: IssuedKey, age: int, expires: int, expected: str
) -> None:
    request = signed(key, "GET", TAGS, at=NOW - timedelta(seconds=age), expires=expires)
    assert outcome(api, request) == expected


@pytest.mark.parametrize(
    ("service", "region"),
    [("inspector", REGION), ("ec2", REGION), ("inspector2", "eu west"), ("inspector2", "x" * 300)],
)
def test_another_service_or_no_region_is_refused(
    api: ApiRig, key: IssuedKey, service: str, region: str
) -> None:
    request = signed(key, body=BODY, service=service, region=region)
    assert outcome(api, request) == "InvalidSignatureException"


def test_a_region_that_is_not_served_is_refused(store: Store, key: IssuedKey) -> None:
    api = rig(store, HANDLERS, regions="eu-west-1, us-east-1")
    assert outcome(api, signed(key, body=BODY)) == "200"
    assert outcome(api, signed(key, body=BODY, region="us-east-1")) == "200"
    assert outcome(api, signed(key, body=BODY, region="us-east-2")) == "InvalidSignatureException"


def test_a_change_is_made_once_and_a_read_may_be_repeated(store: Store, key: IssuedKey) -> None:
    calls: list[int] = []

    def enable(*_: object) -> ApiResponse:
        calls.append(1)
        return {"accounts": []}

    api = rig(store, {**HANDLERS, "Enable": enable})
    write = signed(key, path="/enable", body={"resourceTypes": ["EC2"]})
    first = api.gateway.answer(write)
    assert first.status == 200
    # A client that lost the answer gets it again, and the change is not made twice.
    assert api.gateway.answer(write) == first
    assert calls == [1]
    # Another server of the deployment has the same store, but not the answer.
    assert outcome(rig(store, {**HANDLERS, "Enable": enable}), write) == "ThrottlingException"
    assert calls == [1]
    read = signed(key, body=BODY)
    assert [outcome(api, read), outcome(api, read)] == ["200", "200"]


def test_a_change_that_another_one_undid_is_signed_and_made_again(
    store: Store, key: IssuedKey
) -> None:
    calls: list[str] = []

    def called(name: str) -> Handler:
        def call(*_: object) -> ApiResponse:
            calls.append(name)
            return {"arn": f"arn:{len(calls)}"}

        return call

    handlers = {name: called(name) for name in ("CreateFilter", "DeleteFilter")}
    api = rig(store, {**HANDLERS, **handlers})
    criteria = {"title": [{"comparison": "EQUALS", "value": "x"}]}
    body = {"name": "known", "action": "NONE", "filterCriteria": criteria}
    create = signed(key, path="/filters/create", body=body)
    first = api.gateway.answer(create)
    assert api.gateway.answer(create) == first
    assert outcome(api, signed(key, path="/filters/delete", body={"arn": "arn:1"})) == "200"
    # The answer of now would be that of a filter which is gone: clients sign it again.
    assert outcome(api, create) == "ThrottlingException"
    again = signed(key, path="/filters/create", body=body, at=NOW + timedelta(seconds=1))
    assert outcome(api, again) == "200"
    assert calls == ["CreateFilter", "DeleteFilter", "CreateFilter"]


def test_a_change_that_failed_is_not_made_again_with_its_signature(
    store: Store, key: IssuedKey
) -> None:
    def fail(*_: object) -> ApiResponse:
        raise StoreError("gone", where="here")

    api = rig(store, {**HANDLERS, "Enable": fail})
    write = signed(key, path="/enable", body={"resourceTypes": ["EC2"]})
    assert outcome(api, write) == "ServiceUnavailableException"
    assert outcome(api, write) == "ThrottlingException"
    again = signed(key, path="/enable", body={"resourceTypes": ["EC2"]},
                   at=NOW + timedelta(seconds=1))  # fmt: skip
    assert outcome(rig(store, HANDLERS), again) == "200"


def _authorization(request: HttpRequest) -> str:
    return request.values("authorization")[0]


def _with(request: HttpRequest, name: str, value: str | None) -> HttpRequest:
    """The request with another value of a header, or without it."""
    headers = [
        (key, old if key != name or value is None else value)
        for key, old in request.headers
        if key != name or value is not None
    ]
    return replace(request, headers=headers)


def _tampered(request: HttpRequest) -> dict[str, HttpRequest]:
    """Requests of which one part differs from the signed one."""
    found: dict[str, HttpRequest] = {
        "method": replace(request, method="PUT"),
        "method in lower case": replace(request, method="post"),
        "path": replace(request, path="/findings/lis"),
        "path with a query": replace(request, query="a=b"),
        "path to another operation": replace(request, path="/coverage/list"),
        "path encoded": replace(request, path="/findings%2Flist"),
        "body empty": replace(request, body=b""),
        "body longer": replace(request, body=request.body + b" "),
        "no authorization": _with(request, "authorization", None),
        "two authorizations": replace(
            request, headers=[*request.headers, ("authorization", _authorization(request))]
        ),
        "two hosts": replace(request, headers=[*request.headers, ("host", "evil.example")]),
        "an unsigned x-amz- header": replace(
            request, headers=[*request.headers, ("x-amz-target", "Inspector")]
        ),
        "an unsigned token": replace(
            request, headers=[*request.headers, ("x-amz-security-token", "t")]
        ),
        "two dates": replace(
            request, headers=[*request.headers, ("x-amz-date", "20261128T120000Z")]
        ),
    }
    for at in range(len(request.body)):
        changed = request.body[:at] + bytes([request.body[at] ^ 1]) + request.body[at + 1 :]
        found[f"body, byte {at}"] = replace(request, body=changed)
    for name in ("host", "content-type", "x-amz-date"):
        found[f"without {name}"] = _with(request, name, None)
        value = request.values(name)[0]
        found[f"another {name}"] = _with(request, name, value[:-1] + "x")
        found[f"a longer {name}"] = _with(request, name, value + "x")
    found |= _tampered_authorization(request)
    return found


def _tampered_authorization(request: HttpRequest) -> dict[str, HttpRequest]:
    value = _authorization(request)
    begin = value.rindex("=") + 1
    found = {}
    for at in range(begin, len(value)):
        digit = "0" if value[at] != "0" else "1"
        found[f"signature, digit {at - begin}"] = value[:at] + digit + value[at + 1 :]
    proof = value[begin:]
    words = {
        "signature empty": ("Signature=" + proof, "Signature="),
        "signature in upper case": (proof, proof.upper()),
        "signature cut": (proof, proof[:-1]),
        "signature longer": (proof, proof + "0"),
        "no signature": (", Signature=" + proof, ""),
        "another algorithm": (ALGORITHM, "AWS4-HMAC-SHA1"),
        "no algorithm": (ALGORITHM + " ", ""),
        "asymmetric algorithm": (ALGORITHM, "AWS4-ECDSA-P256-SHA256"),
        "another key": ("Credential=SLKA", "Credential=SLKB"),
        "a key of other characters": ("Credential=SLKA", "Credential=slka"),
        "no key": ("Credential=SLKA", "Credential=/"),
        "another day": ("/20261128/", "/20261127/"),
        "a day that is none": ("/20261128/", "/2026112/"),
        "another region": ("/eu-west-1/", "/eu-west-2/"),
        "no region": ("/eu-west-1/", "//"),
        "another service": ("/inspector2/", "/ec2/"),
        "another end": ("aws4_request", "aws5_request"),
        "no end": ("/aws4_request", ""),
        "a further part": ("/aws4_request", "/aws4_request/x"),
        "host not signed": ("host;", ""),
        "date not signed": (";x-amz-date", ""),
        "content type not signed": ("content-type;", ""),
        "headers not sorted": ("content-type;host", "host;content-type"),
        "a header twice": ("host;", "host;host;"),
        "a header that is not sent": ("host;", "host;nothing;"),
        "a header in upper case": ("host;", "Host;"),
        "an empty header": ("host;", "host;;"),
        "no headers": ("SignedHeaders=", "Signed="),
        "a field twice": ("SignedHeaders=", "SignedHeaders=host, SignedHeaders="),
        "another field": ("SignedHeaders=", "X=y, SignedHeaders="),
        "no commas": (", ", " "),
        "blanks within": ("Signature=", "Signature= "),
    }
    for name, (old, new) in words.items():
        assert old in value, name
        found[name] = value.replace(old, new, 1)
    return {name: _with(request, "authorization", text) for name, text in found.items()}


def test_each_of_more_than_a_hundred_tampered_requests_is_refused(
    api: ApiRig, key: IssuedKey
) -> None:
    tampered = _tampered(signed(key, body=BODY))
    assert len(tampered) > 120
    refused = {
        "InvalidSignatureException", "IncompleteSignatureException",
        "MissingAuthenticationTokenException", "UnrecognizedClientException",
        "UnknownOperationException",
    }  # fmt: skip
    outcomes = {name: outcome(api, request) for name, request in tampered.items()}
    assert {name: code for name, code in outcomes.items() if code not in refused} == {}


def _field(name: str, value: str) -> Callable[[str], str]:
    """Replace or remove a field of a query."""

    def change(query: str) -> str:
        kept = [part for part in query.split("&") if not part.startswith(f"{name}=")]
        return "&".join([*kept, *([f"{name}={value}"] if value else [])])

    return change


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (f"X-Amz-{name}", value)
        for name, values in {
            "Algorithm": ("", "AWS4-HMAC-SHA1"),
            "Credential": ("", "a/b", "SLKAAAAAAAAAAAAAAAAA%2F20261128%2Fx%2Fy%2Faws4_request"),
            "Date": ("", "20261128T120001Z", "now"),
            "Expires": ("", "0", "-1", "61", "1000000", "9" * 5000, "²"),
            "SignedHeaders": ("", "host%3Bhost", "content-type"),
            "Signature": ("", "0" * 64, "%00"),
            "Security-Token": ("t",),
            "Other": ("x",),
        }.items()
        for value in values
    ],
)  # fmt: skip
def test_a_presigned_request_with_another_field_is_refused(
    api: ApiRig, key: IssuedKey, name: str, value: str
) -> None:
    request = signed(key, "GET", TAGS, expires=60)
    changed = replace(request, query=_field(name, value)(request.query))
    assert outcome(api, changed).endswith("Exception")


def test_a_presigned_request_with_a_field_twice_or_a_header_too_is_refused(
    api: ApiRig, key: IssuedKey
) -> None:
    request = signed(key, "GET", TAGS, expires=60)
    twice = replace(request, query=f"{request.query}&X-Amz-Expires=60")
    assert outcome(api, twice) == "IncompleteSignatureException"
    header = signed(key, "GET", TAGS).values("authorization")[0]
    both = replace(request, headers=[*request.headers, ("authorization", header)])
    assert outcome(api, both) == "IncompleteSignatureException"
