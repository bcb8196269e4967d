"""Messages to Amazon EventBridge and SNS, in order, at least once.

Both take up to ten entries a call, of 256 KiB together (EventBridge's PutEvents, SNS's
PublishBatch), and may refuse some of them. Those are sent again; what is refused still is where
`send` ends, so that the caller goes on from there. Neither keeps the order of messages, but for a
FIFO topic within a message group: each message has an id, by which who receives it twice knows.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from sidelight.aws.session import translate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sidelight.aws.session import Session

ENTRIES = 10
BYTES = 256 * 1024
# Of one message's text; what comes beside it in an entry is a few hundred bytes.
MESSAGE_BYTES = 250_000
ATTEMPTS = 4
_TIME_BYTES = 14  # what EventBridge counts for an entry's time


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent. `text` is JSON; `group` is what a FIFO topic keeps in order."""

    id: str
    group: str
    at: datetime
    source: str
    kind: str
    resources: Sequence[str]
    text: str
    attributes: Mapping[str, str] = field(default_factory=dict)


class Sent(NamedTuple):
    """How many of the messages, from the first on, have arrived, and why no more."""

    arrived: int
    refused: str = ""


class _Target(ABC):
    """Where messages go, by name or ARN."""

    service: str

    def __init__(
        self, session: Session, where: str, *, pause: Callable[[float], object] = time.sleep
    ) -> None:
        self._session = session
        self._where = where
        self._pause = pause

    def send(self, messages: Sequence[Message]) -> Sent:
        """Raises AccessDeniedError, CloudError where a call fails as a whole."""
        client = self._session.client(self.service, region=_region(self._where))

        def call(entries: Sequence[Any]) -> dict[int, str]:
            try:
                return self._call(client, entries)
            except (ClientError, BotoCoreError, OSError) as error:
                raise translate(error, where=self._where) from error

        return _send([self._entry(message) for message in messages], call, self._pause)

    @abstractmethod
    def _entry(self, message: Message) -> _Entry:
        """As the API takes it."""

    @abstractmethod
    def _call(self, client: Any, entries: Sequence[Any]) -> dict[int, str]:
        """One call: what it refused, by place, and why."""


class EventBridge(_Target):
    """An event bus, by name or ARN. Needs events:PutEvents on it."""

    service = "events"
    whole = False  # an entry's text is the detail alone

    def _entry(self, message: Message) -> _Entry:
        entry = {
            "Time": message.at,
            "Source": message.source,
            "DetailType": message.kind,
            "Resources": list(message.resources),
            "Detail": message.text,
            "EventBusName": self._where,
        }
        texts = (message.source, message.kind, message.text, *message.resources)
        return entry, _TIME_BYTES + _bytes(*texts), ""

    def _call(self, client: Any, entries: Sequence[Any]) -> dict[int, str]:
        answer = client.put_events(Entries=list(entries))
        return {
            number: f"{one['ErrorCode']}: {one.get('ErrorMessage', '')}"
            for number, one in enumerate(answer["Entries"])
            if one.get("ErrorCode")
        }


class Topic(_Target):
    """An SNS topic, by ARN. Needs sns:Publish on it.

    On a FIFO topic, whose name ends in .fifo, a group's messages keep their order, and one that is
    sent twice within five minutes arrives once: so a call takes one message of a group.
    """

    service = "sns"
    whole = True  # a message's text is the whole event

    def _entry(self, message: Message) -> _Entry:
        attributes = {
            name: {"DataType": "String", "StringValue": value}
            for name, value in message.attributes.items()
        }
        entry: dict[str, Any] = {"Message": message.text, "MessageAttributes": attributes}
        fifo = self._where.endswith(".fifo")
        if fifo:
            entry |= {"MessageGroupId": message.group, "MessageDeduplicationId": message.id}
        words = [word for pair in message.attributes.items() for word in (*pair, "String")]
        return entry, _bytes(message.text, *words), message.group if fifo else ""

    def _call(self, client: Any, entries: Sequence[Any]) -> dict[int, str]:
        numbered = [entry | {"Id": str(number)} for number, entry in enumerate(entries)]
        answer = client.publish_batch(TopicArn=self._where, PublishBatchRequestEntries=numbered)
        return {
            int(one["Id"]): f"{one['Code']}: {one.get('Message', '')}"
            for one in answer.get("Failed", ())
        }


# What the API takes, its bytes as the API counts them, and of which group only one goes in a call.
_Entry = tuple[dict[str, Any], int, str]


def _send(
    entries: Sequence[_Entry],
    call: Callable[[Sequence[Any]], dict[int, str]],
    pause: Callable[[float], object],
) -> Sent:
    count = 0
    for batch in _batches(entries):
        left = dict(enumerate(batch))
        for attempt in range(ATTEMPTS):
            if attempt:
                pause(0.2 * 2**attempt)
            places = list(left)
            refused = call([left[place] for place in places])
            left = {places[number]: left[places[number]] for number in sorted(refused)}
            if not left:
                break
        else:
            return Sent(count + min(left), refused[min(refused)])
        count += len(batch)
    return Sent(count)


def _batches(entries: Sequence[_Entry]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size, groups = 0, set[str]()
    for entry, weight, group in entries:
        full = len(batch) == ENTRIES or size + weight > BYTES
        if batch and (full or group in groups):
            yield batch
            batch, size, groups = [], 0, set()
        batch.append(entry)
        size += weight
        if group:
            groups.add(group)
    if batch:
        yield batch


def _bytes(*texts: str) -> int:
    return sum(len(text.encode()) for text in texts)


def _region(arn: str) -> str | None:
    """An ARN's own region; of a name, the environment's."""
    parts = arn.split(":")
    return parts[3] if len(parts) > 5 else None
