"""The Celery application: queues, routing, and options that make a lost worker harmless.

A message carries only a scan's id: the row in the store is the truth, and there is no result
backend. Messages are acknowledged late, so a killed worker's message is delivered again. The row's
lease makes a second delivery a no-op.

Pools: `take`, `await` and `delete` wait for EC2 and compute nothing, so they use threads (32
threads ran 625 waiting tasks a second, two processes ran 36). `inspect` and `evaluate` decode and
match, so they use processes, one per core, since threads would share one interpreter's lock. Within
a scan, 64 block reads wait in parallel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery import Celery

from sidelight.fleet.settings.validation import HARD_LIMIT_AFTER, scheme, validate
from sidelight.model import STAGES
from workers import log_format
from workers.celery_patches import redis_transport
from workers.message_signatures import MessageKeys
from workers.queues import (
    AWAIT,
    COMPUTING,
    DELETE,
    EVALUATE,
    INSPECT,
    ON_DEMAND,
    PRIORITIES,
    SCHEDULED,
    TAKE,
    WAITING,
    queue,
    queues,
)

if TYPE_CHECKING:
    from sidelight.fleet.settings import Settings

__all__ = [
    "AWAIT", "COMPUTING", "DELETE", "EVALUATE", "INSPECT", "ON_DEMAND", "SCHEDULED",
    "TAKE", "WAITING", "make_app", "queue", "queues",
]  # fmt: skip

# Above the seconds that BRPOP waits in Redis for a message, and a slow write of its log to disk.
ANSWER_SECONDS = 30.0


def make_app(settings: Settings, answer_seconds: float = ANSWER_SECONDS) -> Celery:
    """Return a Celery application for these settings. Its tasks are in `workers.tasks`.

    `answer_seconds`: the longest wait for one answer of a Redis that has accepted the connection.

    Raises UsageError for settings that contradict each other.
    """
    validate(settings)
    redis_transport.use()
    log_format.use(as_json=settings.logs.is_json)
    app = Celery("sidelight", broker=settings.broker.url, include=["workers.tasks"])
    on_sqs = scheme(settings.broker.url) == "sqs"
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        result_backend=None,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_create_missing_queues=True,
        task_default_queue=queue(TAKE, "", settings),
        # The stage ends itself before this (`sidelight.fleet.stages.stage_limits`). Celery's own
        # soft limit would be an Exception, which a reader may mistake for an error of one file.
        task_time_limit=settings.workers.stage_seconds + HARD_LIMIT_AFTER,
        # One message at a time: a long inspection must not hold messages that others could process.
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=settings.broker.remote_control and not on_sqs,
        worker_soft_shutdown_timeout=settings.workers.soft_shutdown_seconds,
        # An idle worker has nothing to wait for.
        worker_enable_soft_shutdown_on_idle=False,
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # A worker's events are sent in batches.
        worker_consumer="workers.celery_patches.batched_events:Consumer",
        # Flower gets an event when a worker receives a task; the queue itself shows sent tasks.
        task_send_sent_event=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            **(_sqs(settings) if on_sqs else _redis(settings, answer_seconds)),
            # Of our own transports, which verify each message.
            "message_keys": MessageKeys.of(settings),
        },
    )
    return app


def _redis(settings: Settings, answer_seconds: float) -> dict[str, object]:
    options: dict[str, object] = {
        "visibility_timeout": settings.broker.visibility_seconds,
        "priority_steps": list(PRIORITIES),
        "queue_order_strategy": "priority",
        # Late acknowledgements come from many threads at once; too few connections lose them.
        "max_connections": 256,
        "socket_keepalive": True,
        # For an address that drops packets, the kernel would wait two minutes before it gives up.
        "socket_connect_timeout": min(5, answer_seconds),
        # A server that hangs, or one without TLS for a client with it, accepts and never answers.
        "socket_timeout": answer_seconds,
        "health_check_interval": 30,
        "retry_on_timeout": True,
    }
    if settings.broker.sentinel_master:
        options["master_name"] = settings.broker.sentinel_master
        options["sentinel_kwargs"] = settings.broker.sentinel_login
    return options


def _sqs(settings: Settings) -> dict[str, object]:
    options: dict[str, object] = {"visibility_timeout": int(settings.broker.visibility_seconds)}
    if settings.broker.sqs_prefix:
        from sidelight.aws.session import known_regions

        regions = known_regions() if settings.broker.regional_queues else [""]
        options["predefined_queues"] = {
            name: {"url": settings.broker.sqs_prefix + name}
            for name in queues(STAGES, regions, settings)
        }
    return options
