"""The messages that the dispatcher and the tasks send, and their task names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.model import STAGE_OF
from sidelight.tracing import headers, span
from workers.queues import EVALUATE, queue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery import Celery

    from sidelight.fleet.settings import Settings
    from sidelight.fleet.stages.stage_runner import Next

NAME = "sidelight.{}"
REEVALUATE = "reevaluate"  # in the queue of EVALUATE
NETWORK = "network"  # in the queue of EVALUATE: it computes
# A worker's own limits apply. Celery 5.7 would write the sender's limits into a task's messages.
NO_LIMITS: Mapping[str, None] = {"time_limit": None, "soft_time_limit": None}


def publish(application: Celery, settings: Settings, scan_id: str, following: Next) -> None:
    """Send the message for a scan's current state."""
    stage = STAGE_OF[following.state]
    with span(f"publish {stage}", {"sidelight.scan": scan_id, "sidelight.stage": stage}):
        application.send_task(
            NAME.format(stage),
            args=[scan_id],
            queue=queue(stage, following.region, settings, following.priority),
            priority=following.priority,
            countdown=following.delay or None,
            ignore_result=True,
            headers=headers() or None,
            **NO_LIMITS,
        )


def publish_reevaluation(application: Celery, settings: Settings, region: str) -> None:
    """Ask a worker to check for a new advisory database, and to continue re-evaluation with it."""
    application.send_task(
        NAME.format(REEVALUATE),
        args=[region],
        queue=queue(EVALUATE, region, settings),
        priority=6,
        ignore_result=True,
        **NO_LIMITS,
    )


def publish_network(application: Celery, settings: Settings, account: str, region: str) -> None:
    """Ask a worker to evaluate an account-region's network, if it is due."""
    application.send_task(
        NAME.format(NETWORK),
        args=[f"{account}/{region}"],
        queue=queue(EVALUATE, region, settings),
        priority=6,
        ignore_result=True,
        **NO_LIMITS,
    )
