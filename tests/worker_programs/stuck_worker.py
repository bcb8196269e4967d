"""A worker's application whose reading of one machine never ends by itself.

`SIDELIGHT_TEST_STUCK` says how, `SIDELIGHT_TEST_STUCK_VOLUME` at which machine's disk.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sidelight.fleet import bootstrap
from sidelight.fleet.stages import stage_limits
from workers.celery_main import app

if TYPE_CHECKING:
    from sidelight.fleet.context import Context
    from sidelight.fleet.settings import Settings

__all__ = ["app"]

stage_limits.LEAST_PULSE = 1.0
_make = bootstrap.make_context


def _in_python() -> None:
    while True:
        # A reader that takes everything for its file's fault.
        with suppress(Exception):
            sum(range(1000))


def _in_c() -> None:
    sum(range(1 << 40))


def _for_memory() -> None:
    bytearray(8 << 30)


STUCK = {"python": _in_python, "c": _in_c, "memory": _for_memory}


def make_context(settings: Settings, **options: Any) -> Context:
    """The real context, stuck at one machine."""
    context = _make(settings, **options)

    def inspect(sources: Any, attachments: Any) -> Any:
        if os.environ["SIDELIGHT_TEST_STUCK_VOLUME"] in {one.volume for one in attachments}:
            STUCK[os.environ["SIDELIGHT_TEST_STUCK"]]()
        return context.inspect(sources, attachments)

    return replace(context, inspect=inspect)


bootstrap.make_context = make_context  # the tests' own entry
