"""Events to several targets at once: a thread for each, so that none waits for another.

A target that refuses an event is called again after a pause that doubles up to ten minutes, and
not before the time that it named. The store has each target's position.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dispatcher.events.publisher import TargetRefusedError
from sidelight.backoff import doubled
from sidelight.errors import SidelightError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)
FIRST: Final = 10.0  # seconds after a first failure
LONGEST: Final = 600.0  # seconds


@dataclass(slots=True)
class _TargetState:
    thread: threading.Thread | None = None
    failures: int = 0
    due: float = 0.0  # on the clock of `EventDelivery`
    error: str = ""


class EventDelivery:
    """Sends new events at each beat, in threads. Called by one thread."""

    def __init__(
        self,
        publish: Callable[[str], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`publish` sends a target's new events, and raises SidelightError."""
        self._publish = publish
        self._clock = clock
        self._states: dict[str, _TargetState] = {}

    @property
    def error(self) -> str:
        """The last errors of the targets that refuse events."""
        return "; ".join(state.error for state in self._states.values() if state.error)

    def beat(self, targets: Sequence[str]) -> None:
        """Begin to send to each target that is idle and due."""
        for number, target in enumerate(targets):
            state = self._states.setdefault(target, _TargetState())
            busy = state.thread is not None and state.thread.is_alive()
            if busy or self._clock() < state.due:
                continue
            state.thread = threading.Thread(
                target=self._run, args=(target, state), name=f"events-{number}", daemon=True
            )
            state.thread.start()

    def join(self) -> None:
        """Wait for the threads, which end when their `publish` is stopped."""
        for state in self._states.values():
            if state.thread is not None:
                state.thread.join()

    def _run(self, target: str, state: _TargetState) -> None:
        try:
            self._publish(target)
        except SidelightError as error:
            wait = doubled(FIRST, state.failures, LONGEST)
            if isinstance(error, TargetRefusedError):
                wait = max(wait, error.retry_after)
            state.failures += 1
            state.due = self._clock() + wait
            state.error = str(error)
            log.warning("events: %s; again in %d s", error, wait)
        else:
            state.failures, state.due, state.error = 0, 0.0, ""
