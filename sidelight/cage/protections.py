"""Whether this machine can seal a process, without sealing one."""

from __future__ import annotations

import ctypes
import platform
import sys
from typing import Final

from sidelight.cage import landlock, seccomp

SEALS: Final = "linux"  # the one system, as `sys.platform`, with a cage


def can_seal() -> bool:
    """Whether this system has caged readers at all; a kernel may lack some of their protections."""
    return sys.platform == SEALS


def missing_protections() -> dict[str, str]:
    """Return the protections that readers lack on this machine: name to reason.

    Whether a reader is sealed decides the reader itself (`seal`); this asks the same kernel before.
    """
    if not can_seal():
        reason = f"{platform.system() or sys.platform} cannot seal a process"
        return {"seccomp": reason, "Landlock": reason}
    libc = ctypes.CDLL(None, use_errno=True)
    reasons = {"seccomp": seccomp.unavailable(libc), "Landlock": landlock.unavailable(libc)}
    return {name: reason for name, reason in reasons.items() if reason}
