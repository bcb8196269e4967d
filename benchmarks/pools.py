"""Which of Celery's pools suits which stage: tasks a second of one worker, on a real broker.

Two kinds of work, as the stages are: waiting for an answer (50 ms, as EC2's calls) and computing
(20 ms of CPU in Python, as decoding and matching). `python benchmarks/pools.py`; how much others
had of the machine meanwhile is printed, too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import redis
from celery import Celery

from dispatcher.cli.local_stack.valkey import Valkey
from workers.worker_command import ENVIRONMENT

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


def others(begun: tuple[float, float, float]) -> float:
    """Cores that other processes kept busy since then."""
    busy, own, at = busy_seconds()
    return (busy - begun[0] - (own - begun[1])) / (at - begun[2])


def busy_seconds() -> tuple[float, float, float]:
    """CPU seconds of the machine and of us and our ended children, and the time."""
    user, nice, system = map(int, Path("/proc/stat").read_text().split()[1:4])
    ticks = os.sysconf("SC_CLK_TCK")
    return (user + nice + system) / ticks, sum(os.times()[:4]), time.monotonic()


def main() -> None:
    """Print a table."""
    print(f"{'pool':14}" + "".join(f"{kind:>12}" for kind in TASKS) + "   tasks a second")
    begun, table = busy_seconds(), {}
    for pool, size in POOLS:
        with tempfile.TemporaryDirectory() as directory:
            server = Valkey(Path(directory))
            try:
                rates = {kind: rate(f"{server.url}/0", kind, pool, size) for kind in TASKS}
            finally:
                server.stop()
        table[pool, size] = rates
        print(f"{f'{pool} -c{size}':14}" + "".join(f"{one:12.0f}" for one in rates.values()))
    first, second = (table[pool] for pool in POOLS[:2])
    print("threads : prefork " + "".join(f"{first[k] / second[k]:8.2f} {k}" for k in TASKS))
    print(f"{os.cpu_count()} cores, of which other processes had {others(begun):.2f}")


if __name__ == "__main__":
    main()
