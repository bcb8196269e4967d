"""AWS's own clients against a running server: boto3 for every operation, and the AWS CLI."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError

from dispatcher.api.protocol.operation import ROLES
from dispatcher.api.protocol.service import inspector2
from sidelight.fleet.settings import Settings
from sidelight.model import Role
from tests.fixtures.api_fuzzer import model_handlers
from tests.fixtures.api_requests import ACCOUNT, REGION, SEAL_TEXT, issued
from tests.fixtures.http_servers import served
from tests.fixtures.model_requests import ModelValues

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from botocore.client import BaseClient

    from dispatcher.api.call import ApiRequest, ApiResponse, Call, Handler
    from dispatcher.api.server import ApiServer
    from dispatcher.services.access_keys import IssuedKey
    from sidelight.store import Store

pytestmark = [pytest.mark.services, pytest.mark.enable_socket]

FEW = 3  # requests of each operation


@contextmanager
def api(
    store: Store, handlers: Mapping[str, Handler], host: str = "127.0.0.1", **values: object
) -> Iterator[ApiServer]:
    chosen = {"access_seal": SEAL_TEXT, "api_calls_per_second": 1e6, "api_burst": 10**6, **values}
    nowhere = Settings.of(broker_url="redis://127.0.0.1:1/0", **chosen)
    with served(store, nowhere, host, handlers) as server:
        yield server


def client(
    server: ApiServer, key: IssuedKey, *, checks: bool = True, tries: int = 1, verify: object = None
) -> BaseClient:
    config = Config(
        parameter_validation=checks,
        retries={"total_max_attempts": tries, "mode": "standard"},
        proxies={},
    )
    inspector: BaseClient = boto3.client(  # type: ignore[call-overload] # stubs of other services
        "inspector2", region_name=REGION, endpoint_url=server.url, config=config,
        aws_access_key_id=key.key.id, aws_secret_access_key=key.secret, verify=verify,
    )  # fmt: skip
    return inspector


def call(aws: BaseClient, name: str, arguments: object) -> dict[str, object]:
    assert isinstance(arguments, dict)
    answer: dict[str, object] = getattr(aws, xform_name(name))(**arguments)
    assert answer.pop("ResponseMetadata")
    return answer


def refused(aws: BaseClient, name: str, arguments: object) -> str:
    with pytest.raises(ClientError) as caught:
        call(aws, name, arguments)
    return str(caught.value.response["Error"]["Code"])


def test_boto3_calls_every_operation(store: Store) -> None:
    seen: dict[str, tuple[object, object]] = {}
    sent: set[tuple[str, str]] = set()

    def recording(name: str, handler: Handler) -> Handler:
        def handle(call: Call, request: ApiRequest) -> ApiResponse:
            response = handler(call, request)
            seen[name] = (request, response)
            return response

        return handle

    handlers = {name: recording(name, handler) for name, handler in model_handlers(5).items()}
    with api(store, handlers) as server:
        aws = client(server, issued(store))
        for name in ROLES:
            operation = inspector2().operations[name]
            for seed in range(FEW):
                values = ModelValues(inspector2(), Random(seed), times=True)
                arguments = values.valid(operation.input_shape) if operation.input_shape else {}
                if (name, repr(arguments)) in sent:
                    continue  # equal changes of one second have one answer
                sent.add((name, repr(arguments)))
                answer = call(aws, name, arguments)
                request, response = seen[name]
                assert isinstance(request, dict)
                assert isinstance(arguments, dict)
                # A client makes up its own idempotency token.
                assert {
                    k: v for k, v in request.items() if k != "clientToken" or k in arguments
                } == arguments
                assert in_utc(answer) == in_utc(response)


def in_utc(value: object) -> object:
    if isinstance(value, dict):
        return {key: in_utc(item) for key, item in value.items()}
    if isinstance(value, list):
        return [in_utc(item) for item in value]
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def test_boto3_raises_for_each_member_that_is_not_valid(store: Store) -> None:
    with api(store, model_handlers(5)) as server:
        aws, random = client(server, issued(store), checks=False), Random(7)
        codes: set[str] = set()
        for name in ROLES:
            shape_name = inspector2().operations[name].input_shape
            shape = inspector2().shape(shape_name) if shape_name else None
            for member, model in (shape.members if shape else {}).items():
                if model.location:
                    continue
                values = ModelValues(inspector2(), random)
                arguments = values.valid(shape_name)
                assert isinstance(arguments, dict)
                kind = inspector2().shape(model.shape).kind
                wrong: object = 5 if kind in {"string", "list", "structure", "map"} else [{}]
                # botocore writes what it is given where the shape has no members.
                codes.add(refused_raw(aws, name, {**arguments, member: wrong}))
        assert codes == {"ValidationException"}


def refused_raw(aws: BaseClient, name: str, arguments: dict[str, object]) -> str:
    """The error of a request whose body is written as it is, past botocore's serializer."""
    body = json.dumps(arguments).encode()

    def write(params: dict[str, object], **_: object) -> None:
        params["body"] = body

    events = aws.meta.events
    events.register(f"before-call.inspector2.{name}", write)
    try:
        valid = ModelValues(inspector2(), Random(1)).valid(
            inspector2().operations[name].input_shape
        )
        return refused(aws, name, valid)
    finally:
        events.unregister(f"before-call.inspector2.{name}", write)


