"""Messages to EventBridge and SNS: limits, partial failures, order; moto is the other side."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from sidelight.aws.events import ATTEMPTS, BYTES, MESSAGE_BYTES, EventBridge, Message, Sent, Topic
from sidelight.aws.session import Session
from sidelight.errors import AccessDeniedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

REGION = "eu-west-1"
AT = datetime(2026, 1, 1, tzinfo=UTC)
FIFO = f"arn:aws:sns:{REGION}:123456789012:findings.fifo"


def message(number: int, group: str = "g", size: int = 0) -> Message:
    text = json.dumps({"number": number, "pad": "x" * size})
    return Message(
        f"ours-{number}", group, AT, "sidelight", "Inspector2 Finding", ("i-1",), text,
        {"severity": "HIGH"},
    )  # fmt: skip


class Wire:
    """A boto3 client of either service, and the session that makes it.

    `refuse(call number, entry's text)` says whether an entry is refused.
    """

    def __init__(self, refuse: Callable[[int, str], bool] = lambda _call, _text: False) -> None:
        self.calls: list[list[str]] = []
        self.entries: list[Any] = []
        self.pauses: list[float] = []
        self._refuse = refuse

    def client(self, service: str, *, region: str | None) -> Any:
        del service, region
        return self

    def put_events(self, Entries: list[Any]) -> Any:  # noqa: N803 - boto3's
        failed = self._take([entry["Detail"] for entry in Entries], Entries)
        return {
            "FailedEntryCount": len(failed),
            "Entries": [
                {"ErrorCode": "InternalFailure", "ErrorMessage": "busy"}
                if place in failed
                else {"EventId": "e"}
                for place in range(len(Entries))
            ],
        }

    def publish_batch(self, TopicArn: str, PublishBatchRequestEntries: list[Any]) -> Any:  # noqa: N803 - boto3's
        del TopicArn
        entries = PublishBatchRequestEntries
        assert len({entry["Id"] for entry in entries}) == len(entries)
        failed = self._take([entry["Message"] for entry in entries], entries)
        return {
            "Successful": [
                {"Id": entry["Id"]} for place, entry in enumerate(entries) if place not in failed
            ],
            "Failed": [
                {"Id": entries[place]["Id"], "Code": "InternalError", "SenderFault": False}
                for place in failed
            ],
        }

    def _take(self, texts: list[str], entries: list[Any]) -> list[int]:
        self.calls.append([str(json.loads(text)["number"]) for text in texts])
        self.entries += entries
        return [
            place for place, text in enumerate(texts) if self._refuse(len(self.calls), text)
        ]  # fmt: skip

    @property
    def arrived(self) -> list[str]:
        return [number for call in self.calls for number in call]


def sinks(wire: Any) -> list[EventBridge | Topic]:
    arn = f"arn:aws:sns:{REGION}:123456789012:findings"
    pause = wire.pauses.append
    return [EventBridge(wire, "b", pause=pause), Topic(wire, arn, pause=pause)]


@pytest.mark.parametrize("which", [0, 1])
def test_a_call_takes_ten_and_no_more_than_256_kib_in_order(which: int) -> None:
    wire = Wire()
    assert sinks(wire)[which].send([message(n) for n in range(23)]) == Sent(23)
    assert [len(call) for call in wire.calls] == [10, 10, 3]
    assert wire.arrived == [str(n) for n in range(23)]
    wire = Wire()
    most = [message(n, size=MESSAGE_BYTES - 50) for n in range(3)]
    assert sinks(wire)[which].send(most).arrived == 3
    assert [len(call) for call in wire.calls] == [1, 1, 1]
    wire = Wire()
    sinks(wire)[which].send([message(n, size=BYTES // 4) for n in range(8)])
    assert [len(call) for call in wire.calls] == [3, 3, 2]
    assert wire.pauses == []


@pytest.mark.parametrize("which", [0, 1])
def test_what_is_refused_is_sent_again_and_nothing_else(which: int) -> None:
    wire = Wire(lambda call, text: call <= 2 and '"number": 1,' in text)
    assert sinks(wire)[which].send([message(n) for n in range(3)]) == Sent(3)
    assert wire.calls == [["0", "1", "2"], ["1"], ["1"]]
    assert wire.pauses == sorted(wire.pauses)
    assert len(wire.pauses) == 2


@pytest.mark.parametrize("which", [0, 1])
def test_what_is_refused_for_good_is_where_it_ends(which: int) -> None:
    wire = Wire(lambda _call, text: '"number": 11,' in text or '"number": 13,' in text)
    sent = sinks(wire)[which].send([message(n) for n in range(30)])
    assert sent.arrived == 11
    assert "Internal" in sent.refused
    assert len(wire.calls) == 1 + ATTEMPTS
    assert "20" not in wire.arrived, "nothing is sent past it"


def test_a_fifo_topic_gets_one_message_of_a_group_in_a_call() -> None:
    wire: Any = Wire()
    groups = ["a", "b", "a", "c", "c"]
    Topic(wire, FIFO).send([message(n, group) for n, group in enumerate(groups)])
    assert wire.calls == [["0", "1"], ["2", "3"], ["4"]]
    ids = [(e["MessageGroupId"], e["MessageDeduplicationId"]) for e in wire.entries]
    assert ids == [(group, f"ours-{n}") for n, group in enumerate(groups)]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield


def queue() -> tuple[Any, str, str]:
    sqs = boto3.client("sqs", region_name=REGION)
    url = sqs.create_queue(QueueName="listener")["QueueUrl"]
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return sqs, url, answer["Attributes"]["QueueArn"]


def bodies(sqs: Any, url: str) -> list[Any]:
    found: list[Any] = []
    while answer := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [json.loads(one["Body"]) for one in answer]
    return found


MESSAGES: Sequence[Message] = [message(n) for n in range(12)]


@pytest.mark.slow
@pytest.mark.usefixtures("aws")
def test_a_rule_on_the_bus_gets_the_events() -> None:
    sqs, url, arn = queue()
    events = boto3.client("events", region_name=REGION)
    bus = events.create_event_bus(Name="findings")["EventBusArn"]
    pattern = json.dumps({"source": ["sidelight"], "detail-type": ["Inspector2 Finding"]})
    events.put_rule(Name="all", EventPattern=pattern, EventBusName="findings")
    events.put_targets(Rule="all", EventBusName="findings", Targets=[{"Id": "q", "Arn": arn}])
    assert EventBridge(Session(), "findings").send(MESSAGES).arrived == 12
    assert EventBridge(Session(), bus).send(MESSAGES[:1]).arrived == 1
    received = bodies(sqs, url)
    assert [one["detail"]["number"] for one in received] == [*range(12), 0]
    assert received[0]["resources"] == ["i-1"]


@pytest.mark.usefixtures("aws")
def test_a_subscriber_of_the_topic_gets_the_events() -> None:
    sqs, url, arn = queue()
    sns = boto3.client("sns", region_name=REGION)
    topic = sns.create_topic(Name="findings")["TopicArn"]
    sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn,
        Attributes={"RawMessageDelivery": "true"},
    )  # fmt: skip
    assert Topic(Session(), topic).send(MESSAGES).arrived == 12
    assert [one["number"] for one in bodies(sqs, url)] == list(range(12))


def test_a_refused_call_is_one_of_our_errors() -> None:
    class Refusing(Wire):
        def put_events(self, Entries: list[Any]) -> Any:  # noqa: N803 - boto3's
            del Entries
            error: Any = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}
            raise ClientError(error, "PutEvents")

    wire: Any = Refusing()
    with pytest.raises(AccessDeniedError, match="findings"):
        EventBridge(wire, "findings").send(MESSAGES)


@pytest.mark.parametrize("which", [0, 1])
def test_an_entry_that_the_answer_leaves_out_has_not_arrived(which: int) -> None:
    class Short(Wire):
        """Each answer ends before its last entry."""

        def put_events(self, Entries: list[Any]) -> Any:  # noqa: N803 - boto3's
            answer = super().put_events(Entries)
            return answer | {"Entries": answer["Entries"][:-1]}

        def publish_batch(self, TopicArn: str, PublishBatchRequestEntries: list[Any]) -> Any:  # noqa: N803 - boto3's
            answer = super().publish_batch(TopicArn, PublishBatchRequestEntries)
            return answer | {"Successful": answer["Successful"][:-1]}

    wire = Short()
    sent = sinks(wire)[which].send([message(n) for n in range(3)])
    assert (sent.arrived, sent.refused) == (2, "the answer leaves it out")
    assert wire.calls == [["0", "1", "2"], *[["2"]] * (ATTEMPTS - 1)]
