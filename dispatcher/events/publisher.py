"""Publish events from the store's outbox to a target: EventBridge, SNS, a webhook, a file.

Delivery is at least once, oldest first. The position is in the store, and is written after the
sink has accepted a batch. A consumer recognizes a duplicate by its `eventId`, and restores the
order by `sequence`. EventBridge and SNS do not keep the order; only a FIFO topic does, within an
instance.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from dispatcher.events.event_messages import EventChoice, EventMessages
from dispatcher.events.webhook import Webhook
from sidelight.aws.events import Message, Sent
from sidelight.aws.security_hub import SecurityHub
from sidelight.errors import CloudError
from sidelight.model import FindingEvent
from sidelight.report.as_json import escaped
from sidelight.report.output import write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import TextIO

    from dispatcher.events.event_messages import StoredEvent
    from sidelight.store import Store

AT_ONCE = 200
# Of a webhook, which gets one a request: as many are sent again after a kill.
WEBHOOK_AT_ONCE = 10


class Sink(Protocol):
    """A target of events. `whole`: it takes the event with its envelope, else the detail alone."""

    whole: bool

    def send(self, messages: Sequence[Message]) -> Sent:
        """Send in this order; return how many of the first arrived. Raises SidelightError."""


class JsonLinesSink:
    """A sink that appends JSON lines to a file or standard output."""

    whole = True

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def send(self, messages: Sequence[Message]) -> Sent:
        """Append the lines. Raises CloudError where the file cannot be written."""
        lines = "".join(f"{message.text}\n" for message in messages)
        if self._path is None:
            write_json(escaped(lines))  # perhaps a terminal
            return Sent(len(messages))
        try:
            with self._path.open("a+", encoding="utf-8") as file:
                self._end_line(file)
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise CloudError(
                f"cannot be written: {error.strerror}", where=str(self._path)
            ) from error
        return Sent(len(messages))

    def _end_line(self, file: TextIO) -> None:
        """End a line that a killed process left incomplete; its event is sent again in full."""
        with self._path.open("rb") as written, suppress(OSError):  # type: ignore[union-attr] # there
            written.seek(-1, os.SEEK_END)
            if written.read(1) != b"\n":
                file.write("\n")


class TargetRefusedError(CloudError):
    """A target did not take an event; it wants no call for `retry_after` seconds."""

    def __init__(self, what: str, *, where: str, retry_after: float = 0.0) -> None:
        super().__init__(what, where=where)
        self.retry_after = retry_after


class Publisher:
    """Sends new events to one target, and records its position in the store."""

    def __init__(  # noqa: PLR0913 - half by keyword
        self,
        store: Store,
        target: str,
        sink: Sink,
        *,
        after: int | None = None,
        where: str = "",
        choice: EventChoice | None = None,
    ) -> None:
        """Start after sequence `after`, else at the stored position; a new target starts now.

        `where` names the target in messages. Without a `choice` events of findings are sent.
        """
        self._store = store
        self._sink = sink
        self._target = target
        self._where = where or target
        self._at_once = WEBHOOK_AT_ONCE if isinstance(sink, Webhook) else AT_ONCE
        self._choice = choice or EventChoice()
        self._number()
        if after is None:
            after = store.outbox.position(target)
        self._after = after

    def run(self, stopped: Callable[[], bool] = lambda: False) -> int:
        """Send until no event is left, or `stopped`; return how many were sent.

        Raises CloudError (TargetRefusedError) or AccessDeniedError where the target refuses an
        event: the next run starts with that event.
        """
        count = 0
        self._number()
        while not stopped():
            batch = self._store.outbox.after(self._after, self._at_once)
            if not batch:
                break
            wanted = [event for event in batch if self._wants(event)]
            sent = self._sink.send(self._messages(wanted)) if wanted else Sent(0)
            is_refused = sent.arrived < len(wanted)
            # What is not wanted before the refused event is passed.
            reached = wanted[sent.arrived].sequence - 1 if is_refused else batch[-1].sequence
            if reached > self._after:
                self._after = reached
                self._store.outbox.reached(self._target, self._after)
            count += sent.arrived
            if is_refused:
                what = f"event {wanted[sent.arrived].sequence} is not taken: {sent.refused}"
                raise TargetRefusedError(what, where=self._where, retry_after=sent.retry_after)
        return count

    def _number(self) -> None:
        if self._choice.is_numbered_late:
            self._store.outbox.number()

    def _wants(self, event: StoredEvent) -> bool:
        if isinstance(self._sink, SecurityHub) and not isinstance(event, FindingEvent):
            return False
        return isinstance(event, self._choice.types)

    def _messages(self, events: Sequence[StoredEvent]) -> list[Message]:
        messages = EventMessages(self._store, inspector_dates=self._choice.inspector_dates)
        if isinstance(self._sink, SecurityHub):
            return [messages.asff(event) for event in events if isinstance(event, FindingEvent)]
        return [messages.message(event, whole=self._sink.whole) for event in events]
