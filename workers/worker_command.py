"""A worker process's command line and environment, the same in a shell, a container and a test."""

from __future__ import annotations

import secrets
import sys
from typing import TYPE_CHECKING

from sidelight.fleet.settings.validation import scheme
from workers.queues import COMPUTING, WAITING, queues

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.fleet.settings import Settings

# Kind of worker -> its stages, and the pool that suits them (benchmarks/pools.py).
KINDS = {"waiting": (WAITING, "threads"), "computing": (COMPUTING, "prefork")}
# celery reads this at start: SIGTERM then acts as SIGQUIT, a soft shutdown that waits for a limited
# time and gives unfinished tasks back. Otherwise the shutdown would wait forever.
ENVIRONMENT = {"REMAP_SIGTERM": "SIGQUIT"}


def worker_command(  # noqa: PLR0913 - all but one by keyword
    kind: str,
    settings: Settings,
    *,
    regions: Sequence[str] = ("",),
    stages: Sequence[str] = (),
    size: int,
    application: str = "workers.celery_main",
) -> list[str]:
    """Return the command of a `waiting` or `computing` worker; it needs ENVIRONMENT too.

    `stages`: only these stages of the kind. `-E` sends events for Flower.
    """
    its_stages, pool = KINDS[kind]
    chosen = [stage for stage in its_stages if stage in stages or not stages]
    events = () if scheme(settings.broker.url) == "sqs" else ("-E",)
    # Workers of one kind on one host would share a name, and Flower would show one of them.
    name = "-".join([kind, *(region for region in regions if region), secrets.token_hex(3)])
    return [
        sys.executable, "-m", "celery", "-A", application, "worker", *events,
        "--hostname", f"{name}@%h", "--queues", ",".join(queues(chosen, regions, settings)),
        "--pool", pool, "--concurrency", str(size),
        "--without-gossip", "--without-mingle", "--loglevel", "INFO",
    ]  # fmt: skip
