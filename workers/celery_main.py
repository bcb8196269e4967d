"""A worker process: `celery -A workers.celery_main`.

The import makes the application from the process's settings: only the tasks import this module.
"""

from __future__ import annotations

import atexit
import os
from typing import Any, Final

from celery.signals import celeryd_after_setup, celeryd_init, worker_process_init

from sidelight import tracing
from sidelight.fleet import bootstrap, disk_reading
from sidelight.fleet.stages import stage_limits
from workers import support_check
from workers.app import make_app
from workers.dropped_messages import DropCounter
from workers.message_check import on_drop
from workers.queues import INSPECT, stage_of

# A machine that must seal its readers, and cannot, has no worker.
disk_reading.check_cage(bootstrap.process_settings())
tracing.enable(bootstrap.process_settings().logs.traces, "sidelight-worker")
app: Final = make_app(bootstrap.process_settings())
support_check.use(app)
_processes: list[int] = []


@celeryd_init.connect  # type: ignore[untyped-decorator] # Celery has no types
def _starting(options: dict[str, Any] | None = None, **_: object) -> None:
    # Before the fork: record how many processes share the memory.
    _processes.append(int((options or {}).get("concurrency") or os.cpu_count() or 1))


@celeryd_after_setup.connect  # type: ignore[untyped-decorator] # Celery has no types
def _set_up(instance: Any, **_: object) -> None:
    drops = DropCounter(bootstrap.process_settings().store.url)
    on_drop(drops.add)
    atexit.register(drops.write)
    # Before the fork, so that the worker's log has it once.
    if INSPECT in map(stage_of, instance.app.amqp.queues.consume_from):
        disk_reading.report_cage(bootstrap.process_settings())


@worker_process_init.connect  # type: ignore[untyped-decorator] # Celery has no types
def _forked(**_: object) -> None:
    # A connection must not be shared with the parent: each process opens its own.
    bootstrap.forget()
    stage_limits.own_process()
    processes = _processes[-1] if _processes else 1
    stage_limits.limit_memory(bootstrap.process_settings().workers.memory_mib, processes)
