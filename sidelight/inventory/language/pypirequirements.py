"""The names that Python requirement strings ask for.

Of a marker only `extra` is looked at: what an extra asks for is not required by the package. What
the machine's Python or platform does not need is not installed.
Source: the dependency specifiers specification (PEP 508).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.pyproject import normal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_NAME: Final = re.compile(r"\s*+([A-Za-z0-9][A-Za-z0-9._-]*)")
_EXTRA: Final = re.compile(r"\bextra\s*+==")


def required_names(requirements: Iterable[str]) -> Iterator[str]:
    """Yield the normalised names of `Name[extra] (>=1.0) ; marker` that do not need an extra."""
    for requirement in requirements:
        match = _NAME.match(requirement)
        if match and not is_for_extra(requirement.partition(";")[2]):
            yield normal(match[1])


def is_for_extra(marker: str) -> bool:
    """Whether a marker names an extra."""
    return _EXTRA.search(marker) is not None
