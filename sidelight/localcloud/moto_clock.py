"""moto's EC2 by the local cloud's clock.

moto takes the times that EC2 answers (launches, stops, attachments, creations) from the wall clock.
Beside a clock that is moved by hand they would be in the past, and their order with what the local
cloud itself notes would depend on how fast a test runs.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import moto.ec2.models

if TYPE_CHECKING:
    from sidelight.localcloud.clock import Clock

_NOW: Final = "utcnow"  # each of moto's modules has it by this name, and gives times without a zone


def moto_time(seconds: float) -> datetime:
    """Return a time as moto keeps it, in UTC without a zone; from seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def set_clock(clock: Clock) -> None:
    """Let moto's EC2 take its times from `clock`, until another local cloud begins."""

    def now() -> datetime:
        return moto_time(clock.now())

    package = moto.ec2.models.__name__
    for name, module in list(sys.modules.items()):
        if name.startswith(package) and hasattr(module, _NOW):
            setattr(module, _NOW, now)
