"""Calls in several threads at once, in the order of what they are about."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    call: Callable[[Item], Result], items: Iterable[Item], at_once: int
) -> Iterator[tuple[Item, Result]]:
    """Yield each item with the result of its call, in the order of the items.

    At most `at_once` calls run, or have a result that was not taken yet. `items` are taken in the
    caller's thread, as far as that. An exception of a call is raised in its turn; the calls that
    run then are waited for, and no further one begins.
    """
    if at_once <= 1:
        for item in items:
            yield item, call(item)
        return
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    with ThreadPoolExecutor(at_once, thread_name_prefix="fetch") as pool:
        for item in items:
            if len(waiting) == at_once:
                first, future = waiting.popleft()
                yield first, future.result()
            waiting.append((item, pool.submit(call, item)))
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
