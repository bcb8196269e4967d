"""Queue names and priorities, without Celery: code that only reads a store needs no broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.fleet.settings.validation import scheme
from sidelight.model import STAGES

if TYPE_CHECKING:
    from collections.abc import Collection

    from sidelight.fleet.settings import Settings

TAKE, AWAIT, INSPECT, EVALUATE, DELETE = STAGES
WAITING = (TAKE, AWAIT, DELETE)  # for threads
COMPUTING = (INSPECT, EVALUATE)  # for processes
# Deletion first: a late deletion costs money. On-demand scans are 0, scheduled ones 6.
PRIORITIES = (0, 3, 6, 9)
ON_DEMAND, SCHEDULED = 0, 6


def queue(stage: str, region: str, settings: Settings, priority: int = SCHEDULED) -> str:
    """Return the queue of a stage; with `regional_queues`, one queue for each region.

    SQS has no priorities, so on-demand scans have their own queues there.
    """
    name = f"{stage}.{region}" if settings.broker.regional_queues else stage
    if scheme(settings.broker.url) == "sqs":
        # kombu turns a name's dots into dashes; done here, so that each queue has only one name.
        name = name.replace(".", "-") + ("-now" if priority <= ON_DEMAND else "")
    return name


def stage_of(queue_name: str) -> str:
    """Return the stage of a queue's name."""
    return queue_name.replace("-", ".").partition(".")[0]


def queues(stages: Collection[str], regions: Collection[str], settings: Settings) -> list[str]:
    """Return all queues of these stages and regions, for a worker."""
    return sorted(
        {
            queue(stage, region, settings, priority)
            for stage in stages
            for region in regions
            for priority in (ON_DEMAND, SCHEDULED)
        }
    )
