"""A worker's application that ends itself by SIGKILL at one place, once.

`SIDELIGHT_TEST_FAULT` is `POINT:before` or `POINT:after`, `SIDELIGHT_TEST_FAULT_DONE` a file that
is made first, so that the next worker lives. Nothing of this is in the workers' own code.
"""

from __future__ import annotations

import os
import signal
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidelight.fleet import bootstrap
from tests.worker_programs.dying_points import EC2, STORE
from workers.celery_main import app

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.fleet.context import Context
    from sidelight.fleet.settings import Settings

__all__ = ["app"]

POINT, _, WHEN = os.environ["SIDELIGHT_TEST_FAULT"].partition(":")
DONE = Path(os.environ["SIDELIGHT_TEST_FAULT_DONE"])
_make = bootstrap.make_context


def _die() -> None:
    try:
        DONE.touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def deadly(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """`work`, and the end before or after it."""

    def call(*options: Any, **named: Any) -> Any:
        if name == POINT and WHEN == "before":
            _die()
        result = work(*options, **named)
        if name == POINT and WHEN == "after":
            _die()
        return result

    return call


def _deadly_ec2(ec2: Any) -> Any:
    for name in EC2:
        setattr(ec2, name, deadly(name, getattr(ec2, name)))
    return ec2


def make_context(settings: Settings, **options: Any) -> Context:
    """The real context, deadly at one place."""
    context = _make(settings, **options)
    for part, names in STORE.items():
        owner: Any = getattr(context.store, part)
        for name in names:
            setattr(owner, name, deadly(name, getattr(owner, name)))
    opened: Any = context.opened

    def deadly_opened() -> Any:
        database = copy(opened())
        database.match = deadly("match", database.match)
        return database

    return replace(
        context,
        opened=deadly_opened,
        ec2=lambda account, region: _deadly_ec2(context.ec2(account, region)),
        open_snapshot=deadly("open_snapshot", context.open_snapshot),
        inspect=deadly("inspect", context.inspect),
    )


bootstrap.make_context = make_context  # the tests' own entry
