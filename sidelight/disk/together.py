"""Prefetching from several disks at the same time: each call waits, so each has a thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.blocks import BlockSource

MAX_THREADS = 32


def prefetch_together(wanted: Sequence[tuple[BlockSource, Sequence[tuple[int, int]]]]) -> None:
    """Prefetch `(source, ranges)` of several sources; returns when all are near."""
    if len(wanted) == 1:
        wanted[0][0].prefetch(wanted[0][1])
    elif wanted:
        with ThreadPoolExecutor(min(len(wanted), MAX_THREADS), "disk") as pool:
            list(pool.map(lambda want: want[0].prefetch(want[1]), wanted))
