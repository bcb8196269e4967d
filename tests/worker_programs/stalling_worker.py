"""A worker's application whose first inspection says that it has begun, and never ends by itself.

`SIDELIGHT_TEST_STALLED` is the file that it makes; with it there, inspections are as they are.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidelight.fleet import bootstrap
from workers.celery_main import app

if TYPE_CHECKING:
    from sidelight.fleet.context import Context
    from sidelight.fleet.settings import Settings
    from sidelight.model import Inventory

__all__ = ["app"]

_make = bootstrap.make_context


def make_context(settings: Settings) -> Context:
    """The real context, with a first inspection that stalls."""
    context = _make(settings)

    def inspect(sources: Any, attachments: Any) -> Inventory:
        try:
            Path(os.environ["SIDELIGHT_TEST_STALLED"]).touch(exist_ok=False)
        except FileExistsError:
            return context.inspect(sources, attachments)
        while True:
            time.sleep(3600)  # only a signal ends it

    return replace(context, inspect=inspect)


bootstrap.make_context = make_context  # type: ignore[assignment] # the tests' own entry
