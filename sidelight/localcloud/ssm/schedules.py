"""Schedules of associations: `rate(30 minutes)`. A cron expression counts as once a day."""

from __future__ import annotations

import re

_RATE = re.compile(r"rate\(([0-9]{1,5}) (minute|hour|day)s?\)")
_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
_CRON = re.compile(r"(?:cron|at)\([^()]{1,200}\)")
LEAST = 30 * 60  # seconds; an association runs at most every 30 minutes


def seconds_between(expression: str) -> float | None:
    """The seconds from one run to the next; None where it runs once only."""
    match = _RATE.fullmatch(expression)
    if match:
        return int(match[1]) * _SECONDS[match[2]]
    return 86400.0 if _CRON.fullmatch(expression) else None


def is_valid(expression: str) -> bool:
    """Whether State Manager takes the expression: a rate is at least 30 minutes."""
    match = _RATE.fullmatch(expression)
    if match:
        return int(match[1]) * _SECONDS[match[2]] >= LEAST
    return not expression or _CRON.fullmatch(expression) is not None
