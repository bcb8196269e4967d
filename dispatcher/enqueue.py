"""Commit scans, then publish them by id: a message never names a row that is not there.

A crash in between leaves rows that are due for publication, and the next tick publishes them.
The same tick finds the scans whose message was lost, and those whose worker died.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from kombu.exceptions import OperationalError

from workers.app import SCHEDULED
from workers.holding import Next

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.model import Instance
    from sidelight.store import Keeper, Scan, Store

log = logging.getLogger(__name__)

BATCH = 500


# Sends the message for a scan's present state.
Publish = Callable[[str, Next], None]


def enqueue(  # noqa: PLR0913 - what is made, and for whom, by keyword
    store: Store,
    publish: Publish,
    due: Sequence[Instance],
    deployment: str,
    *,
    priority: int = SCHEDULED,
    keeper: Keeper | None = None,
) -> list[Scan]:
    """New scans for these instances, published; instances with a live scan are passed over.

    With a `keeper` they are its own from the first: no worker has them while it lives.

    A broker that cannot be reached loses nothing: `tick` publishes later. Raises StoreError.
    """
    made: list[Scan] = []
    for begin in range(0, len(due), BATCH):
        part = [(i.account, i.region, i.id) for i in due[begin : begin + BATCH]]
        made += store.scans.create(part, deployment, priority, keeper)
    _publish(store, publish, made)
    return made


def tick(store: Store, publish: Publish) -> int:
    """Publish every scan that is due for it; how many. Raises StoreError."""
    count = 0
    while due := store.publications.due(BATCH):
        sent = _publish(store, publish, due)
        count += sent
        if sent < len(due):
            break
    return count


def _publish(store: Store, publish: Publish, scans: Sequence[Scan]) -> int:
    """Publish until the broker does not answer; how many.

    What was sent is remembered a batch at a time. A crash before that sends a batch twice, and the
    second message of a scan finds nothing to do.
    """
    count = 0
    for begin in range(0, len(scans), BATCH):
        sent = []
        try:
            for scan in scans[begin : begin + BATCH]:
                publish(scan.id, Next(scan.state, scan.region, scan.priority))
                sent.append(scan.id)
        except (OperationalError, OSError) as error:
            log.warning("the broker does not answer: %s", error)
        store.publications.published(sent)
        count += len(sent)
        if len(sent) < len(scans[begin : begin + BATCH]):
            break
    return count
