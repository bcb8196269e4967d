"""A worker process's command and environment: the same in a shell, a container and a test."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from workers.app import COMPUTING, WAITING, queues
from workers.contradictions import scheme

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.settings import Settings

# Kind of worker -> its stages, and the pool that suits them (benchmarks/pools.py).
KINDS = {"waiting": (WAITING, "threads"), "computing": (COMPUTING, "prefork")}
# celery's commands read this as they start: SIGTERM is then as SIGQUIT, with a soft shutdown that
# waits for a while, and gives back what is not done by then. Otherwise it would wait for ever.
ENVIRONMENT = {"REMAP_SIGTERM": "SIGQUIT"}


def worker_command(  # noqa: PLR0913 - all but one by keyword
    kind: str,
    settings: Settings,
    *,
    regions: Sequence[str] = ("",),
    stages: Sequence[str] = (),
    size: int,
    application: str = "workers.app",
) -> list[str]:
    """The command of a worker of a kind, `waiting` or `computing`; ENVIRONMENT goes with it.

    `stages`: only these of the kind's. `-E` so that Flower sees what happens.
    """
    its_stages, pool = KINDS[kind]
    chosen = [stage for stage in its_stages if stage in stages or not stages]
    events = () if scheme(settings.broker_url) == "sqs" else ("-E",)
    name = "-".join([kind, *(region for region in regions if region)])
    return [
        sys.executable, "-m", "celery", "-A", application, "worker", *events,
        "--hostname", f"{name}@%h", "--queues", ",".join(queues(chosen, regions, settings)),
        "--pool", pool, "--concurrency", str(size),
        "--without-gossip", "--without-mingle", "--loglevel", "INFO",
    ]  # fmt: skip
