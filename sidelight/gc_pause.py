"""Making very many small objects without the cycle collector looking through them in between."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def uncollected() -> Iterator[None]:
    """No cycle collection within: a batch of tuples of numbers and bytes has no cycles.

    Not to be held over a `yield` to a caller, whose objects may well have cycles. The collector
    goes through the batch once afterwards: to hide it from that (`gc.freeze`) would also forget how
    much there is to collect, and a process that reads many disks would never collect at all.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
