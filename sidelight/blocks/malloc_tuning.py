"""How the C library gives out memory for blocks."""

from __future__ import annotations

import ctypes
from functools import cache

_M_MMAP_THRESHOLD = -3  # glibc's malloc.h
_THRESHOLD = 128 << 10  # bytes; glibc's own initial value


@cache
def keep_blocks_apart() -> None:
    """Have glibc map each allocation of a block's size by itself, in this process, once.

    By default the first such one that is freed raises the threshold, and later ones lie in the
    heaps of the many threads that fetch: what is freed there is not given back. On the benchmark's
    machine that was 26 MB of 211. Elsewhere than on glibc this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _THRESHOLD)
