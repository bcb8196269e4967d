"""A finding that a VEX statement or the user's ignore file takes out, with why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidelight.model.findings import Finding


class VexStatus(StrEnum):
    """The statuses of VEX, and IGNORED for the user's own ignore file."""

    NOT_AFFECTED = "not_affected"
    FIXED = "fixed"
    AFFECTED = "affected"
    UNDER_INVESTIGATION = "under_investigation"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class SuppressedFinding:
    """A finding with what suppresses it.

    `justification` is one of OpenVEX's five, or empty; `statement` is free text; `source` names the
    document.
    """

    finding: Finding
    status: VexStatus
    justification: str
    statement: str
    source: str

    @property
    def reason(self) -> str:
        """The justification and the text, in one line."""
        return ": ".join(filter(None, (self.justification, self.statement)))
