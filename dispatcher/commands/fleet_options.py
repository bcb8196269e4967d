"""Options that the fleet's commands share."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from sidelight.store import Store
from workers.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def store_option(command: Callable[..., None]) -> Callable[..., None]:
    """Which store."""
    return click.option(
        "--store", "store_url", metavar="URL",
        help="sqlite:///FILE or postgresql://…  [SIDELIGHT_STORE_URL]",
    )(command)  # fmt: skip


def format_option(command: Callable[..., None]) -> Callable[..., None]:
    """In what form."""
    return click.option(
        "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True
    )(command)


@contextmanager
def opened_store(url: str | None) -> Iterator[Store]:
    """The store, with its tables up to date."""
    with Store(url or Settings.from_environment().store_url) as store:
        store.migrate()
        yield store
