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

    What was made is then as old as can be, so that only a full collection looks at it. Not to be
    held over a `yield` to a caller, whose objects may well have cycles.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            if not gc.get_freeze_count():
                # Two moves of whole lists, where a collection would visit every object.
                gc.freeze()
                gc.unfreeze()
            gc.enable()
