"""A worker's application that writes down in what order scans come, and works on none.

`SIDELIGHT_TEST_ORDER` is the file; a line for each.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidelight.fleet import bootstrap
from workers.celery_main import app

if TYPE_CHECKING:
    from sidelight.fleet.context import Context
    from sidelight.fleet.settings import Settings

__all__ = ["app"]

_make = bootstrap.make_context


def make_context(settings: Settings) -> Context:
    """The real context with a store in which every scan is somebody else's."""
    context = _make(settings)

    def claim(scan_id: str, *_: object) -> None:
        with Path(os.environ["SIDELIGHT_TEST_ORDER"]).open("a", encoding="ascii") as file:
            file.write(f"{scan_id}\n")

    scans: Any = context.store.scans
    scans.claim = claim
    return context


bootstrap.make_context = make_context  # type: ignore[assignment] # the tests' own entry
