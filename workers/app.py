"""The Celery application: queues, routing, and what makes a lost worker harmless.

A message says only "look at this scan": the row in the store is the truth, there is no result
backend. Messages are acknowledged late, so a killed worker's comes again; the row's lease makes a
second delivery do nothing.

Pools: `take`, `await` and `delete` wait for EC2 and compute nothing: threads (32 of them ran 625
waiting tasks a second where two processes ran 36). `inspect` and `evaluate` decode and match:
processes, one a core, since threads would share one interpreter's lock; the waiting for blocks is
done 64 at a time within a scan.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from celery import Celery
from celery.signals import worker_process_init

from sidelight.aws.session import known_regions
from sidelight.store import stages
from workers import transport, wiring
from workers.contradictions import HARD_LIMIT_AFTER, refuse, scheme
from workers.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Collection

STAGE_OF, STAGES = stages.STAGE_OF, stages.STAGES
TAKE, AWAIT, INSPECT, EVALUATE, DELETE = STAGES
WAITING = (TAKE, AWAIT, DELETE)  # for threads
COMPUTING = (INSPECT, EVALUATE)  # for processes
# Deletion first: it is what costs money when it is late. On-demand scans are 0, scheduled ones 6.
PRIORITIES = (0, 3, 6, 9)


ON_DEMAND, SCHEDULED = 0, 6


def queue(stage: str, region: str, settings: Settings, priority: int = SCHEDULED) -> str:
    """The queue of a stage; with `regional_queues` one for each region.

    SQS has no priorities, so there what is on demand has queues of its own.
    """
    name = f"{stage}.{region}" if settings.regional_queues else stage
    if scheme(settings.broker_url) == "sqs":
        # A name's dots become dashes in kombu; said here, so that each is called by one name.
        name = name.replace(".", "-") + ("-now" if priority <= ON_DEMAND else "")
    return name


def queues(stages: Collection[str], regions: Collection[str], settings: Settings) -> list[str]:
    """All queues of these stages and regions, for a worker."""
    return sorted(
        {
            queue(stage, region, settings, priority)
            for stage in stages
            for region in regions
            for priority in (ON_DEMAND, SCHEDULED)
        }
    )


def make_app(settings: Settings) -> Celery:
    """A Celery application for these settings. Its tasks are in `workers.tasks`.

    Raises UsageError for settings that contradict each other.
    """
    refuse(settings)
    transport.use()
    app = Celery("sidelight", broker=settings.broker_url, include=["workers.tasks"])
    on_sqs = scheme(settings.broker_url) == "sqs"
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        result_backend=None,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_create_missing_queues=True,
        task_default_queue=queue(TAKE, "", settings),
        task_soft_time_limit=settings.stage_seconds,
        task_time_limit=settings.stage_seconds + HARD_LIMIT_AFTER,
        # One at a time: a long inspection must not sit on messages that others could work on.
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=settings.remote_control and not on_sqs,
        worker_soft_shutdown_timeout=settings.soft_shutdown_seconds,
        # With nothing under way there is nothing to wait for.
        worker_enable_soft_shutdown_on_idle=False,
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # A worker's events are sent some at a time.
        worker_consumer="workers.events:Consumer",
        # Flower is told when a worker receives a task; that it was sent is told by the queue.
        task_send_sent_event=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=_sqs(settings) if on_sqs else _redis(settings),
    )
    return app


def _redis(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {
        "visibility_timeout": settings.visibility_seconds,
        "priority_steps": list(PRIORITIES),
        "queue_order_strategy": "priority",
        # Late acknowledgements come from many threads at once; too few connections lose them.
        "max_connections": 256,
        "socket_keepalive": True,
        "health_check_interval": 30,
        "retry_on_timeout": True,
    }
    if settings.sentinel_master:
        options["master_name"] = settings.sentinel_master
        options["sentinel_kwargs"] = settings.sentinel_login
    return options


def _sqs(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {"visibility_timeout": int(settings.visibility_seconds)}
    if settings.sqs_prefix:
        regions = known_regions() if settings.regional_queues else [""]
        options["predefined_queues"] = {
            name: {"url": settings.sqs_prefix + name} for name in queues(STAGES, regions, settings)
        }
    return options


app = make_app(Settings.from_environment(os.environ))


@worker_process_init.connect  # type: ignore[untyped-decorator] # Celery has no types
def _forked(**_: object) -> None:
    # A connection must not be shared with the parent: each process makes its own.
    wiring.forget()
