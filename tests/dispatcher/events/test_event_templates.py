"""Templates print JSON whose structure no text of a machine can change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.events.event_templates import OUTPUT_LIMIT, EventTemplate
from dispatcher.events.webhook import Webhook, WebhookOptions, webhook_of
from sidelight.aws.events import Message
from sidelight.download.event_posts import PostAnswer
from sidelight.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HOSTILE = (
    '"}],"admin":true,"x":[{"y":"\\\x1b[2J\u202e<!channel> <https://evil.example|fix> {code} ü'
)


def event(**detail: Any) -> dict[str, Any]:
    known = {
        "severity": "CRITICAL", "title": "CVE-2026-1 - openssl", "status": "ACTIVE",
        "description": "A fault.", "findingArn": "arn:aws:sidelight:eu-west-1:1:finding/abc",
        "sidelight": {"event": "OPENED"}, "fixAvailable": "YES", "exploitAvailable": "NO",
        "remediation": {"recommendation": {"text": "apt-get install openssl"}},
    }  # fmt: skip
    return {
        "id": "7", "detail-type": "Inspector2 Finding", "account": "123456789012",
        "region": "eu-west-1", "resources": ["i-1"], "detail": known | detail,
    }  # fmt: skip


def rendered(name: str, document: dict[str, Any]) -> Any:
    text = EventTemplate.built_in(name).render(document, project="SEC")
    return json.loads(text) if text else None


def shape(value: Any) -> Any:
    """Return a document's structure, without its texts."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    return [shape(item) for item in value] if isinstance(value, list) else type(value).__name__


@pytest.mark.parametrize("name", ["slack", "jira"])
def test_hostile_texts_stay_texts(name: str) -> None:
    usual = rendered(name, event())
    hostile = rendered(
        name,
        event(
            title=HOSTILE, description=HOSTILE * 100, findingArn=f"a/{HOSTILE}",
            remediation={"recommendation": {"text": HOSTILE}},
        ),
    )  # fmt: skip
    assert shape(hostile) == shape(usual)
    text = json.dumps(hostile, ensure_ascii=False)
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_a_slack_message_has_no_mention_and_fits() -> None:
    message = rendered("slack", event(title=HOSTILE))
    assert "<" not in message["text"]
    assert "&lt;!channel&gt;" in message["text"]
    header, fields, description, context = message["blocks"]
    assert len(header["text"]["text"]) <= 150
    assert {item["type"] for item in fields["fields"]} == {"plain_text"}
    assert len(description["text"]["text"]) <= 3000
    assert context["elements"][0]["text"].startswith("arn:")


def test_an_issue_has_project_label_and_a_document_of_plain_paragraphs() -> None:
    fields = rendered("jira", event())["fields"]
    assert fields["project"] == {"key": "SEC"}
    assert fields["labels"] == ["sidelight", "abc"]
    assert fields["summary"] == "CRITICAL: CVE-2026-1 - openssl on i-1"
    assert {node["type"] for node in fields["description"]["content"]} == {"paragraph"}


@pytest.mark.parametrize("name", ["slack", "jira"])
@pytest.mark.parametrize(
    "detail", [{"severity": "LOW"}, {"status": "CLOSED"}, {"sidelight": {"event": "UPDATED"}}]
)
def test_what_needs_nobody_is_passed_over(name: str, detail: dict[str, Any]) -> None:
    assert rendered(name, event(**detail)) is None


def test_an_instance_that_is_no_longer_scanned_is_a_message() -> None:
    coverage = event() | {"detail-type": "Inspector2 Coverage"}
    coverage["detail"] = {
        "scanStatus": {"statusCodeValue": "INACTIVE", "reason": "EC2_INSTANCE_STOPPED"},
        "scanType": "PACKAGE",
    }
    assert "Not scanned: i-1 (PACKAGE), EC2_INSTANCE_STOPPED" in rendered("slack", coverage)["text"]
    assert rendered("jira", coverage) is None
    coverage["detail"]["scanStatus"]["statusCodeValue"] = "ACTIVE"
    assert rendered("slack", coverage) is None


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{{ detail.nothing }}", "UndefinedError"),
        ("{{ detail.__class__.__mro__ }}", "SecurityError"),
        ("{{ ''.__class__ }}", "SecurityError"),
        ("{% set x = event.update({}) %}", "SecurityError"),
        ("{% for n in range(10**9) %}x{% endfor %}", "OverflowError"),
        ("{% for n in range(99999) %}" + "x" * 20 + "{% endfor %}", str(OUTPUT_LIMIT)),
        ("{", "not JSON"),
        ("{% include '/etc/passwd' %}", "TypeError|TemplateNotFound"),
    ],
)
def test_a_template_that_fails_says_where(source: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        EventTemplate("own.j2", source).render(event())
    assert "own.j2" in str(caught.value)


def test_a_template_of_ones_own_writes_the_body(tmp_path: Path) -> None:
    path = tmp_path / "own.j2"
    path.write_text('{"whole": {{ event | tojson }}, "title": "{{ detail.title }}"}')
    document = json.loads(EventTemplate.of_file(path).render(event(title=HOSTILE)))
    assert document == {"whole": event(title=HOSTILE), "title": HOSTILE}
    path.write_text("{% if %}")
    with pytest.raises(UsageError, match="line 1"):
        EventTemplate.of_file(path)
    path.write_bytes(b"x" * 100_000)
    with pytest.raises(UsageError, match="longer than"):
        EventTemplate.of_file(path)


class Calls:
    where = "https://receiver.example"

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def post(self, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
        assert headers["Content-Type"] == "application/json"
        self.bodies.append(body)
        return PostAnswer(201, b"")


def test_an_event_that_is_passed_over_counts_as_sent() -> None:
    calls = Calls()
    sink = Webhook(calls, template=EventTemplate.built_in("slack"))
    texts = [json.dumps(event(severity=grade)) for grade in ("LOW", "HIGH")]
    messages = [
        Message("1", "g", None, "sidelight", "kind", [], text)  # type: ignore[arg-type]
        for text in texts
    ]
    assert sink.send(messages).arrived == 2
    assert len(calls.bodies) == 1


def test_jira_needs_a_project_and_a_login() -> None:
    url = "https://example.atlassian.net/rest/api/3/issue"
    with pytest.raises(UsageError, match="SIDELIGHT_JIRA_PROJECT"):
        webhook_of("jira", url, WebhookOptions(jira_project="SEC"))
    webhook_of("jira", url, WebhookOptions(jira_project="SEC", jira_login="a@example.com:token"))


@pytest.mark.parametrize("text", ["{{ 9 ** (9 ** 9) }}", "{{ 1|round(10 ** 9, 'ceil') }}"])
def test_a_template_does_not_stop_other_threads_by_one_operation(text: str) -> None:
    with pytest.raises(UsageError, match="OverflowError"):
        EventTemplate("t", text).render(event())
