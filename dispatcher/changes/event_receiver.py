"""Receive events from a queue, and give each to the handler of its kind.

A message is deleted when its event was handled, or can never be: it is malformed, of a kind that
nothing handles, of an account-region that this fleet does not scan, or was received MOST_RECEIVES
times. What could not be handled now stays, and SQS delivers it again. Lost and repeated messages do
no harm: a handler asks AWS what is there, and the hourly discovery finds the same.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from dispatcher.changes.bus_events import BusEvent, InvalidEvent, parse
from dispatcher.discovery.accounts import AccountRegion
from sidelight.errors import SidelightError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from sidelight.aws.event_queue import QueuedMessage

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 10  # of a long poll: how long the dispatcher's end waits for it at most
AT_ONCE: Final = 100  # messages that are handled together: one call to AWS for many instances
MOST_RECEIVES: Final = 10  # a queue without a dead-letter queue delivers for days
REMEMBERED: Final = 10_000  # ids of events that were handled
FAILED_PAUSE: Final = 60.0  # seconds after a call that failed
EMPTY_PAUSE: Final = 1.0  # seconds; an endpoint that does not know long polls answers at once


class Messages(Protocol):
    """The queue (sidelight.aws.event_queue.EventQueue)."""

    def receive(self, wait: int) -> list[QueuedMessage]:
        """Return up to ten messages; wait so many seconds for the first."""

    def delete(self, messages: Sequence[QueuedMessage]) -> None:
        """Delete messages."""


class EventHandler(Protocol):
    """The handling of events of one kind."""

    def handle(self, account_region: AccountRegion, events: Sequence[BusEvent]) -> Collection[str]:
        """Handle events of an account-region; return the ids of those to receive again.

        May be called with events that were handled before, and in any order. A SidelightError lets
        all of them be received again.
        """


@dataclass(slots=True)
class EventReceiver:
    """Receives for as long as it is not stopped. `handlers` are by (source, detail-type).

    `is_scanned` says whether the fleet scans an account-region.
    """

    queue: Messages
    handlers: Mapping[tuple[str, str], EventHandler]
    is_scanned: Callable[[AccountRegion], bool]
    error: str = ""
    _handled: OrderedDict[str, None] = field(default_factory=OrderedDict, init=False)

    def run(self, stopped: Callable[[], bool], pause: Callable[[float], object]) -> None:
        """Receive until `stopped`; `pause(seconds)` waits and may end early."""
        while not stopped():
            begin = time.monotonic()
            try:
                received = self.turn()
                self.error = ""
            except SidelightError as error:
                self.error = str(error)
                log.warning("events: %s", error)
                pause(FAILED_PAUSE)
                continue
            if not received and time.monotonic() - begin < EMPTY_PAUSE:
                pause(EMPTY_PAUSE)

    def turn(self) -> int:
        """Receive the waiting messages once; return how many. Raises SidelightError."""
        messages = self._received()
        finished: list[QueuedMessage] = []
        dropped: Counter[str] = Counter()
        waiting: dict[tuple[AccountRegion, tuple[str, str]], list[_Waiting]] = {}
        for message in messages:
            event = parse(message.body)
            why = self._refusal(event, message)
            if isinstance(event, InvalidEvent) or why:
                dropped[why] += 1
                finished.append(message)
            elif event.id in self._handled:
                finished.append(message)
            else:
                place = AccountRegion(event.account, event.region)
                waiting.setdefault((place, event.kind), []).append(_Waiting(message, event))
        for (place, kind), group in waiting.items():
            finished += self._handle(place, self.handlers[kind], group)
        for why, count in dropped.items():
            log.warning("events: %d messages dropped: %s", count, why)
        if finished:
            self.queue.delete(finished)
        return len(messages)

    def _received(self) -> list[QueuedMessage]:
        found = self.queue.receive(POLL_SECONDS)
        while found and len(found) < AT_ONCE:
            more = self.queue.receive(0)
            found += more
            if not more:
                break
        return found

    def _refusal(self, event: BusEvent | InvalidEvent, message: QueuedMessage) -> str:
        """Return why an event can never be handled; empty where it can."""
        if isinstance(event, InvalidEvent):
            return event.why
        if event.kind not in self.handlers:
            return f"nothing handles {event.kind[1]} of {event.kind[0]}"
        if not self.is_scanned(AccountRegion(event.account, event.region)):
            return "it is of an account or Region that is not scanned"
        if message.receives > MOST_RECEIVES:
            return f"it was received {MOST_RECEIVES} times"
        return ""

    def _handle(
        self, account_region: AccountRegion, handler: EventHandler, group: Sequence[_Waiting]
    ) -> list[QueuedMessage]:
        """Let them be handled; return the messages that are finished."""
        events = list({one.event.id: one.event for one in group}.values())
        try:
            again = set(handler.handle(account_region, events))
        except SidelightError as error:
            self.error = str(error)
            log.warning("events of %s/%s: %s", account_region.account, account_region.region, error)
            return []
        for event in events:
            if event.id not in again:
                self._handled[event.id] = None
        while len(self._handled) > REMEMBERED:
            self._handled.popitem(last=False)
        return [one.message for one in group if one.event.id not in again]


@dataclass(frozen=True, slots=True)
class _Waiting:
    message: QueuedMessage
    event: BusEvent
