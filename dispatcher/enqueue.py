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
    from sidelight.store import Scan, Store

log = logging.getLogger(__name__)

BATCH = 500


# Sends the message for a scan's present state.
Publish = Callable[[str, Next], None]


def enqueue(
    store: Store,
    publish: Publish,
    due: Sequence[Instance],
    deployment: str,
    *,
    priority: int = SCHEDULED,
) -> list[Scan]:
    """New scans for these instances, published; instances with a live scan are passed over.

    A broker that cannot be reached loses nothing: `tick` publishes later. Raises StoreError.
    """
    made: list[Scan] = []
    for begin in range(0, len(due), BATCH):
        part = [(i.account, i.region, i.id) for i in due[begin : begin + BATCH]]
        made += store.scans.create(part, deployment, priority)
    for scan in made:
        if not _publish(store, publish, scan):
            break
    return made


def tick(store: Store, publish: Publish) -> int:
    """Publish every scan that is due for it; how many. Raises StoreError."""
    count = 0
    while due := store.scans.due(BATCH):
        for scan in due:
            if not _publish(store, publish, scan):
                return count
            count += 1
    return count


def _publish(store: Store, publish: Publish, scan: Scan) -> bool:
    try:
        publish(scan.id, Next(scan.state, scan.region, scan.priority))
    except (OperationalError, OSError) as error:
        log.warning("the broker does not answer: %s", error)
        return False
    store.scans.published(scan.id)
    return True