def test_boto3_is_denied_by_role_and_throttled_by_rate(store: Store) -> None:
    reader = issued(store, Role.READER)
    with api(store, model_handlers(5)) as server:
        assert refused(client(server, reader), "Enable", {"resourceTypes": ["EC2"]}) == (
            "AccessDeniedException"
        )
        wrong = client(server, issued(store, name="bob"))
        wrong = client(server, type(reader)(reader.key, "x" * 40))
        assert refused(wrong, "ListFindings", {}) == "InvalidSignatureException"
    with api(store, model_handlers(5), api_calls_per_second=0.01, api_burst=2) as server:
        aws = client(server, reader)
        call(aws, "ListFindings", {})
        call(aws, "ListFindings", {})
        assert refused(aws, "ListFindings", {}) == "ThrottlingException"


def test_boto3_pages_with_its_paginator(store: Store) -> None:
    def filters(call: Call, request: ApiRequest) -> ApiResponse:
        token = request.get("nextToken")
        number = call.pages.unseal(token)["n"] if isinstance(token, str) else 0
        assert isinstance(number, int)
        rows = [{"accountId": f"{number + i:012}"} for i in range(2)]
        return {"members": rows, "nextToken": call.pages.seal({"n": number + 2})} if (
            number < 8
        ) else {"members": rows}  # fmt: skip

    with api(store, {"ListMembers": filters}) as server:
        pages = client(server, issued(store)).get_paginator("list_members").paginate()
        found = [row["accountId"] for page in pages for row in page["members"]]
    assert found == [f"{n:012}" for n in range(10)]


def test_a_url_that_boto3_presigned_is_read_without_a_key(store: Store) -> None:
    with api(store, {"ListTagsForResource": lambda *_: {"tags": {"a": "b"}}}) as server:
        arn = f"arn:aws:inspector2:{REGION}:{ACCOUNT}:owner/{ACCOUNT}/filter/0123456789abcdef"
        aws = client(server, issued(store))
        url = aws.generate_presigned_url(  # type: ignore[attr-defined] # every client has it
            "list_tags_for_resource", Params={"resourceArn": arn}, ExpiresIn=60
        )
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own server's
            assert json.load(answer) == {"tags": {"a": "b"}}
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(url + "&x=y", timeout=30)  # noqa: S310


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, signed by itself, and its key."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sidelight")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name)
        .public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False).sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )  # fmt: skip
    return folder / "cert.pem", folder / "key.pem"


