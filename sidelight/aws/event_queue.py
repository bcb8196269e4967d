"""The SQS queue to which EventBridge delivers events: received and deleted, never written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sidelight.aws.answers import required
from sidelight.aws.faults import translated
from sidelight.errors import CloudError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.aws.session import Session

AT_ONCE: Final = 10  # the most messages of a call
_REGION: Final = re.compile(r"https://sqs\.([a-z0-9-]{1,32})\.")


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message; `receipt` is for its deletion, `receives` how often it was received."""

    id: str
    receipt: str
    body: str
    receives: int = 1


class EventQueue:
    """One queue by its URL, called with our own credentials in the Region that the URL names."""

    def __init__(self, session: Session, url: str) -> None:
        self._session = session
        self._url = url
        match = _REGION.match(url)
        self._region = match[1] if match else None

    def receive(self, wait: int) -> list[QueuedMessage]:
        """Return up to ten messages; wait so many seconds for the first. Needs sqs:ReceiveMessage.

        Raises AccessDeniedError, CloudError.
        """
        with translated(f"{self._url}: receive_message"):
            answer = self._client().receive_message(
                QueueUrl=self._url, MaxNumberOfMessages=AT_ONCE, WaitTimeSeconds=wait,
                AttributeNames=["ApproximateReceiveCount"],
            )  # fmt: skip
        return [self._message(item) for item in answer.get("Messages") or ()]

    def delete(self, messages: Sequence[QueuedMessage]) -> None:
        """Delete messages. Needs sqs:DeleteMessage. Raises AccessDeniedError, CloudError."""
        refused = 0
        for begin in range(0, len(messages), AT_ONCE):
            entries = [
                {"Id": str(number), "ReceiptHandle": message.receipt}
                for number, message in enumerate(messages[begin : begin + AT_ONCE])
            ]
            with translated(f"{self._url}: delete_message_batch"):
                answer = self._client().delete_message_batch(QueueUrl=self._url, Entries=entries)
            refused += len(answer.get("Failed") or ())
        if refused:
            raise CloudError(f"{refused} messages were not deleted", where=self._url)

    def _message(self, item: dict[str, Any]) -> QueuedMessage:
        count = str((item.get("Attributes") or {}).get("ApproximateReceiveCount") or "1")
        return QueuedMessage(
            id=str(item.get("MessageId") or ""),
            receipt=required(item.get("ReceiptHandle"), "ReceiptHandle", self._url),
            body=str(item.get("Body") or ""),
            receives=int(count) if count.isdecimal() and len(count) < 10 else 1,
        )

    def _client(self) -> Any:
        return self._session.client("sqs", region=self._region)
