"""BatchImportFindings: batches, newest states, each refusal, and what a real client accepts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from moto import mock_aws

from sidelight.aws.events import Message
from sidelight.aws.security_hub import ATTEMPTS, BYTES, ENTRIES, SecurityHub
from sidelight.errors import UsageError
from sidelight.model import FindingStatus
from sidelight.report.formats.asff import asff_document, asff_text
from tests.fakes.scripted_aws import refused
from tests.fakes.security_hubs import Hub
from tests.fixtures.described_findings import CVE, WEB, row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.aws.session import Session

ONE, TWO, REGION = "1" * 12, "2" * 12, "eu-west-1"


def message(name: str, account: str = ONE, *, at: int = 0, size: int = 0) -> Message:
    document = {
        "Id": name, "AwsAccountId": account, "UpdatedAt": f"{at:09}", "Workflow": {"Status": "NEW"},
        "Title": "x" * size,
    }  # fmt: skip
    return Message(
        id=name, group=name, at=datetime(2026, 1, 1, tzinfo=UTC), source="sidelight", kind="",
        resources=(), text=json.dumps(document), attributes={"account": account, "region": REGION},
    )  # fmt: skip


def target(hub: Hub, scope: str = "") -> SecurityHub:
    found = SecurityHub.named(cast("Session", hub), scope)
    found._pause = lambda _: None
    return found


def test_a_batch_has_at_most_100_findings_and_240_kb_of_one_account() -> None:
    hub = Hub()
    many = [message(f"f{n}", (ONE, TWO)[n % 2]) for n in range(300)]
    large = [message(f"g{n}", size=BYTES // 3) for n in range(7)]
    assert target(hub).send([*many, *large]).arrived == 307
    assert all(len(findings) <= ENTRIES for _, findings in hub.calls)
    assert all(len(json.dumps(findings)) <= BYTES + 10_000 for _, findings in hub.calls)
    assert len(hub.kept) == 307
    assert {account for account, _ in hub.calls} == {ONE, TWO}


def test_the_newest_state_of_a_finding_is_sent_once_and_without_a_workflow() -> None:
    hub = Hub()
    assert target(hub).send([message("a", at=1), message("b"), message("a", at=2)]).arrived == 3
    ((_, findings),) = hub.calls
    assert [(item["Id"], item["UpdatedAt"]) for item in findings] == [
        ("a", "000000002"), ("b", "000000000"),
    ]  # fmt: skip
    assert not any("Workflow" in item for item in findings)


def test_what_is_sent_again_changes_nothing() -> None:
    hub = Hub()
    messages = [message("a", at=1), message("a", at=2)]
    target(hub).send(messages)
    kept = dict(hub.kept)
    target(hub).send(messages[:1])
    target(hub).send(messages)
    assert hub.kept == kept


def test_a_refused_finding_alone_is_sent_again() -> None:
    hub = Hub(lambda name: "InternalFailure" if name == "b" else "")
    assert target(hub).send([message("a"), message("b"), message("c")]).arrived == 3
    assert [[item["Id"] for item in findings] for _, findings in hub.calls] == [
        ["a", "b", "c"],
        ["b"],
    ]
    assert set(hub.kept) == {"a", "b", "c"}


def test_a_finding_that_stays_refused_is_named_and_the_others_arrive() -> None:
    hub = Hub(*[lambda name: "InvalidInput" if name == "b" else ""] * ATTEMPTS)
    sent = target(hub).send([message("a"), message("b"), message("c"), message("b", at=1)])
    assert sent.arrived == 1, "the oldest message of the refused finding is the next one"
    assert sent.refused == "InvalidInput: no"
    assert set(hub.kept) == {"a", "c"}
    assert len(hub.calls) == ATTEMPTS


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (refused("InvalidAccessException", status=401), "Security Hub is not enabled"),
        (refused("AccessDeniedException", status=403), "AccessDeniedException"),
        (refused("LimitExceededException", status=429), "LimitExceededException"),
        (refused("InternalException", status=500), "InternalException"),
    ],
)
def test_one_accounts_refusal_does_not_keep_the_others_from_arriving(
    error: Exception, text: str
) -> None:
    hub = Hub()
    hub.denied[ONE] = error
    sent = target(hub).send([message("a", TWO), message("b", ONE), message("c", TWO)])
    assert sent.arrived == 1
    assert text in sent.refused
    assert f"securityhub {ONE}/{REGION}" in sent.refused
    assert set(hub.kept) == {"a", "c"}


def test_a_failure_without_a_name_is_not_taken_for_success() -> None:
    class Silent(Hub):
        def batch_import_findings(self, *, Findings: Sequence[Any]) -> dict[str, Any]:  # noqa: N803
            del Findings
            return {"FailedCount": 1, "SuccessCount": 0}

    sent = target(Silent()).send([message("a")])
    assert sent.arrived == 0
    assert "none is named" in sent.refused


def test_a_failure_that_is_not_named_beside_one_that_is_holds_the_target() -> None:
    class Half(Hub):
        def batch_import_findings(self, *, Findings: Sequence[Any]) -> dict[str, Any]:  # noqa: N803
            named = {"Id": Findings[0]["Id"], "ErrorCode": "InternalError", "ErrorMessage": "x"}
            return {"FailedCount": 2, "SuccessCount": 0, "FailedFindings": [named]}

    sent = target(Half()).send([message("a"), message("b")])
    assert (sent.arrived, "1 is named" in sent.refused) == (0, True)


def test_a_scope_lets_other_accounts_messages_pass() -> None:
    hub = Hub()
    assert target(hub, f"{ONE}/{REGION}").send([message("a"), message("b", TWO)]).arrived == 2
    assert set(hub.kept) == {"a"}
    assert target(hub, f"{ONE}/us-east-1").send([message("c")]).arrived == 1
    assert set(hub.kept) == {"a"}
    for wrong in ("1", f"{ONE}/", "eu-west-1", f"{ONE}/EU"):
        with pytest.raises(UsageError, match="securityhub:ACCOUNT"):
            SecurityHub.named(cast("Session", hub), wrong)


class OwnAccount:
    """A session whose every account is moto's."""

    def client(self, service: str, *, account: str, region: str) -> Any:
        del account
        return boto3.client(service, region_name=region)  # type: ignore[call-overload]


def test_a_real_client_sends_and_updates_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    hub = SecurityHub(cast("Session", OwnAccount()))

    def send(status: FindingStatus) -> None:
        text = asff_text(asff_document(row(CVE, status), WEB))
        assert hub.send([Message("1", "", WEB.launched_at or datetime.now(UTC), "", "", (), text,
                                 {"account": ONE, "region": REGION})]).arrived == 1  # fmt: skip

    with mock_aws():
        client = boto3.client("securityhub", region_name=REGION)
        client.enable_security_hub()
        send(FindingStatus.ACTIVE)
        send(FindingStatus.CLOSED)
        (finding,) = client.get_findings()["Findings"]
    assert finding["RecordState"] == "ARCHIVED"
    assert finding["Vulnerabilities"][0]["Id"] == "CVE-2026-1"