def test_the_server_speaks_tls_with_its_certificate(store: Store, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    values = {"tls_certificate": str(cert), "tls_key": str(key)}
    with api(store, model_handlers(5), **values) as server:
        assert server.url.startswith("https://127.0.0.1:")
        call(client(server, issued(store), verify=str(cert)), "ListFindings", {})


def get(server: ApiServer, path: str, *authorization: str) -> int:
    port = server.server_address[1]
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    if authorization:
        request.add_header("Authorization", authorization[0])
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def page(server: ApiServer, path: str) -> str:
    """Return the path of the page that a browser without a session comes to."""
    url = f"http://127.0.0.1:{server.server_address[1]}{path}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        return urlsplit(str(answer.url)).path


def basic(key_id: str, secret: str) -> str:
    import base64

    return "Basic " + base64.b64encode(f"{key_id}:{secret}".encode()).decode()


def test_beyond_loopback_pages_need_a_key_of_the_fleet(store: Store) -> None:
    whole = issued(store, Role.READER, accounts=None)
    own = issued(store, Role.ADMINISTRATOR, name="own")
    with api(store, {}, host="0.0.0.0") as server:  # noqa: S104 - that is the subject
        assert get(server, "/healthz") == 200
        assert get(server, "/readyz") == 200
        assert page(server, "/") == "/login"
        for path in ("/api/v1/costs", "/api/v1/coverage", "/metrics"):
            assert get(server, path) == 401
            assert get(server, path, basic(whole.key.id, "x")) == 401
            assert get(server, path, basic("é", "ü")) == 401
            assert get(server, path, basic(own.key.id, own.secret)) == 401
        assert get(server, "/api/v1/costs", basic(whole.key.id, whole.secret)) == 200
        assert get(server, "/api/v1/costs", "Basic !") == 401
    with api(store, {}, host="0.0.0.0", open_metrics=True) as server:  # noqa: S104
        assert get(server, "/metrics") == 200
        assert get(server, "/api/v1/costs") == 401


@pytest.fixture(scope="module")
def aws_cli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The AWS CLI of PyPI, in an environment of its own."""
    home = tmp_path_factory.mktemp("awscli")
    for command in (
        [sys.executable, "-m", "venv", str(home)],
        [str(home / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", "awscli"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
        if done.returncode:
            pytest.skip(f"the AWS CLI cannot be installed: {done.stderr[-200:]}")
    return home / "bin/aws"


@pytest.mark.long
def test_the_aws_cli_calls_the_main_operations(store: Store, aws_cli: Path, tmp_path: Path) -> None:
    key = issued(store)

    def run(server: ApiServer, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "AWS_ACCESS_KEY_ID": key.key.id, "AWS_SECRET_ACCESS_KEY": key.secret,
            "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL_INSPECTOR2": server.url.rstrip("/"),
            "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "HOME": str(tmp_path), "PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1",
        }  # fmt: skip
        return subprocess.run(
            [str(aws_cli), "inspector2", *words, "--output", "json"],
            env=environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    handlers = {
        **model_handlers(5),
        "ListFindings": lambda *_: {"findings": []},
        "ListMembers": lambda *_: {"members": [{"accountId": ACCOUNT}]},
        "Enable": lambda *_: {"accounts": []},
        "ListTagsForResource": lambda *_: {"tags": {"team": "web"}},
    }
    arn = f"arn:aws:inspector2:{REGION}:{ACCOUNT}:owner/{ACCOUNT}/filter/0123456789abcdef"
    with api(store, handlers) as server:
        for words, expected in (
            (["list-findings"], {"findings": []}),
            (["list-members"], {"members": [{"accountId": ACCOUNT}]}),
            (["enable", "--resource-types", "EC2"], {"accounts": []}),
            (["list-tags-for-resource", "--resource-arn", arn], {"tags": {"team": "web"}}),
        ):
            done = run(server, *words)
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout) == expected
        for words in (["batch-get-account-status"], ["list-coverage", "--max-items", "1"],
                      ["get-configuration"], ["list-filters"], ["list-usage-totals"]):  # fmt: skip
            assert run(server, *words).returncode == 0
        done = run(server, "list-cis-scans")
        assert "(ValidationException)" in done.stderr
        assert "ListCisScans" in done.stderr
