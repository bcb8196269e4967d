"""Wait for the rate limiter just before botocore sends a signed request.

The steps before that may take long (creating a client, renewing a role's credentials, writing a
request). Calls that got their slots before these steps would all be sent together after them.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_own = threading.local()  # threads share boto3's clients, but each thread's call has its own slot


def watch(client: Any) -> None:
    """Make this boto3 client's calls wait for their slots; call it once per client."""
    client.meta.events.register("before-send", _wait)


@contextmanager
def waiting(turn: Callable[[], None]) -> Iterator[None]:
    """In the block, each request of a watched client in this thread calls `turn()` first.

    If `turn` raises, the call raises its error, and nothing is sent.
    """
    _own.turn = turn
    try:
        yield
    finally:
        _own.turn = None


def _wait(**_arguments: object) -> None:
    turn: Callable[[], None] | None = getattr(_own, "turn", None)
    if turn is not None:
        turn()
