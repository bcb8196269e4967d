"""End a stage that takes too long, and bound a process's memory.

A parser on hostile bytes can be slow in a way that none of its own checks detects. So the kernel
keeps the time: a timer signal raises StageTimeError in the main thread, at any point. It is a
BaseException, so that no `except Exception` can turn it into a Problem. An `except:` or a
`__del__` that swallows it gets it again a second later. Three more limits follow, each for cases
that the previous one cannot end:

- The kernel ends a process in which a call into C lets no other thread run for a lease's CPU time
  on every core (`pulse`). Its heartbeat is dead, so another worker would soon claim the scan.
- Celery ends a process a minute after the stage's time.
- A process that allocates more than its share of the memory gets a MemoryError (`limit_memory`).

The scan of a killed process has used an attempt. After the last attempt, its snapshots are deleted
and it is FAILED.
"""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

REPEAT = 1.0  # seconds until a swallowed StageTimeError is raised again
LEAST_PULSE = 30.0  # seconds of CPU
LEAST_MEMORY = 1 << 30  # bytes: an ordinary instance cannot be read with less
STACK = 512 << 10  # bytes: hundreds of threads wait for blocks, and RLIMIT_DATA counts their stacks
_CGROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
# SIGUSR1 is Celery's own soft time limit, where an operator sets one: it has the same meaning.
_SIGNALS = (signal.SIGALRM, signal.SIGUSR1)
_own_process = threading.Event()


class StageTimeError(BaseException):
    """The stage's time limit is reached. Only the stage runner may catch it."""


@contextmanager
def stage_time(seconds: float) -> Iterator[None]:
    """Raise StageTimeError in the block once `seconds` have passed, and then every REPEAT seconds.

    It works in the main thread only: Python handles signals there. Other threads compute nothing,
    and each of their waits for an answer has a timeout. A timer that was running before continues
    afterwards.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    active = [True]

    def spent(*_: object) -> None:
        if active:
            raise StageTimeError

    started = time.monotonic()
    handlers = {number: signal.signal(number, spent) for number in _SIGNALS}
    before, interval = signal.setitimer(signal.ITIMER_REAL, seconds, REPEAT)
    try:
        yield
    finally:
        active.clear()
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if before:
            left = max(0.001, before - (time.monotonic() - started))
            signal.setitimer(signal.ITIMER_REAL, left, interval)


def own_process() -> None:
    """Declare that this process only runs stages, one at a time, so that `pulse` may end it."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    threading.stack_size(STACK)
    _own_process.set()


def pulse(lease_seconds: float) -> None:
    """Report that the heartbeat thread is alive; the next call is due in a lease's CPU time."""
    if _own_process.is_set():
        cores = len(os.sched_getaffinity(0))
        signal.setitimer(signal.ITIMER_PROF, max(lease_seconds, LEAST_PULSE) * cores)


def end_pulse() -> None:
    """Expect no further heartbeat."""
    if _own_process.is_set():
        signal.setitimer(signal.ITIMER_PROF, 0.0)


def limit_memory(mib: int, processes: int) -> int:
    """Limit this process to a share of the memory; return the share in bytes.

    With a `mib` of 0, each of `processes` gets an equal share of the container's limit, or else of
    the machine's memory. RLIMIT_DATA counts private writable memory. It does not count the advisory
    database, which is mapped, nor address space that is only reserved.
    """
    share = mib << 20 if mib else max(LEAST_MEMORY, memory() // max(1, processes))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        share = min(share, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (share, hard))
    return share


def memory() -> int:
    """Return the container's memory limit, or else the machine's memory, in bytes."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _CGROUPS:
        try:
            text = path.read_text().strip()
        except OSError:
            continue
        if text.isdecimal():
            return min(machine, int(text))
    return machine
