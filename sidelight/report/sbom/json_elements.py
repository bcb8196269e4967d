"""A JSON list, written element by element: its memory does not grow with their number."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TextIO


def write_elements(file: TextIO, elements: Iterable[Mapping[str, object]]) -> None:
    """Write a list in ASCII, an element a line."""
    file.write("[")
    for number, element in enumerate(elements):
        file.write(",\n" if number else "\n")
        file.write(json.dumps(element))
    file.write("]")
