"""Ctrl-C, SIGTERM and SIGHUP: the first ends a command cleanly, the second at once.

Without a handler SIGTERM would end a command before it deletes the snapshots that it created, and
as the first process of a container a command would not get it at all: the kernel passes over
signals to such a process that it does not handle (pid_namespaces(7)).
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from dispatcher.cli.exit_status import INTERRUPTED, OF_SIGNAL

if TYPE_CHECKING:
    from collections.abc import Callable

_last_words: list[Callable[[], object]] = []
_interrupted = False
_status = INTERRUPTED


def arm() -> None:
    """Raise KeyboardInterrupt at the first signal, and end the process at the second.

    What is ignored stays so: SIGINT of a shell's background command, SIGHUP of `nohup`.
    """
    global _interrupted, _status
    _interrupted, _status = False, INTERRUPTED
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) in {signal.default_int_handler, signal.SIG_DFL}:
            signal.signal(number, lambda number, _frame: interrupt(number))


def interrupt(number: int = signal.SIGINT) -> None:
    """Handle a signal: raise KeyboardInterrupt once, then end the process."""
    global _interrupted, _status
    if _interrupted:
        quit_now()
    _interrupted, _status = True, OF_SIGNAL + number
    raise KeyboardInterrupt


def status() -> int:
    """Return the exit status of an interrupted command: that of the first signal, or Ctrl-C's."""
    return _status


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
    os._exit(_status)
