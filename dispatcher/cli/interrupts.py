"""Ctrl-C handling: the first Ctrl-C ends a command cleanly, the second at once."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from dispatcher.cli.exit_status import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Callable

_last_words: list[Callable[[], object]] = []
_interrupted = False


def arm() -> None:
    """Raise KeyboardInterrupt at the first SIGINT, and end the process at the second.

    If a shell starts us in the background with SIGINT ignored, it stays ignored.
    """
    global _interrupted  # noqa: PLW0603 - a signal's handler has nothing else
    _interrupted = False
    if signal.getsignal(signal.SIGINT) in {signal.default_int_handler, signal.SIG_DFL}:
        signal.signal(signal.SIGINT, lambda *_: interrupt())


def interrupt() -> None:
    """Handle SIGINT: raise KeyboardInterrupt once, then end the process."""
    global _interrupted  # noqa: PLW0603 - see above
    if _interrupted:
        quit_now()
    _interrupted = True
    raise KeyboardInterrupt


def stop_by(stop: Callable[[], object]) -> Callable[..., None]:
    """Return a handler: the first signal calls `stop`, the second ends the process at once."""

    def handle(*_: object) -> None:
        global _interrupted  # noqa: PLW0603 - see above
        if _interrupted:
            quit_now()
        _interrupted = True
        stop()

    return handle


def at_once(action: Callable[[], object]) -> Callable[[], None]:
    """Register an action for the second signal; call the returned function to unregister it."""
    _last_words.append(action)

    def forget() -> None:
        with suppress(ValueError):
            _last_words.remove(action)

    return forget


def quit_now() -> None:
    """End this process without waiting for threads or children."""
    for action in _last_words:
        with suppress(Exception):
            action()
    os._exit(INTERRUPTED)
