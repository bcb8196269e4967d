"""Publish events from the store's outbox to a target: EventBridge, SNS, a webhook, a file.

Delivery is at least once, oldest first. The position is in the store, and is written after the
sink has accepted a batch. A consumer recognizes a duplicate by its `eventId`, and restores the
order by `sequence`. EventBridge and SNS do not keep the order; only a FIFO topic does, within an
instance.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal, Protocol

from dispatcher.events.webhook import Webhook
from sidelight.aws.events import MESSAGE_BYTES, Message, Sent
from sidelight.aws.security_hub import SecurityHub
from sidelight.errors import CloudError
from sidelight.report.as_json import escaped
from sidelight.report.formats.asff import asff_document, asff_text
from sidelight.report.inspector2_documents import event_document
from sidelight.report.output import write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import TextIO

    from sidelight.documents.inspector2 import FindingEventDocument, InspectorFinding
    from sidelight.model import FindingEvent, Instance
    from sidelight.store import Store

AT_ONCE = 200
# Of a webhook, which gets one a request: as many are sent again after a kill.
WEBHOOK_AT_ONCE = 10
# Fields that are omitted, in this order, from a finding that is too long for a message.
_LONG: Final[tuple[Literal["referenceUrls", "relatedVulnerabilities", "cvss"], ...]] = (
    "referenceUrls", "relatedVulnerabilities", "cvss",
)  # fmt: skip


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

    def __init__(
        self, store: Store, target: str, sink: Sink, *, after: int | None = None, where: str = ""
    ) -> None:
        """Start after sequence `after`, else at the stored position; a new target starts now.

        `where` names the target in messages.
        """
        self._store = store
        self._sink = sink
        self._target = target
        self._where = where or target
        self._at_once = WEBHOOK_AT_ONCE if isinstance(sink, Webhook) else AT_ONCE
        self._deployment = store.deployment()
        if after is None:
            after = store.outbox.position(target)
        self._after = after

    def run(self, stopped: Callable[[], bool] = lambda: False) -> int:
        """Send until no event is left, or `stopped`; return how many were sent.

        Raises CloudError (TargetRefusedError) or AccessDeniedError where the target refuses an
        event: the next run starts with that event.
        """
        count = 0
        while not stopped():
            batch = self._store.outbox.after(self._after, self._at_once)
            if not batch:
                break
            known: dict[tuple[str, str], Instance | None] = {}
            sent = self._sink.send([self._message(event, known) for event in batch])
            if sent.arrived:
                self._after = batch[sent.arrived - 1].sequence
                self._store.outbox.reached(self._target, self._after)
                count += sent.arrived
            if sent.refused:
                what = f"event {batch[sent.arrived].sequence} is not taken: {sent.refused}"
                raise TargetRefusedError(what, where=self._where, retry_after=sent.retry_after)
        return count

    def _message(
        self, event: FindingEvent, known: dict[tuple[str, str], Instance | None]
    ) -> Message:
        row = event.row
        place = row.account, row.instance
        if place not in known:
            known[place] = self._store.instances.instance(*place)
        document = event_document(event, known[place], self._deployment)
        detail = document["detail"]
        if isinstance(self._sink, SecurityHub):
            text = asff_text(asff_document(row, known[place]))
        else:
            text = _fitting(document if self._sink.whole else detail, detail)
        return Message(
            id=detail["sidelight"]["eventId"],
            group=f"{row.account}.{row.instance}",
            at=event.at,
            source=document["source"],
            kind=document["detail-type"],
            resources=document["resources"],
            text=text,
            attributes={
                "event": event.kind, "severity": detail["severity"], "status": detail["status"],
                "account": row.account, "region": row.region,
            },
        )  # fmt: skip


def _fitting(document: FindingEventDocument | InspectorFinding, detail: InspectorFinding) -> str:
    """Return JSON that fits a message; `sidelight.leftOut` names the omitted fields."""
    left_out: list[str] = []
    text = _json(document)
    for name in _LONG:
        if len(text.encode()) <= MESSAGE_BYTES:
            return text
        # A network finding has none of these.
        if "packageVulnerabilityDetails" in detail:
            detail["packageVulnerabilityDetails"][name] = []
        detail["sidelight"]["leftOut"] = left_out = [*left_out, name]
        text = _json(document)
    if len(text.encode()) > MESSAGE_BYTES:
        # Texts of the scanned instance or of a feed, each far longer than any valid name.
        detail["sidelight"]["leftOut"] = [*left_out, "texts"]
        _cut(document, 1000)
        text = _json(document)
    return text


def _cut(value: object, most: int) -> object:
    if isinstance(value, dict):
        for name, item in value.items():
            value[name] = _cut(item, most)
    elif isinstance(value, list):
        value[:] = [_cut(item, most) for item in value[:100]]
    elif isinstance(value, str):
        return value[:most]
    return value


def _json(document: FindingEventDocument | InspectorFinding) -> str:
    """Serialize; a byte of a name that is not UTF-8 becomes a `?`, as messages are UTF-8."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode()
