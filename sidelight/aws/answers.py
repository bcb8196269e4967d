"""Required members of AWS's answers. The services' models declare almost all of them optional."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidelight.errors import CloudError

if TYPE_CHECKING:
    from collections.abc import Mapping


def member(answer: Mapping[str, Any], name: str, where: str) -> Any:
    """Return a required member. Raises CloudError where AWS left it out."""
    value = answer.get(name)
    if value is None:
        raise CloudError(f"AWS's answer has no {name}", where=where)
    return value
