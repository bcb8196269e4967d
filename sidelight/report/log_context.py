"""What a log line belongs to: scan, account, Region, instance and stage, in the current context.

Threads that a stage starts carry the context where they run by `contextvars.copy_context`.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FIELDS: Final = ("scan", "account", "region", "instance", "stage")
_current: ContextVar[Mapping[str, str]] = ContextVar("log_fields", default=MappingProxyType({}))


def log_fields() -> Mapping[str, str]:
    """Return the fields of the current context; empty outside of a scan."""
    return _current.get()


@contextmanager
def logged_as(**fields: str) -> Iterator[None]:
    """Add fields to every line that is logged within the block."""
    token = _current.set({**_current.get(), **fields})
    try:
        yield
    finally:
        _current.reset(token)
