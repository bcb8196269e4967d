"""A worker's application that asks several times a second whether its store supports it.

Its first inspection stalls, as that of `stalling_worker`.
"""

from __future__ import annotations

from tests.worker_programs.stalling_worker import app
from workers import support_check

__all__ = ["app"]

support_check.CHECK_SECONDS = 0.2  # type: ignore[misc] # the tests' own pace
