"""Types of texts that a JSON Schema can describe more exactly than `str`."""

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True, slots=True)
class TextFormat:
    """A JSON Schema `format` of a string."""

    name: str


@dataclass(frozen=True, slots=True)
class OneOf:
    """All values that a string can have."""

    values: tuple[str, ...]


Timestamp = Annotated[str, TextFormat("date-time")]  # RFC 3339, with an offset
YesNo = Annotated[str, OneOf(("YES", "NO"))]  # Inspector's ExploitAvailable
EventType = Annotated[str, OneOf(("OPENED", "REOPENED", "UPDATED", "CLOSED"))]
CoverageStatus = Annotated[str, OneOf(("ACTIVE", "INACTIVE"))]
