"""Errors of a source on their way into a caged reader: readers handle them as any others.

A block that is refused, throttled or damaged is an error that the readers turn into a Problem, and
that the parent judges after the read. It crosses with its class, coordinates and sentence.
"""

from __future__ import annotations

import json
from typing import Final

from sidelight import errors
from sidelight.errors import SourceError

_CLASSES: Final[dict[str, type[SourceError]]] = {
    kind.__name__: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, SourceError)
}


def dump(error: SourceError) -> bytes:
    """Return an error as the payload of an ERROR frame; a class of another room as its base."""
    name = next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _CLASSES)
    return json.dumps([name, error.what, error.where]).encode()


def load(payload: bytes) -> SourceError:
    """Return the error of an ERROR frame, which the parent wrote."""
    name, what, where = json.loads(payload)
    return _CLASSES[name](what, where=where)
