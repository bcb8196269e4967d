"""Faults at numbered points: everything that a worker does to the outside may fail or be killed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from sidelight.errors import CloudError, SidelightError

if TYPE_CHECKING:
    from collections.abc import Callable


class KilledError(BaseException):
    """The worker's end: nothing in the code under test may catch it."""


class Mode(Enum):
    """What happens at a point."""

    FAIL_BEFORE = "fails before"
    FAIL_AFTER = "done, but its answer is lost"
    KILL_BEFORE = "killed before"
    KILL_AFTER = "killed after"
    STALL = "stalls until another worker has done the rest"


# Those that a single worker meets; a stall needs a second one.
ALONE = tuple(mode for mode in Mode if mode is not Mode.STALL)


@dataclass
class Tripwire:
    """Numbers everything that a worker does to the outside, and trips where a test chose.

    `decide(number, name)` gives the mode for a point, or None.
    """

    decide: Callable[[int, str], Mode | None] = lambda _number, _name: None
    seen: list[str] = field(default_factory=list)
    armed: bool = True
    meanwhile: Callable[[], None] = lambda: None

    def __call__(
        self, name: str, work: Callable[[], Any], error: type[SidelightError] = CloudError
    ) -> Any:
        mode = None
        if self.armed:
            mode = self.decide(len(self.seen), name)
            self.seen.append(name)
        if mode is Mode.STALL:
            self.armed = False
            self.meanwhile()
        if mode is Mode.KILL_BEFORE:
            raise KilledError(name)
        if mode is Mode.FAIL_BEFORE:
            raise error("injected before", where=name)
        result = work()
        if mode is Mode.KILL_AFTER:
            raise KilledError(name)
        if mode is Mode.FAIL_AFTER:
            raise error("injected after", where=name)
        return result
