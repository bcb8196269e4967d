"""Findings' events from the store's outbox to where people listen.

At least once, from the oldest on: how far it has got is in the store, and is written when what was
sent has arrived. A reader knows an event that comes twice by its `eventId`, and the order by its
`sequence`: EventBridge and SNS do not keep it, but for a FIFO topic, within an instance.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dispatcher.inspector import event_document
from sidelight.aws.events import MESSAGE_BYTES, EventBridge, Message, Sent, Topic
from sidelight.errors import CloudError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TextIO

    from sidelight.aws.session import Session
    from sidelight.model import Instance
    from sidelight.store import FindingEvent, Store

AT_ONCE = 200
# What is left out, first to last, of a finding that is too long for a message.
_LONG = ("referenceUrls", "relatedVulnerabilities", "cvss")


class Sink(Protocol):
    """Where events go. `whole`: the event with its envelope, or its detail alone."""

    whole: bool

    def send(self, messages: Sequence[Message]) -> Sent:
        """In this order; how many of the first have arrived. Raises SidelightError."""


class Lines:
    """JSON lines, at the end of a file or on standard output."""

    whole = True

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def send(self, messages: Sequence[Message]) -> Sent:
        """Raises CloudError where the file cannot be written."""
        lines = "".join(f"{message.text}\n" for message in messages)
        if self._path is None:
            sys.stdout.write(lines)
            sys.stdout.flush()
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
        """Whoever was killed amid a line left it without an end; it comes again whole."""
        with self._path.open("rb") as written, suppress(OSError):  # type: ignore[union-attr] # there
            written.seek(-1, os.SEEK_END)
            if written.read(1) != b"\n":
                file.write("\n")


def sink_of(target: str, session: Session) -> Sink:
    """By `eventbridge:BUS`, `sns:ARN`, `file:PATH` or `stdout`. Raises UsageError."""
    kind, _, name = target.partition(":")
    if kind == "eventbridge" and name:
        return EventBridge(session, name)
    if kind == "sns" and name.count(":") == 5:
        return Topic(session, name)
    if kind == "file" and name:
        return Lines(Path(name))
    if target == "stdout":
        return Lines(None)
    raise UsageError(
        "events go to eventbridge:BUS, sns:ARN, file:PATH or stdout", where=target or "publish"
    )


class Publisher:
    """Sends what is new to one place, and remembers in the store how far that is."""

    def __init__(self, store: Store, target: str, sink: Sink, *, after: int | None = None) -> None:
        """From `after` on, else where it left off; at the first time with what comes from now."""
        self._store = store
        self._sink = sink
        self._target = target
        self._deployment = store.deployment()
        if after is None:
            after = store.outbox.position(target)
        self._after = after

    def run(self, stopped: Callable[[], bool] = lambda: False) -> int:
        """Until all is sent, or `stopped`; how many were sent.

        Raises CloudError, AccessDeniedError where something is not taken: the next run begins with
        that.
        """
        count = 0
        while not stopped():
            batch = self._store.outbox.after(self._after, AT_ONCE)
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
                raise CloudError(what, where=self._target)
        return count

    def _message(
        self, event: FindingEvent, known: dict[tuple[str, str], Instance | None]
    ) -> Message:
        row = event.row
        place = row.account, row.instance
        if place not in known:
            known[place] = self._store.fleet.instance(*place)
        document = event_document(event, known[place], self._deployment)
        detail = document["detail"]
        told = document if self._sink.whole else detail
        return Message(
            id=detail["sidelight"]["eventId"],
            group=f"{row.account}.{row.instance}",
            at=event.at,
            source=document["source"],
            kind=document["detail-type"],
            resources=document["resources"],
            text=_fitting(told, detail),
            attributes={
                "event": event.kind, "severity": detail["severity"], "status": detail["status"],
                "account": row.account, "region": row.region,
            },
        )  # fmt: skip


def _fitting(told: dict[str, Any], detail: dict[str, Any]) -> str:
    """As JSON that a message can hold. What was left out is named in `sidelight.leftOut`."""
    about = detail["packageVulnerabilityDetails"]
    left_out: list[str] = []
    text = _json(told)
    for name in _LONG:
        if len(text.encode()) <= MESSAGE_BYTES:
            return text
        about[name] = []
        detail["sidelight"]["leftOut"] = left_out = [*left_out, name]
        text = _json(told)
    if len(text.encode()) > MESSAGE_BYTES:
        # Texts of the scanned machine or of a feed, each far longer than a name can be.
        detail["sidelight"]["leftOut"] = [*left_out, "texts"]
        _cut(told, 1000)
        text = _json(told)
    return text


def _cut(value: Any, most: int) -> Any:
    if isinstance(value, dict):
        for name, item in value.items():
            value[name] = _cut(item, most)
    elif isinstance(value, list):
        value[:] = [_cut(item, most) for item in value[:100]]
    elif isinstance(value, str):
        return value[:most]
    return value


def _json(document: dict[str, Any]) -> str:
    """Names that are not UTF-8 on disk have no place in a message: a ? for each such byte."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode()
