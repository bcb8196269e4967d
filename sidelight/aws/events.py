"""Messages to Amazon EventBridge and SNS, in order, at least once.

Both accept up to ten entries a call, of 256 KiB together (EventBridge's PutEvents, SNS's
PublishBatch), and may refuse some of them. Refused entries are sent again. `send` stops at an entry
that is still refused, so that the caller continues from there. Neither service keeps the order of
messages; only a FIFO topic does, within a message group. Each message has an id, by which a
consumer recognizes a duplicate.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from sidelight.aws.answers import required
from sidelight.aws.faults import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sidelight.aws.session import Session

ENTRIES = 10
BYTES = 256 * 1024
# The most bytes of a message's text; the rest of an entry is a few hundred bytes.
MESSAGE_BYTES = 250_000
ATTEMPTS = 4
# An entry has arrived only where the answer says so: what it leaves out is sent again.
_UNANSWERED = "the answer leaves it out"
_TIME_BYTES = 14  # the bytes that EventBridge counts for an entry's time


@dataclass(frozen=True, slots=True)
class Message:
    """A message to send. `text` is JSON; a FIFO topic keeps the order within a `group`."""

    id: str
    group: str
    at: datetime
    source: str
    kind: str
    resources: Sequence[str]
    text: str
    attributes: Mapping[str, str] = field(default_factory=dict)


class Sent(NamedTuple):
    """The number of messages that arrived, from the first on, and why the next was refused.

    `retry_after`: seconds that the target wants not to be called for.
    """

    arrived: int
    refused: str = ""
    retry_after: float = 0.0


class _Target(ABC):
    """A target of messages, by name or ARN."""

    service: str

    def __init__(
        self, session: Session, where: str, *, pause: Callable[[float], object] = time.sleep
    ) -> None:
        self._session = session
        self._where = where
        self._pause = pause

    def send(self, messages: Sequence[Message]) -> Sent:
        """Send in order. Raises AccessDeniedError, CloudError where a call fails as a whole."""
        client = self._session.client(self.service, region=_region(self._where))

        def call(entries: Sequence[Any]) -> dict[int, str]:
            with translated(self._where):
                return self._call(client, entries)

        return _send([self._entry(message) for message in messages], call, self._pause)

    @abstractmethod
    def _entry(self, message: Message) -> _Entry:
        """Return the message in the API's form."""

    @abstractmethod
    def _call(self, client: Any, entries: Sequence[Any]) -> dict[int, str]:
        """Make one call; return the refused entries, by index, and why."""


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
        results = required(answer.get("Entries"), "Entries", self._where)
        refused = dict.fromkeys(range(len(results), len(entries)), _UNANSWERED)
        for number, item in enumerate(results):
            if item.get("ErrorCode"):
                refused[number] = f"{item['ErrorCode']}: {item.get('ErrorMessage', '')}"
        return refused


class Topic(_Target):
    """An SNS topic, by ARN. Needs sns:Publish on it.

    On a FIFO topic, whose name ends in .fifo, a group's messages keep their order, and a message
    that is sent twice within five minutes arrives once. So a call takes one message of a group.
    """

    service = "sns"
    whole = True  # a message's text is the whole event

    def _entry(self, message: Message) -> _Entry:
        attributes = {
            name: {"DataType": "String", "StringValue": value}
            for name, value in message.attributes.items()
        }
        entry: dict[str, object] = {"Message": message.text, "MessageAttributes": attributes}
        fifo = self._where.endswith(".fifo")
        if fifo:
            entry |= {"MessageGroupId": message.group, "MessageDeduplicationId": message.id}
        words = [word for pair in message.attributes.items() for word in (*pair, "String")]
        return entry, _bytes(message.text, *words), message.group if fifo else ""

    def _call(self, client: Any, entries: Sequence[Any]) -> dict[int, str]:
        numbered = [entry | {"Id": str(number)} for number, entry in enumerate(entries)]
        answer = client.publish_batch(TopicArn=self._where, PublishBatchRequestEntries=numbered)
        taken = {item.get("Id") for item in answer.get("Successful", ())}
        refused = {
            number: _UNANSWERED for number in range(len(entries)) if str(number) not in taken
        }
        for item in answer.get("Failed", ()):
            number = int(required(item.get("Id"), "Id", self._where))
            refused[number] = f"{item.get('Code', '')}: {item.get('Message', '')}"
        return refused


# The entry in the API's form, its bytes as the API counts them, and its group (one per call).
_Entry = tuple[dict[str, object], int, str]


def _send(
    entries: Sequence[_Entry],
    call: Callable[[Sequence[object]], dict[int, str]],
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


def _batches(entries: Sequence[_Entry]) -> Iterator[list[dict[str, object]]]:
    batch: list[dict[str, object]] = []
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
    """Return an ARN's own region; None (the environment's) for a name."""
    parts = arn.split(":")
    return parts[3] if len(parts) > 5 else None
