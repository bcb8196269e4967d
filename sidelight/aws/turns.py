"""A call's turn, waited for at the last moment: when it is signed and only has to be sent.

What comes before may take long (a client is made, a role's credentials are renewed, a request is
written), and calls that had their turns before it would all be sent after it, together.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_own = threading.local()  # boto3's clients are shared, each thread's call has its own turn


def watch(client: Any) -> None:
    """Let this boto3 client's calls wait for their turns; once a client."""
    client.meta.events.register("before-send", _wait)


@contextmanager
def waiting(turn: Callable[[], None]) -> Iterator[None]:
    """Within, each request that a watched client sends in this thread waits for `turn()` first.

    What `turn` raises is raised by the call, and nothing is sent.
    """
    _own.turn = turn
    try:
        yield
    finally:
        _own.turn = None


def _wait(**_given: Any) -> None:
    turn: Callable[[], None] | None = getattr(_own, "turn", None)
    if turn is not None:
        turn()
