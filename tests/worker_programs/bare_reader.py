"""A zygote on a kernel without seccomp and Landlock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.cage import landlock, seccomp, zygote

if TYPE_CHECKING:
    import ctypes


def absent(libc: ctypes.CDLL) -> str:  # noqa: ARG001 - as the protections are called
    """What a protection says that the kernel does not have."""
    return "Function not implemented"


if __name__ == "__main__":
    landlock.restrict = seccomp.restrict = absent
    zygote.main()
