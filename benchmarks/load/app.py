"""The workers' application with a watch on every stage; nothing of this is in their own code.

Each stage appends a line to the file that SIDELIGHT_LOAD_LOG names: stage, seconds, CPU
milliseconds in all, those of the store and those of boto3, and the moment at which it ended.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.client import BaseClient

from sidelight.fleet.stages import poll_snapshots, take_snapshots
from sidelight.store.base.engine import Database
from workers.app import COMPUTING
from workers.celery_main import app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["app"]

LOG = os.open(os.environ["SIDELIGHT_LOAD_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
STEPS: tuple[tuple[str, Any, str], ...] = (
    ("take", take_snapshots, take_snapshots.take_snapshots.__name__),
    ("await", poll_snapshots, poll_snapshots.poll.__name__),
    ("inspect", take_snapshots, take_snapshots.inspect.__name__),
    ("evaluate", take_snapshots, take_snapshots.evaluate.__name__),
    ("delete", take_snapshots, take_snapshots.delete_snapshots.__name__),
)


class Spent(threading.local):
    """CPU seconds of this thread in the store and in boto3."""

    def __init__(self) -> None:
        self.store = 0.0
        self.aws = 0.0


class Shared:
    """CPU seconds in boto3 of the threads that fetch blocks: they belong to the one inspection."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.aws = 0.0


spent, shared = Spent(), Shared()


def _store(ways: Callable[..., Any]) -> Callable[..., Any]:
    @contextmanager
    def timed(self: Database, **options: Any) -> Iterator[Any]:
        begin = time.thread_time()
        try:
            with ways(self, **options) as connection:
                yield connection
        finally:
            spent.store += time.thread_time() - begin

    return timed


def _aws(call: Callable[..., Any]) -> Callable[..., Any]:
    def timed(self: BaseClient, *arguments: Any) -> Any:
        begin = time.thread_time()
        try:
            return call(self, *arguments)
        finally:
            took = time.thread_time() - begin
            if threading.current_thread().name.startswith("block"):
                with shared.lock:
                    shared.aws += took
            else:
                spent.aws += took

    return timed


def _stage(name: str, step: Callable[..., Any]) -> Callable[..., Any]:
    # A process that computes does one scan at a time, with threads of its own for the blocks.
    clock = time.process_time if name in COMPUTING else time.thread_time

    def timed(context: Any, scan_id: str) -> Any:
        wall, cpu, fetched = time.perf_counter(), clock(), shared.aws
        spent.store = spent.aws = 0.0
        try:
            return step(context, scan_id)
        finally:
            aws = spent.aws + shared.aws - fetched
            line = (
                f"{name} {time.perf_counter() - wall:.6f} {1e3 * (clock() - cpu):.3f}"
                f" {1e3 * spent.store:.3f} {1e3 * aws:.3f} {time.time():.3f}\n"
            )
            os.write(LOG, line.encode())

    return timed


changed: Any = Database
changed.write, changed.read = _store(Database.write), _store(Database.read)
changed = BaseClient
changed._make_api_call = _aws(changed._make_api_call)  # noqa: SLF001 - the one place of all calls
for stage, module, function in STEPS:
    setattr(module, function, _stage(stage, getattr(module, function)))
