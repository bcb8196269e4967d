"""Commit scans, then publish their ids: a message never names a row that does not exist.

A crash in between leaves rows that are due for publication, and the next tick publishes them.
The tick also publishes scans whose message was lost or whose worker died.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from dispatcher.sources.source_finder import CREATED, FoundSources
from sidelight.errors import BrokerError
from sidelight.fleet.stages.stage_runner import Next
from workers.queues import SCHEDULED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.model import Instance, Keeper, Scan
    from sidelight.store import Store

log = logging.getLogger(__name__)

BATCH = 500
NO_SOURCES = FoundSources()


# Sends the message for a scan's current state.
Publish = Callable[[str, Next], None]


def enqueue(  # noqa: PLR0913 - what is made, and for whom, by keyword
    store: Store,
    publish: Publish,
    due: Sequence[Instance],
    deployment: str,
    *,
    priority: int = SCHEDULED,
    keeper: Keeper | None = None,
    found: FoundSources = NO_SOURCES,
) -> list[Scan]:
    """Create and publish scans for these instances; skip instances with a live scan.

    With a `keeper`, the scans belong to it from creation: no worker claims them while it lives.
    `found`: what scans use instead of snapshots of their own; instances that are left out get none.

    An unreachable broker loses nothing: `tick` publishes later. Raises StoreError.
    """
    created: list[Scan] = []
    due = [one for one in due if (one.account, one.id) not in found.left_out]
    for begin in range(0, len(due), BATCH):
        part = [(i.account, i.region, i.id) for i in due[begin : begin + BATCH]]
        created += store.scans.create(part, deployment, priority, keeper, found.sources)
    reasons = {
        scan.id: found.reasons[scan.account, scan.instance]
        for scan in created
        if (scan.account, scan.instance) in found.reasons
    }
    if reasons:
        store.scans.note_all(CREATED, reasons)
    _publish(store, publish, created)
    return created


def tick(store: Store, publish: Publish) -> int:
    """Publish every scan that is due for publication; return how many. Raises StoreError."""
    count = 0
    while due := store.due_messages.due(BATCH):
        sent = _publish(store, publish, due)
        count += sent
        if sent < len(due):
            break
    return count


def _publish(store: Store, publish: Publish, scans: Sequence[Scan]) -> int:
    """Publish until the broker does not answer; return how many were published.

    Sent messages are recorded a batch at a time. A crash before that sends a batch twice; the
    second message of a scan is a no-op.
    """
    count = 0
    for begin in range(0, len(scans), BATCH):
        sent = []
        try:
            for scan in scans[begin : begin + BATCH]:
                publish(scan.id, Next(scan.state, scan.region, scan.priority))
                sent.append(scan.id)
        except BrokerError as error:
            log.warning("%s", error)
        store.due_messages.published(sent)
        count += len(sent)
        if len(sent) < len(scans[begin : begin + BATCH]):
            break
    return count
