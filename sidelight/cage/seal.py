"""Take everything from this process that a reader does not need. There is no way back.

Each protection is independent, so that a kernel which lacks one keeps the others: limits
(setrlimit(2)), no privileges (prctl(2)), Landlock, and last the filter of system calls, since it
refuses the calls of the others.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sidelight.cage import landlock, seccomp

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
NOBODY: Final = 65534  # the kernel's overflowuid: it owns nothing
# The interpreter and its libraries, where the kernel does not say what the process has mapped.
_UNKNOWN_MAPPED: Final = 1 << 30
_FIRST_TO_GO = "800"  # of 1000: when memory runs out, the kernel ends a reader and not its worker


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a reader may use: bytes of memory, and seconds of CPU."""

    memory: int
    cpu_seconds: float


def seal(libc: ctypes.CDLL, channel: int, bounds: Bounds) -> list[str]:
    """Seal this process, with one thread and the file descriptor `channel`.

    Return the protections that this kernel or container does not have. Raises OSError where one
    fails that every kernel has.
    """
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)
    _close_all_but(channel)
    _become_nobody()
    _prctl(libc, _PR_SET_PDEATHSIG, signal.SIGKILL)
    _prctl(libc, _PR_SET_DUMPABLE, 0)
    _limit(bounds)
    _prctl(libc, _PR_SET_NO_NEW_PRIVS, 1)
    missing = []
    if why := landlock.restrict(libc):
        missing.append(f"Landlock: {why}")
    # Landlock's rules are a file descriptor, for a moment.
    _lower(resource.RLIMIT_NOFILE, 0)
    if why := seccomp.restrict(libc):
        missing.append(f"seccomp: {why}")
    return missing


def _close_all_but(channel: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.closerange(3, channel)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.closerange(channel + 1, min(most, 1 << 20) if most > 0 else 1 << 20)


def _become_nobody() -> None:
    """Give up root, where we have it and may."""
    if os.geteuid() == 0:
        with suppress(OSError):
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)


def _limit(bounds: Bounds) -> None:
    cpu = max(1, math.ceil(bounds.cpu_seconds))
    for what, value in (
        (resource.RLIMIT_DATA, bounds.memory),
        # The other one does not count what grows as a stack does (MAP_GROWSDOWN).
        (resource.RLIMIT_AS, bounds.memory + _mapped()),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
    ):
        _lower(what, value)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = cpu if hard == resource.RLIM_INFINITY else min(cpu, hard)
    # SIGXCPU at the first, SIGKILL at the second.
    resource.setrlimit(resource.RLIMIT_CPU, (soft, soft + 1 if hard < 0 else min(soft + 1, hard)))


def _mapped() -> int:
    """Return the bytes of address space that this process has."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return _UNKNOWN_MAPPED
    return pages * resource.getpagesize()


def _lower(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    least = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (least, least))


def _prctl(libc: ctypes.CDLL, option: int, value: int) -> None:
    # As unsigned longs: of an int, the upper half of the register is undefined.
    zeros = (ctypes.c_ulong(0),) * 3
    if libc.prctl(option, ctypes.c_ulong(value), *zeros):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), f"prctl({option})")
