"""Items in calls of a service that limits their number and their bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")


def batches(
    items: Iterable[T], weight: Callable[[T], int], most: int, most_bytes: int
) -> Iterator[list[T]]:
    """Yield the items in order, at most `most` and `most_bytes` at once by their weights.

    An item that is heavier is alone.
    """
    batch: list[T] = []
    size = 0
    for item in items:
        heavy = weight(item)
        if batch and (len(batch) == most or size + heavy > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += heavy
    if batch:
        yield batch
