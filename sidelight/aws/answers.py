"""Required members of AWS's answers. The services' models declare almost all of them optional."""

from __future__ import annotations

from typing import TypeVar

from sidelight.errors import CloudError

T = TypeVar("T")


def required(value: T | None, name: str, where: str) -> T:
    """Return the value of a required member. Raises CloudError where AWS left it out."""
    if value is None:
        raise CloudError(f"AWS's answer has no {name}", where=where)
    return value
