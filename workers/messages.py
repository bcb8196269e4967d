"""The messages that the dispatcher and the tasks send, and their task names."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sidelight.model import STAGE_OF
from sidelight.tracing import headers, span
from workers.message_signatures import HEADER
from workers.queues import EVALUATE, SCHEDULED, queue

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
        _send(
            application,
            stage,
            scan_id,
            queue(stage, following.region, settings, following.priority),
            following.priority,
            following.delay,
        )


def publish_reevaluation(application: Celery, settings: Settings, region: str) -> None:
    """Ask a worker to check for a new advisory database, and to continue re-evaluation with it."""
    _send(application, REEVALUATE, region, queue(EVALUATE, region, settings))


def publish_network(application: Celery, settings: Settings, account: str, region: str) -> None:
    """Ask a worker to evaluate an account-region's network, if it is due."""
    _send(application, NETWORK, f"{account}/{region}", queue(EVALUATE, region, settings))


def _send(  # noqa: PLR0913, PLR0917 - the parts of a message
    application: Celery,
    name: str,
    argument: str,
    queue_name: str,
    priority: int = SCHEDULED,
    delay: float = 0.0,
) -> None:
    """Send a message, signed where the application has keys."""
    task, message = NAME.format(name), str(uuid.uuid4())
    eta = datetime.now(UTC) + timedelta(seconds=delay) if delay else None
    signed: dict[str, str] = {}
    keys = application.conf.broker_transport_options["message_keys"]
    if keys:
        when = eta.isoformat() if eta else ""
        signed[HEADER] = keys.signature(queue_name, task, message, argument, when)
    application.send_task(
        task,
        args=[argument],
        task_id=message,
        queue=queue_name,
        priority=priority,
        eta=eta,
        ignore_result=True,
        headers={**headers(), **signed} or None,
        **NO_LIMITS,
    )
